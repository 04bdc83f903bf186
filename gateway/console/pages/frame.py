"""What stands around every page: the way to the others, search, language, scheme, who is signed in."""

from gateway.console.markup import BASE, Markup, address, join, tag
from gateway.console.rights import Right, User
from gateway.console.words import Speech

SCHEMES = ("light", "dark")
PAGES = (
    ("now", ""),
    ("projects", "projects"),
    ("calls", "calls"),
    ("alerts", "alerts"),
    ("quarantine", "quarantine"),
    ("way", "way"),
    ("works", "works"),
    ("partners", "partners"),
    ("subscriptions", "subscriptions"),
)
OWN_PAGES = frozenset({"quarantine", "partners", "subscriptions"})  # a partner's user has these alone


def head(scheme: str) -> Markup:
    """Our own looks and behaviour; the scheme is set before anything is drawn."""
    return join(
        tag("link", rel="stylesheet", href=f"{BASE}/files/console.css"),
        tag("script", src=f"{BASE}/files/console.js"),
        tag("script", Markup(f"document.documentElement.dataset.scheme = '{scheme}';")),
    )


def header(say: Speech, user: User, scheme: str, page: str, here: str) -> Markup:
    """`page`: which of the pages this is; `here`: its address, to come back to after a choice."""
    return join(
        tag("a", say("skip"), href="#main", class_="skip"), tag("div", _bar(say, user, scheme, page, here), class_="bar")
    )


def _bar(say: Speech, user: User, scheme: str, page: str, here: str) -> Markup:
    pages = [(name, path) for name, path in PAGES if user.may(Right.SEE_ALL) or name in OWN_PAGES]
    links = [
        tag("li", tag("a", say(name), href=address(path), aria_current="page" if name == page else None))
        for name, path in pages
    ]
    search = tag(
        "form",
        tag("input", type="search", name="q", aria_label=say("search_for"), placeholder=say("search"), maxlength=200),
        method="get",
        action=address("search"),
        role="search",
    )
    return join(
        tag("a", tag("strong", "都江"), tag("span", "Dujiang"), href=address(""), class_="brand"),
        tag("nav", tag("ul", links), aria_label=say("pages")),
        search if user.may(Right.SEE_ALL) else None,
        _own(say, user, scheme, here),
    )


def _own(say: Speech, user: User, scheme: str, here: str) -> Markup:
    other_language = "en" if say.language == "zh" else "zh"
    other_scheme = "light" if scheme == "dark" else "dark"
    return tag(
        "div",
        tag("a", say("other_language"), href=address("prefer", "language", other_language, next=here)),
        tag("a", say(other_scheme), href=address("prefer", "scheme", other_scheme, next=here)),
        tag("span", user.name, tag("small", say(f"role.{user.role}")), class_="who"),
        tag("form", tag("button", say("sign_out"), type="submit"), method="post", action=f"{BASE}/sign-out"),
        class_="own",
    )


def title(text: str, *beside: Markup | None) -> Markup:
    """The page's heading."""
    return tag("div", tag("h1", text), list(beside), class_="title")
