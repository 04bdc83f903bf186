"""HTML that cannot be broken into: whatever is no Markup is escaped on its way in. Pure."""

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

BASE: Final = "/console"
_VOID: Final = frozenset({"input", "meta", "link"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Markup | int | float | None | Iterable["Child"]


def join(*children: Child) -> Markup:
    """Children one after the other; None leaves nothing."""
    return Markup("".join(_flat(children)))


def tag(element: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element. `class_` and `for_` lose the underscore, others turn it into a hyphen; None and False leave it out."""
    written = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    opened = f"<{element}{written}>"
    return Markup(opened if element in _VOID else f"{opened}{join(*children)}</{element}>")


def link(text: Child, *path: str, **query: str | None) -> Markup:
    """A link to a page of the console."""
    return tag("a", text, href=address(*path, **query))


def address(*path: str, **query: str | None) -> str:
    """Of a page of the console; ids may hold whatever they like."""
    given = {name: value for name, value in query.items() if value}
    tail = f"?{urlencode(given)}" if given else ""
    return "/".join((BASE, *(quote(part, safe="") for part in path))) + tail


def _attribute(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, (str, int, float)):
            yield escape(str(child), quote=True)
        else:
            yield from _flat(child)
