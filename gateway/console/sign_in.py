"""Signing in and out, and what a reader prefers: plain HTML, so that it works before anything else does."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import structlog
from psycopg import Cursor
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from engine.clock import Clock
from engine.errors import Fault
from gateway.console import users
from gateway.console.gate import COOKIE, cookie_of
from gateway.console.markup import BASE, Markup, address, join, tag
from gateway.console.metrics import ConsoleMetrics
from gateway.console.pages.frame import SCHEMES, head
from gateway.console.users import Limits, Locked, SignedIn
from gateway.console.words import Speech
from gateway.languages import Language, language_of
from gateway.store import Store

BODY_BYTES_MAX: Final = 8_192
WAITING_MAX: Final = 20  # each try costs some 80 ms of a core
PREFERENCE_S: Final = 365 * 86_400
LANGUAGE, SCHEME = "dujiang_language", "dujiang_scheme"

log = structlog.get_logger("console")


def language_for(request: Request) -> Language:
    """As chosen here, else as the browser asks."""
    chosen = request.cookies.get(LANGUAGE, "")
    if chosen == "zh":
        return "zh"
    return "en" if chosen == "en" else language_of(request.headers.get("accept-language", ""))


def scheme_for(request: Request) -> str:
    """light or dark."""
    chosen = request.cookies.get(SCHEME, "")
    return chosen if chosen in SCHEMES else "light"


class Door:
    """The routes. `store` is its own, so that many tries delay nobody who is inside. on_left: told a session that is over."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        zone: ZoneInfo,
        metrics: ConsoleMetrics,
        *,
        is_secure: bool,
        on_left: Callable[[str], None],
    ) -> None:
        self._store, self._clock, self._limits, self._zone, self._is_secure = store, clock, limits, zone, is_secure
        self._metrics, self._on_left = metrics, on_left
        self._waiting = 0

    def routes(self) -> list[Route]:
        return [
            Route(f"{BASE}/sign-in", self._page, methods=["GET"]),
            Route(f"{BASE}/sign-in", self._try, methods=["POST"]),
            Route(f"{BASE}/sign-out", self._leave, methods=["POST"]),
            Route(f"{BASE}/prefer/{{name}}/{{value}}", self._prefer, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        return self._shown(request, next_=request.query_params.get("next", ""))

    async def _try(self, request: Request) -> Response:
        form = await _form(request)
        next_, name, password = (form.get(field, "") for field in ("next", "name", "password"))
        if self._waiting >= WAITING_MAX:
            self._metrics.sign_in("busy")
            return self._shown(request, "sign_in_busy", next_=next_, status=503)
        now = self._clock.now()

        def work(cursor: Cursor[Any]) -> SignedIn | Locked | None:
            return users.sign_in(cursor, name, password, now, self._limits)

        self._waiting += 1
        try:
            found = await self._store.call(work)
        except Fault as fault:
            log.error("console_sign_in_away", fault=str(fault))
            self._metrics.sign_in("away")
            return self._shown(request, "away", next_=next_, status=503)
        finally:
            self._waiting -= 1
        if isinstance(found, Locked):
            self._metrics.sign_in("locked")
            return self._shown(request, "sign_in_locked", next_=next_, until=found.until, status=429)
        if found is None:
            self._metrics.sign_in("wrong")
            return self._shown(request, "sign_in_wrong", next_=next_, status=401)
        self._metrics.sign_in("let_in")
        answer = RedirectResponse(_inside(next_), 303)
        answer.set_cookie(
            COOKIE,
            found.cookie,
            max_age=int(self._limits.session.total_seconds()),
            path=BASE,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def _leave(self, request: Request) -> Response:
        cookie = cookie_of(request.headers.get("cookie", ""))
        await self._store.call(lambda cursor: users.sign_out(cursor, cookie))
        self._on_left(cookie)
        answer = RedirectResponse(f"{BASE}/sign-in", 303)
        answer.delete_cookie(COOKIE, path=BASE)
        return answer

    async def _prefer(self, request: Request) -> Response:
        """A choice of language or scheme, kept in the browser; back to where it was made."""
        name, value = request.path_params["name"], request.path_params["value"]
        answer = RedirectResponse(_inside(request.query_params.get("next", "")), 303)
        if (name, value) in {("language", "zh"), ("language", "en"), ("scheme", "light"), ("scheme", "dark")}:
            cookie = LANGUAGE if name == "language" else SCHEME
            answer.set_cookie(cookie, value, max_age=PREFERENCE_S, path=BASE, secure=self._is_secure, samesite="lax")
        return answer

    def _shown(
        self, request: Request, problem: str = "", *, next_: str, until: datetime | None = None, status: int = 200
    ) -> Response:
        say = Speech(language_for(request), self._zone, self._clock.now())
        text = say(problem, until=say.instant(until) if until else "") if problem else ""
        return HTMLResponse(_document(say, scheme_for(request), text, next_), status, headers={"cache-control": "no-store"})


def _document(say: Speech, scheme: str, problem: str, next_: str) -> str:
    fields = join(
        tag("label", tag("span", say("name")), _field("name", "text", "username")),
        tag("label", tag("span", say("password")), _field("password", "password", "current-password")),
        tag("input", type="hidden", name="next", value=next_),
        tag("button", say("sign_in"), type="submit"),
    )
    other = "en" if say.language == "zh" else "zh"
    body = tag(
        "main",
        tag("h1", "都江 ", tag("span", "Dujiang")),
        tag("p", say("sign_in_motto"), class_="note"),
        tag("p", problem, class_="notice bad", role="alert") if problem else None,
        tag("form", fields, method="post", action=f"{BASE}/sign-in"),
        tag(
            "p", tag("a", say("other_language"), href=address("prefer", "language", other, next=address("sign-in", next=next_)))
        ),
        class_="door",
    )
    language = "zh-CN" if say.language == "zh" else "en"
    title = tag("title", f"{say('sign_in')} · 都江 Dujiang")
    viewport = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">')
    return "<!doctype html>" + tag(
        "html", tag("head", viewport, title, head(scheme)), tag("body", body), lang=language, data_scheme=scheme
    )


def _field(name: str, type_: str, complete: str) -> Markup:
    return tag("input", name=name, type=type_, autocomplete=complete, required=True, maxlength=256)


async def _form(request: Request) -> dict[str, str]:
    """A small form; one that is larger, or none, has no fields."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return {}
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10).items()}
    except ValueError:
        return {}


def _inside(target: str) -> str:
    """A page of the console, whatever was asked for: a link from elsewhere must not lead out through us."""
    parts = urlsplit(target)
    is_ours = not parts.scheme and not parts.netloc and (parts.path == BASE or parts.path.startswith(f"{BASE}/"))
    return target if is_ours and "\\" not in target and target.isprintable() else f"{BASE}/"
