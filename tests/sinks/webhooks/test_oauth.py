"""Tokens of a subscriber's token endpoint: asked for, kept, forgotten, and what becomes of attempts without one."""

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dujiang.embedded.ports import free_port
from engine.clock import FakeClock
from engine.subscriptions import secrets
from sinks.webhooks.oauth import REFUSED_S, Authorised, Credentials, Tokens, loaded, stored, token_request
from sinks.webhooks.schedule import ENDPOINT_DOWN, Answer
from tests.sinks.webhooks.conftest import ANNOUNCED, Post
from tests.sinks.webhooks.test_partner import Agency, _is_open

GIVEN = Credentials(token_url="https://id.example.org/token", client_id="dujiang", client_secret="s:ecret ü", scope="events")
OK = Answer("acknowledged", 200)


class Issuer:
    """A token endpoint in memory: gives t1, t2, … unless told otherwise."""

    def __init__(self, **members: Any) -> None:
        self.members: dict[str, Any] = {"token_type": "Bearer", "expires_in": 600} | members
        self.answer = OK
        self.given = 0

    async def fetch(self, url: str, _: bytes, __: Mapping[str, str]) -> tuple[Answer, bytes]:
        assert url == GIVEN.token_url
        await asyncio.sleep(0)
        self.given += 1
        return self.answer, json.dumps({"access_token": f"t{self.given}"} | self.members).encode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 3, 2, tzinfo=UTC))


def test_the_secret_goes_as_basic_with_each_part_encoded() -> None:
    body, headers = token_request(GIVEN)
    assert urllib.parse.parse_qs(body.decode()) == {"grant_type": ["client_credentials"], "scope": ["events"]}
    pair = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    assert [urllib.parse.unquote_plus(part) for part in pair.split(":")] == ["dujiang", "s:ecret ü"]


def test_what_is_stored_comes_back_and_is_not_shown() -> None:
    assert loaded(stored(GIVEN)) == GIVEN
    assert "ecret" not in repr(GIVEN)


@pytest.mark.parametrize(("expires_in", "good_s"), [(600, 570), (40, 30), ("600", 570), (None, 270), (0, 0), (10**9, 86_370)])
def test_a_token_is_kept_until_shortly_before_it_ends(clock: FakeClock, expires_in: Any, good_s: int) -> None:
    issuer = Issuer(expires_in=expires_in)
    tokens = Tokens(GIVEN, issuer.fetch, clock)

    async def run() -> list[Any]:
        found = [await tokens.get()]
        clock.advance(max(good_s - 1, 0))
        found.append(await tokens.get())
        clock.advance(2)
        return [*found, await tokens.get()]

    kept = "t1" if good_s else "t2"
    assert asyncio.run(run()) == ["t1", kept, "t2" if good_s else "t3"]


def test_attempts_at_once_ask_once(clock: FakeClock) -> None:
    issuer = Issuer()
    tokens = Tokens(GIVEN, issuer.fetch, clock)

    async def run() -> list[Any]:
        return list(await asyncio.gather(*(tokens.get() for _ in range(20))))

    assert asyncio.run(run()) == ["t1"] * 20


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"access_token": None}, "no token"),
        ({"token_type": "mac"}, "no bearer token"),
        ({"access_token": "a\r\nX-Evil: 1"}, "no bearer token"),
        ({"expires_in": []}, "no token"),
    ],
)
def test_what_is_no_token_is_not_sent(clock: FakeClock, members: dict[str, Any], said: str) -> None:
    answer = asyncio.run(Tokens(GIVEN, Issuer(**members).fetch, clock).get())
    assert isinstance(answer, Answer)
    assert (answer.outcome, answer.status) == ("token", None)
    assert said in answer.detail
    assert answer.outcome in ENDPOINT_DOWN  # no fault of the event's


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"error": "invalid_client", "error_description": "' + "密钥错误".encode("gbk") + b'"}', b"[" * 100_000],
    ids=["nothing", "a list", "GBK", "nested without end"],
)
def test_no_bytes_of_a_token_endpoint_end_the_courier(clock: FakeClock, content: bytes) -> None:
    async def get(given: Answer) -> str | Answer:
        async def fetch(_: str, __: bytes, ___: Mapping[str, str]) -> tuple[Answer, bytes]:
            return given, content

        return await Tokens(GIVEN, fetch, clock).get()

    refused = asyncio.run(get(Answer("refused", 400)))
    assert refused == Answer("token", detail="token endpoint: HTTP 400, refused")
    answered = asyncio.run(get(OK))
    assert isinstance(answered, Answer)
    assert (answered.outcome, "no token" in answered.detail) == ("token", True)


def test_a_refusal_shows_its_code_alone_and_is_not_repeated_at_once(clock: FakeClock) -> None:
    issuer = Issuer(error="invalid_client", error_description="secret s:ecret is wrong")
    issuer.answer = Answer("refused", 401, detail="secret s:ecret is wrong")
    tokens = Tokens(GIVEN, issuer.fetch, clock)

    async def run() -> tuple[Any, Any, int, Any]:
        first, second, asked = await tokens.get(), await tokens.get(), issuer.given
        issuer.answer = OK
        clock.advance(REFUSED_S + 1)
        return first, second, asked, await tokens.get()

    first, second, asked, later = asyncio.run(run())
    assert first == second == Answer("token", detail="token endpoint: HTTP 401, refused invalid_client")
    assert (asked, later) == (1, "t2")


def test_a_401_fetches_anew_once(clock: FakeClock) -> None:
    issuer, sent = Issuer(), []

    async def send(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        sent.append(headers["Authorization"])
        return OK if headers["Authorization"] == "Bearer t2" else Answer("refused", 401)

    async def run() -> list[Answer]:
        authorised = Authorised(send, Tokens(GIVEN, issuer.fetch, clock))
        answers = [await authorised("https://a.example.org", b"", {}), await authorised("https://a.example.org", b"", {})]
        issuer.members["access_token"] = "never"
        return [*answers, await Authorised(send, Tokens(GIVEN, issuer.fetch, clock))("https://a.example.org", b"", {})]

    assert [answer.status for answer in asyncio.run(run())] == [200, 200, 401]
    assert sent == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer never", "Bearer never"]


class TokenServer:
    """A real one: checks what it is shown, and lets the endpoint know what it gave."""

    def __init__(self, tokens: set[str]) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                server.asked.append(form)
                is_known = self.headers["authorization"] == "Basic " + base64.b64encode(b"dujiang:s3cret").decode()
                token = f"token-{len(server.asked)}"
                if is_known:
                    tokens.add(token)
                body = json.dumps({"access_token": token, "token_type": "bearer", "expires_in": 3600}).encode()
                self.send_response(200 if is_known else 401)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tokens() -> Iterator[tuple[TokenServer, set[str]]]:
    accepted: set[str] = set()
    server = TokenServer(accepted)
    yield server, accepted
    server.close()


@pytest.mark.services
def test_a_partner_has_its_deliveries_authorised_by_its_own_tokens(post: Post, tokens: tuple[TokenServer, set[str]]) -> None:
    server, accepted = tokens
    endpoint = post.endpoint()
    endpoint.tokens = accepted
    post.endpoints.append(server)  # type: ignore[arg-type] - its port may be delivered to, too
    port = free_port()
    post.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    owner, stranger = Agency(post, "agency-1", port), Agency(post, "agency-2", port)
    made = owner.ask("POST", "/subscriptions", {"protocol": "HTTP", "sink": endpoint.url, "types": [ANNOUNCED]})[1]["id"]
    at, url = f"/subscriptions/{made}", f"http://127.0.0.1:{server.port}/token"
    post.in_transaction(lambda cursor: secrets.add(cursor, made, "v1", endpoint.secret, None, datetime.now(UTC), None))
    credentials = {"token_url": url, "client_id": "dujiang", "client_secret": "s3cret", "scope": "events"}
    assert owner.ask("PUT", f"{at}/oauth2", credentials) == (200, {"version": 2, "kind": "oauth2"})
    assert "s3cret" not in json.dumps(owner.ask("GET", f"{at}/secrets")[1])
    post.deliverer(gateway__auth="token")
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "enabled")

    post.publish(20)
    post.until(lambda: len(endpoint.acknowledged) == 20)
    assert {one.authorization for one in endpoint.arrivals} == {"Bearer token-1"}
    accepted.clear()  # its tokens are revoked
    post.publish(1)
    post.until(lambda: len(endpoint.acknowledged) == 21)
    assert endpoint.arrivals[-1].authorization == "Bearer token-2"
    trace = owner.ask("GET", f"{at}/attempts?event=e000020")[1]["attempts"]
    assert [row["outcome"] for row in trace] in ([], ["acknowledged"])  # one attempt, whatever it took
    assert [urllib.parse.parse_qs(form)["scope"] for form in server.asked] == [["events"], ["events"]]

    endpoint.tokens = None
    assert owner.ask("DELETE", f"{at}/oauth2")[0] == 204
    post.until(lambda: post.publish(1) is not None and endpoint.arrivals[-1].authorization is None)

    status, problem = stranger.ask("PUT", f"{at}/oauth2", credentials)
    assert (status, problem["type"].rpartition(":")[2]) == (404, "subscription_unknown")
    for refused, reason in (
        ({"token_url": f"http://10.0.0.1:{server.port}/"}, "token_url_address_private"),
        ({"token_url": f"http://user@127.0.0.1:{server.port}/"}, "token_url_userinfo"),
        ({"client_id": ""}, "string_too_short"),
    ):
        status, problem = owner.ask("PUT", f"{at}/oauth2", credentials | refused)
        assert (status, problem["errors"][0]["reason"]) == (422, reason)
        assert "s3cret" not in json.dumps(problem)
