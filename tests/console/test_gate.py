"""What passes the console's gate, and what does not: as plain ASGI calls."""

import asyncio
from typing import Any

import pytest

from engine.errors import TransientFault
from gateway.console.gate import COOKIE, USER, Gate
from gateway.console.rights import Role, User

LI = User("li", Role.VIEWER)
HOST = "127.0.0.1:8602"


class Inside:
    """The app behind the gate: remembers who came."""

    def __init__(self) -> None:
        self.users: list[Any] = []

    async def __call__(self, scope: Any, _: Any, send: Any) -> None:
        self.users.append(scope.get(USER))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"inside"})
        else:
            await send({"type": "websocket.accept"})


async def _user_of(cookie: str, _: bool) -> User | None:
    if cookie == "away":
        raise TransientFault("PostgreSQL: away")
    return LI if cookie == "right" else None


def _knock(
    path: str, *, kind: str = "http", method: str = "GET", query: str = "", **headers: str
) -> tuple[list[dict[str, Any]], list[Any]]:
    """What was sent back, and who came in."""
    inside, sent = Inside(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    given = {"host": HOST, "accept": "text/html", **headers}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    gate = Gate(inside, hosts=frozenset({"127.0.0.1"}), user_of=_user_of)
    asyncio.run(gate(scope, receive, send))
    return sent, inside.users


def _status(sent: list[dict[str, Any]]) -> int:
    return int(sent[0].get("status", sent[0].get("code", 0)))


def test_session_lets_in_and_says_who() -> None:
    sent, users = _knock("/console/", cookie=f"{COOKIE}=right")
    assert (_status(sent), users) == (200, [LI])


def test_reader_without_a_session_is_led_to_the_door_and_back() -> None:
    sent, users = _knock("/console/alerts/am/1", query="show=all")
    headers = dict(sent[0]["headers"])
    assert (_status(sent), users) == (303, [])
    assert headers[b"location"] == b"/console/sign-in?next=%2Fconsole%2Falerts%2Fam%2F1%3Fshow%3Dall"


@pytest.mark.parametrize("cookie", ["", f"{COOKIE}=wrong", "; ;=", f'{COOKIE}="'])
def test_socket_without_a_session_is_closed(cookie: str) -> None:
    sent, users = _knock("/console/_nicegui_ws/socket.io/", kind="websocket", origin=f"http://{HOST}", cookie=cookie)
    assert (sent[0]["type"], users) == ("websocket.close", [])


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:9"])
def test_socket_of_another_origin_is_closed_although_the_cookie_is_right(origin: str) -> None:
    sent, users = _knock("/console/_nicegui_ws/socket.io/", kind="websocket", origin=origin, cookie=f"{COOKIE}=right")
    assert (sent[0]["type"], users) == ("websocket.close", [])


def test_socket_of_our_page_is_let_in() -> None:
    cookie = f"{COOKIE}=right"
    sent, users = _knock("/console/_nicegui_ws/socket.io/", kind="websocket", origin=f"http://{HOST}", cookie=cookie)
    assert (sent[0]["type"], users) == ("websocket.accept", [LI])


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-out", "/console/_nicegui_ws/socket.io/"])
def test_change_asked_for_by_another_origin_is_refused(path: str) -> None:
    sent, users = _knock(path, method="POST", origin="http://evil.example", cookie=f"{COOKIE}=right")
    assert (_status(sent), users) == (403, [])


def test_other_host_is_refused_before_anything_else() -> None:
    sent, users = _knock("/console/sign-in", host="rebound.example:8602")
    assert (_status(sent), users) == (421, [])


@pytest.mark.parametrize(
    ("path", "query"), [("/console/projects/\x00", ""), ("/console/search", "q=%00"), ("/console/search", "q=%ff")]
)
def test_address_that_is_no_text_is_refused(path: str, query: str) -> None:
    sent, users = _knock(path, query=query, cookie=f"{COOKIE}=right")
    assert (_status(sent), users) == (400, [])


def test_database_away_is_said_and_nobody_comes_in() -> None:
    sent, users = _knock("/console/", cookie=f"{COOKIE}=away")
    assert (_status(sent), users) == (503, [])


def test_every_answer_forbids_frames_and_what_comes_from_elsewhere() -> None:
    for path in ("/console/sign-in", "/console/"):
        sent, _ = _knock(path, cookie=f"{COOKIE}=right")
        headers = dict(sent[0]["headers"])
        assert headers[b"x-frame-options"] == b"DENY"
        assert b"default-src 'self'" in headers[b"content-security-policy"]
