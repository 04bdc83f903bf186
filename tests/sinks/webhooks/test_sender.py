"""The sender against receivers that lie: real sockets, real bytes; every one ends in a sorted answer, in time."""

import asyncio
import gzip
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.clock import SystemClock
from sinks.webhooks import sender as sender_module
from sinks.webhooks.destinations import Rules
from sinks.webhooks.exchange import ANSWER_BYTES_MAX, TimeLimits
from sinks.webhooks.handshake import Granted, Refused
from sinks.webhooks.schedule import Answer
from sinks.webhooks.sender import Sender

T = TypeVar("T")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMITS = TimeLimits(connect_s=0.4, headers_s=0.4, body_s=0.4)
BODY = b'{"specversion":"1.0"}'


class Receiver:
    """A server that says what it is told, and keeps what it heard."""

    def __init__(self, answer: bytes | Serve) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not reader.at_eof():
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                self.heard.append(head + await reader.readexactly(length))
                if not isinstance(self.answer, bytes):
                    await self.answer(reader, writer)
                    return
                writer.write(self.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # the sender had enough
        finally:
            writer.close()


def _run(
    receiver: Receiver,
    ask: Callable[[Sender, str], Awaitable[T]],
    *,
    host: str = "127.0.0.1",
    lookup: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    networks: tuple[str, ...] = ("127.0.0.0/8",),
    server_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
) -> T:
    async def run() -> T:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=server_tls)
        port = server.sockets[0].getsockname()[1]
        rules = Rules(tuple(map(ipaddress.ip_network, networks)), is_plain_allowed=True, ports=frozenset({port}))
        sender = Sender(rules, SystemClock(), origin="dujiang.example.org", limits=LIMITS, lookup=lookup, tls=client_tls)
        try:
            return await ask(sender, f"{'https' if server_tls else 'http'}://{host}:{port}/hook")
        finally:
            await sender.close()
            server.close()

    return asyncio.run(run())


def _post(receiver: Receiver, **more: object) -> Answer:
    async def ask(sender: Sender, url: str) -> Answer:
        return await sender.post(url, BODY, {"Content-Type": "application/cloudevents+json", "webhook-id": "msg_1"})

    return _run(receiver, ask, **more)  # type: ignore[arg-type]


def _bounded(answer: Answer, started_s: float) -> Answer:
    assert time.monotonic() - started_s < 3
    return answer


def test_what_is_sent_is_the_body_our_headers_and_the_origin() -> None:
    receiver = Receiver(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert _post(receiver) == Answer("acknowledged", 204)
    [heard] = receiver.heard
    assert heard.endswith(b"\r\n\r\n" + BODY)
    assert b"WebHook-Request-Origin: dujiang.example.org\r\n" in heard
    assert b"webhook-id: msg_1\r\n" in heard
    assert b"Accept-Encoding: identity\r\n" in heard


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    receiver = Receiver(b"HTTP/1.1 %d Moved\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n" % status)
    assert _post(receiver) == Answer("redirected", status)
    assert len(receiver.heard) == 1


def test_retry_after_is_read() -> None:
    receiver = Receiver(b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nlate")
    assert _post(receiver) == Answer("throttled", 429, 17.0, "late")


def test_410_is_gone() -> None:
    assert _post(Receiver(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")) == Answer("gone", 410)


async def _trickle_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _trickle_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _number in range(1000):
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


@pytest.mark.parametrize("serve", [_trickle_headers, _trickle_body, _silence])
def test_a_slow_loris_gets_its_time_and_no_more(serve: Serve) -> None:
    started_s = time.monotonic()
    assert _bounded(_post(Receiver(serve)), started_s) == Answer("timeout")


def test_half_a_body_is_no_acknowledgement() -> None:
    async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    assert _post(Receiver(half)).outcome == "broken"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"],
)
def test_what_is_no_http_or_too_much_of_it_is_broken(answer: bytes) -> None:
    assert _post(Receiver(answer)).outcome == "broken"


def test_a_connection_closed_without_a_word_is_no_acknowledgement() -> None:
    async def close(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    assert _post(Receiver(close)).outcome in {"broken", "unreachable"}


def test_an_endless_body_is_not_read_and_its_status_counts() -> None:
    sent = 0

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"a" * 65_536)
            await writer.drain()
            sent += 65_536

    started_s = time.monotonic()
    assert _bounded(_post(Receiver(endless)), started_s) == Answer("acknowledged", 200)
    assert sent < 500 * ANSWER_BYTES_MAX  # what the sockets' buffers hold, no more


def test_a_gzip_bomb_stays_packed() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    answer = b"HTTP/1.1 500 Oops\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    started_s = time.monotonic()
    found = _bounded(_post(Receiver(answer)), started_s)
    assert (found.outcome, found.status) == ("failed", 500)
    assert len(found.detail) <= 200


def test_control_characters_of_an_answer_are_not_kept() -> None:
    receiver = Receiver(b"HTTP/1.1 500 Oops\r\nContent-Length: 12\r\n\r\n\x1b[31mred\x00\r\nx")
    assert _post(receiver).detail == "[31mred   x"


def test_cookies_are_not_kept() -> None:
    async def twice(sender: Sender, url: str) -> None:
        await sender.post(url, BODY, {})
        await sender.post(url, BODY, {})

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    _run(receiver, twice)
    assert b"cookie" not in receiver.heard[1].lower()
    assert receiver.connections == 1  # kept open


def test_nobody_there_is_unreachable() -> None:
    async def ask(sender: Sender, url: str) -> Answer:
        return await sender.post(url, BODY, {})

    async def refuse(sender: Sender, url: str) -> Answer:
        return await sender.post("http://127.0.0.1:1/", BODY, {})

    assert _run(Receiver(b""), refuse).outcome == "destination"  # port 1 is not served

    async def run() -> Answer:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        rules = Rules((ipaddress.ip_network("127.0.0.0/8"),), is_plain_allowed=True, ports=frozenset({port}))
        sender = Sender(rules, SystemClock(), origin="o", limits=LIMITS)
        try:
            return await ask(sender, f"http://127.0.0.1:{port}/")
        finally:
            await sender.close()

    assert asyncio.run(run()).outcome == "unreachable"


# --- names ---


def test_a_name_that_resolves_to_an_inner_address_is_refused_before_any_connection() -> None:
    async def inner(_: str) -> Sequence[str]:
        return ["127.0.0.1"]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert _post(receiver, host="hook.example.org", lookup=inner, networks=()) == Answer(
        "destination", detail="address_private"
    )
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:127.0.0.2", "64:ff9b::a9fe:a9fe", "0.0.0.0", "::1", "fd00:ec2::254"]
)
def test_one_bad_address_among_good_ones_refuses_the_name(address: str) -> None:
    async def mixed(_: str) -> Sequence[str]:
        return ["127.0.0.1", address]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert _post(receiver, host="hook.example.org", lookup=mixed, networks=("127.0.0.1/32",)).outcome == "destination"
    assert receiver.connections == 0


def test_a_name_that_changes_to_an_inner_address_is_refused_at_the_next_connection() -> None:
    """DNS rebinding: the first look-up is good, the next is not."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[str] = []

    async def rebinding(host: str) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    async def twice(sender: Sender, url: str) -> list[Answer]:
        return [await sender.post(url, BODY, {}), await sender.post(url, BODY, {})]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    found = _run(receiver, twice, host="hook.example.org", lookup=rebinding, networks=("127.0.0.1/32",))
    assert found == [Answer("acknowledged", 200), Answer("destination", detail="address_private")]
    assert (len(asked), receiver.connections) == (2, 1)


def test_one_connection_asks_the_name_server_once() -> None:
    """What was checked is what is connected to: there is no second question that could be answered otherwise."""
    asked: list[str] = []

    async def counting(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    _post(receiver, host="hook.example.org", lookup=counting)
    assert asked == ["hook.example.org"]
    assert b"Host: hook.example.org:" in receiver.heard[0]


def test_a_name_server_that_is_silent_costs_one_attempt_its_time() -> None:
    async def silent(_: str) -> Sequence[str]:
        await asyncio.sleep(5)
        return []

    started_s = time.monotonic()
    assert _bounded(_post(Receiver(b""), host="hook.example.org", lookup=silent), started_s) == Answer("timeout")


def test_names_that_nobody_answers_for_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver needs ten seconds for each, and a partner may have a hundred of them."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if host.startswith("dead"):
            time.sleep(1.5)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(sender_module, "_addresses", lambda host: [str(one[4][0]) for one in getaddrinfo(host)])  # type: ignore[index]

    async def ask(sender: Sender, url: str) -> list[Answer]:
        port = url.rsplit(":", 1)[1].split("/")[0]
        dead = [asyncio.create_task(sender.post(f"http://dead{index}.example.org:{port}/", BODY, {})) for index in range(100)]
        await asyncio.sleep(0.05)
        found = [await sender.post(url, BODY, {}) for _ in range(3)]
        assert {(await one).outcome for one in dead} == {"timeout"}
        await asyncio.sleep(1.5)
        return [*found, await sender.post(f"http://dead7.example.org:{port}/", BODY, {})]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    *found, again = _run(receiver, ask, host="hook.example.org")
    assert found == [Answer("acknowledged", 200)] * 3
    assert again.outcome == "unreachable"  # at once, out of memory
    assert asked.count("dead7.example.org") == 1


def test_a_certificate_of_another_host_or_nobody_is_refused(tmp_path: Path) -> None:
    async def there(_: str) -> Sequence[str]:
        return ["127.0.0.1"]

    receiver = Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    server_tls, client_tls = _tls(tmp_path, "other.example.org")
    more = {"host": "hook.example.org", "lookup": there, "server_tls": server_tls}
    assert _post(receiver, **more, client_tls=client_tls).outcome == "unreachable"
    assert _post(receiver, **more).outcome == "unreachable"
    assert receiver.heard == []
    server_tls, client_tls = _tls(tmp_path, "hook.example.org")
    assert _post(receiver, **(more | {"server_tls": server_tls}), client_tls=client_tls) == Answer("acknowledged", 200)


def _tls(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server with a certificate of `host`, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / f"{host}.pem"
    path.write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())


# --- handshake ---


class Endpoint(Receiver):
    """It answers OPTIONS with some headers and POST with a status."""

    def __init__(self, allowed: bytes, status: int) -> None:
        super().__init__(b"")
        self._allowed, self._status = allowed, status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                head = await reader.readuntil(b"\r\n\r\n")
                is_options = head.startswith(b"OPTIONS")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                self.heard.append(head + await reader.readexactly(length))
                if is_options:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + self._allowed + b"\r\n")
                else:
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self._status)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


def _shake(allowed: bytes, status: int, rate: int | None = 600) -> object:
    async def ask(sender: Sender, url: str) -> object:
        return await sender.shake_hands(url, rate)

    return _run(Endpoint(allowed, status), ask)


def test_consent_and_a_refused_probe_grant() -> None:
    allowed = b"WebHook-Allowed-Origin: dujiang.example.org\r\nWebHook-Allowed-Rate: 120\r\n"
    assert _shake(allowed, 401) == Granted(120)


@pytest.mark.parametrize(
    ("allowed", "status", "reason"),
    [
        (b"", 401, "origin_missing"),
        (b"WebHook-Allowed-Origin: other.org\r\n", 401, "origin_other"),
        (b"WebHook-Allowed-Origin: *\r\n", 401, "rate_missing"),
        (b"WebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: *\r\n", 200, "unsigned_accepted"),
        (b"WebHook-Allowed-Origin: *\r\nWebHook-Allowed-Rate: *\r\n", 500, "probe_unclear"),
    ],
)
def test_without_consent_or_with_an_open_door_nothing_is_granted(allowed: bytes, status: int, reason: str) -> None:
    answer = _shake(allowed, status)
    assert isinstance(answer, Refused)
    assert answer.reason == reason


def test_an_endpoint_that_is_not_there_does_not_consent() -> None:
    async def ask(sender: Sender, url: str) -> object:
        return await sender.shake_hands("http://10.0.0.1:1/", None)

    answer = _run(Receiver(b""), ask)
    assert isinstance(answer, Refused)
    assert answer.reason == "no_answer"
