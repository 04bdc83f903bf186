"""What every request to the console passes first: the right host, the right origin, a session that lasts."""

from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import structlog
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import Fault
from gateway.console.markup import BASE
from gateway.console.rights import User

COOKIE: Final = "dujiang_console"
USER: Final = "dujiang.user"
# Descriptions of looks and behaviour, the same for everybody. Whatever else there is needs a session.
OPEN: Final = (f"{BASE}/sign-in", f"{BASE}/files/", f"{BASE}/_nicegui/", f"{BASE}/prefer/", "/health/")
_READING: Final = frozenset(("GET", "HEAD"))
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    # NiceGUI's page begins with scripts of its own and evaluates what the server sends; nothing comes from elsewhere.
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        b" img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'self';"
        b" form-action 'self'",
    ),
)

log = structlog.get_logger("console")


class Gate:
    """ASGI middleware. `hosts`: the names it answers to, as browsers send them in `Host`, without their port."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: frozenset[str],
        user_of: Callable[[str, bool], Awaitable[User | None]],
    ) -> None:
        self._app, self._hosts, self._user_of = app, hosts, user_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if _name_of(headers.get("host", "")) not in self._hosts:
            await _refuse(scope, receive, send, 421, "this host is not served here; see console.public_url")
        elif not _is_same_origin(scope, headers):
            await _refuse(scope, receive, send, 403, "asked for by a page of another origin")
        elif not _is_text(scope):
            await _refuse(scope, receive, send, 400, "an address holds text in UTF-8 without U+0000")
        elif scope["path"].startswith(OPEN):
            await self._app(scope, receive, _with_headers(send))
        else:
            await self._with_user(scope, receive, send, headers)

    async def _with_user(self, scope: Scope, receive: Receive, send: Send, headers: dict[str, str]) -> None:
        # A page is a person's act; what its scripts fetch is not, or an open page would keep a session for ever.
        is_page = scope["type"] == "http" and "text/html" in headers.get("accept", "")
        try:
            cookie = cookie_of(headers.get("cookie", ""))
            user = await self._user_of(cookie, is_page) if cookie else None
        except Fault as fault:
            log.error("console_sessions_away", fault=str(fault))
            await _refuse(scope, receive, send, 503, "the database does not answer; try again · 数据库没有应答，请稍后再试")
            return
        if user is not None:
            scope[USER] = user
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http" and scope["method"] in _READING:
            query = scope["query_string"].decode("latin-1")
            wanted = quote(scope["path"]) + (f"?{query}" if query else "")
            await RedirectResponse(f"{BASE}/sign-in?next={quote(wanted, safe='')}", 303)(scope, receive, _with_headers(send))
        else:
            await _refuse(scope, receive, send, 401, "sign in first")


def cookie_of(header: str) -> str:
    """The session's cookie, or an empty text."""
    return cookies_of(header).get(COOKIE, "")


def cookies_of(header: str) -> dict[str, str]:
    """All cookies; a header that is none has none."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _name_of(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _is_same_origin(scope: Scope, headers: dict[str, str]) -> bool:
    """A WebSocket, or a request that changes something, must come from a page of ours."""
    if scope["type"] == "http" and scope["method"] in _READING:
        return True
    return urlsplit(headers.get("origin", "")).netloc.lower() == headers.get("host", "").lower()


def _is_text(scope: Scope) -> bool:
    """PostgreSQL takes neither U+0000 nor half a character; nothing of ours has such a name."""
    query = unquote_to_bytes(scope["query_string"])
    try:
        return "\x00" not in scope["path"].encode().decode() and "\x00" not in query.decode()
    except UnicodeError:
        return False


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": text[:100]})
        return
    await PlainTextResponse(f"{text}\n", status)(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return send_with_headers
