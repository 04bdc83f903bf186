"""One connection to a broker: what is published, who is refused, and what becomes of it when the broker goes or lies."""

import asyncio
import ipaddress
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from engine.subscriptions.secrets import Secret
from schemas.subscriptions import Subscription, begun
from schemas.subscriptions.settings import Mqtt5Settings
from sinks.queues.connection import HEARD_BYTES_MAX, IN_FLIGHT_MAX
from sinks.queues.mqtt import MqttTransport, client_id, message_of
from sinks.webhooks.credentials import Credential, credential_of, stored
from sinks.webhooks.destinations import Rules
from sinks.webhooks.exchange import TimeLimits
from sinks.webhooks.handshake import Granted, Refused
from sinks.webhooks.schedule import Answer
from sinks.webhooks.transport import Channel
from tests.sinks.queues.broker import PASSWORD, TOPIC, USER, Broker, Subscriber
from tests.sinks.webhooks.test_sender import _tls

T = TypeVar("T")

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ID = UUID("4eacf6f2-6edf-4e66-8f0c-0c4e341531e9")
BODY = b'{"deliverynumber":"17","specversion":"1.0","id":"a-1","source":"/p","type":"t"}'
HEADERS = {
    "webhook-id": "msg_1",
    "webhook-timestamp": "1772438400",
    "webhook-signature": "v1,AAAA",
    "traceparent": "00-1-2-01",
    "Authorization": "Bearer of-another",
    "Content-Type": "text/plain",
}
LIMITS = TimeLimits(connect_s=2, headers_s=2)


def held(user: str = USER, password: str = PASSWORD) -> list[Secret]:
    return [Secret(2, "plain", stored(Credential(identifier=user, secret=password))), Secret(1, "v1", b"k" * 32)]


def subscription(url: str, **settings: Any) -> Subscription:
    return Subscription(
        ID,
        "agency",
        "MQTT5",
        begun("MQTT5", "partner", NOW),
        NOW,
        NOW,
        sink=url,
        protocolsettings={"topicname": TOPIC} | settings,
        config={"rate_per_min": 600},
    )


def run(
    port: int,
    ask: Callable[[MqttTransport], Awaitable[T]],
    *,
    networks: tuple[str, ...] = ("127.0.0.0/8",),
    lookup: Any = None,
    tls: ssl.SSLContext | None = None,
) -> T:
    async def inside() -> T:
        rules = Rules(tuple(map(ipaddress.ip_network, networks)), is_plain_allowed=True, ports=frozenset({port}))
        transport = MqttTransport(rules, limits=LIMITS, lookup=lookup, tls=tls)
        try:
            return await ask(transport)
        finally:
            await transport.close()

    return asyncio.run(inside())


def validated(broker: Broker, secrets: list[Secret], **settings: Any) -> Granted | Refused:
    made = subscription(broker.url, **settings)
    return run(broker.port, lambda transport: transport.validate(made, secrets, None, None))


async def over(transport: MqttTransport, made: Subscription, use: Callable[[Channel], Awaitable[T]]) -> T:
    channel = transport.open(made, held())
    try:
        return await use(channel)
    finally:
        await channel.close()


def posted(broker: Broker, *bodies: bytes, **settings: Any) -> list[Answer]:
    made = subscription(broker.url, **settings)

    async def all_at_once(channel: Channel) -> list[Answer]:
        return list(await asyncio.gather(*(channel.post(broker.url, body, HEADERS) for body in bodies)))

    return run(broker.port, lambda transport: over(transport, made, all_at_once))


class TestMessage:
    def test_it_is_a_structured_cloudevent_with_number_and_signature_beside_it(self) -> None:
        made = message_of(Mqtt5Settings(topicname=TOPIC, expiry=60), BODY, HEADERS)
        assert (made.topic, made.body, made.retain, made.expiry_s) == (TOPIC, BODY, False, 60)
        assert made.content_type == "application/cloudevents+json; charset=utf-8"
        assert made.user_properties == [
            ("deliverynumber", "17"),
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1772438400"),
            ("webhook-signature", "v1,AAAA"),
            ("traceparent", "00-1-2-01"),
        ]

    def test_the_name_of_a_subscription_is_one_that_every_broker_takes(self) -> None:
        assert client_id(ID) == "dujiang4eacf6f26edf4e66"
        assert len(client_id(ID)) == 23

    def test_the_newest_credential_counts_and_is_not_shown(self) -> None:
        newer = Secret(3, "plain", stored(Credential(identifier="u", secret="s3cret")))
        found = credential_of([newer, *held()])
        assert found == Credential(identifier="u", secret="s3cret")
        assert "s3cret" not in repr(found)
        assert credential_of([Secret(1, "v1", b"k")]) is None


class TestBroker:
    def test_what_is_published_arrives_whole(self, broker: Broker) -> None:
        subscriber = Subscriber(broker)
        assert posted(broker, BODY) == [Answer("acknowledged")]
        broker_has(subscriber, 1)
        [message] = subscriber.messages
        assert (message.topic, message.body, message.is_retained) == (TOPIC, BODY, False)
        assert message.content_type == "application/cloudevents+json; charset=utf-8"
        assert message.user_properties["deliverynumber"] == "17"
        assert message.user_properties["webhook-signature"] == "v1,AAAA"
        assert "Authorization" not in message.user_properties
        subscriber.close()

    def test_many_at_once_share_one_connection(self, broker: Broker) -> None:
        assert posted(broker, *[BODY] * (3 * IN_FLIGHT_MAX)) == [Answer("acknowledged")] * (3 * IN_FLIGHT_MAX)
        log = (broker.folder / "log").read_text()
        assert log.count("New client connected") == 1

    def test_an_idle_connection_is_closed_and_made_again_when_needed(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sinks.queues.connection.TEND_S", 0.05)
        monkeypatch.setattr("sinks.queues.connection.IDLE_S", 0.1)
        made = subscription(broker.url)

        def log() -> str:
            return (broker.folder / "log").read_text()

        async def use(channel: Channel) -> list[Answer]:
            answers = [await channel.post(broker.url, BODY, HEADERS)]
            end_s = time.monotonic() + 10
            while "disconnected" not in log():
                assert time.monotonic() < end_s
                await asyncio.sleep(0.05)
            return [*answers, await channel.post(broker.url, BODY, HEADERS)]

        found = run(broker.port, lambda transport: over(transport, made, use))
        assert found == [Answer("acknowledged")] * 2
        assert log().count("New client connected") == 2

    def test_a_wrong_password_is_said_and_nothing_sent(self, broker: Broker) -> None:
        found = validated(broker, held(password="wrong"))
        assert isinstance(found, Refused)
        assert (found.reason, found.is_final) == ("credential_refused", True)
        assert "CONNACK 0x87" in found.message
        assert "wrong" not in found.message

    def test_a_topic_that_it_may_not_write_is_said(self, broker: Broker) -> None:
        found = validated(broker, held(), topicname="others/topic")
        assert isinstance(found, Refused)
        assert "PUBACK 0x87, not authorised" in found.message

    def test_a_broker_that_asks_for_nothing_has_agreed_to_nothing(self, broker: Broker) -> None:
        broker.close()
        broker.configure(is_open=True)
        broker.start()
        found = validated(broker, held())
        assert isinstance(found, Refused)
        assert (found.reason, found.is_final) == ("anonymous_accepted", True)

    def test_a_trial_message_that_is_taken_is_consent_at_the_rate_asked_for(self, broker: Broker) -> None:
        subscriber = Subscriber(broker)
        assert validated(broker, held()) == Granted(600)
        broker_has(subscriber, 1)
        assert subscriber.messages[0].event["type"] == "dujiang.handshake.probe"
        subscriber.close()

    def test_a_broker_that_dies_and_comes_back_gets_what_it_missed(self, broker: Broker) -> None:
        made = subscription(broker.url)

        async def use(channel: Channel) -> list[str]:
            outcomes = [(await channel.post(broker.url, BODY, HEADERS)).outcome]
            await asyncio.to_thread(broker.kill)
            outcomes.append((await channel.post(broker.url, BODY, HEADERS)).outcome)
            await asyncio.to_thread(broker.start)
            return [*outcomes, (await channel.post(broker.url, BODY, HEADERS)).outcome]

        found = run(broker.port, lambda transport: over(transport, made, use))
        assert found == ["acknowledged", "unreachable", "acknowledged"]

    def test_what_it_says_it_will_not_take_is_not_sent(self, broker: Broker) -> None:
        broker.close()
        broker.configure("max_packet_size 2000")
        broker.start()
        large = BODY[:-1] + b',"data":"' + b"x" * 2_000 + b'"}'
        found = posted(broker, BODY, large)
        assert found == [
            Answer("acknowledged"),
            Answer("unprocessable", detail="larger than the broker takes; it takes 2000 bytes"),
        ]

    def test_tls_is_for_the_name_and_the_connection_for_the_address_that_was_checked(
        self, broker: Broker, tmp_path: Path
    ) -> None:
        _, trusting = _tls(tmp_path, "broker.agency.example")
        broker.close()
        broker.configure(pem=tmp_path / "broker.agency.example.pem")
        broker.start()

        async def here(_: str) -> list[str]:
            return ["127.0.0.1"]

        def outcome(host: str, tls: ssl.SSLContext | None, lookup: Any = here) -> Answer:
            url = f"mqtts://{host}:{broker.port}"
            made = subscription(url)
            return run(
                broker.port,
                lambda transport: over(transport, made, lambda channel: channel.post(url, BODY, HEADERS)),
                lookup=lookup,
                tls=tls,
            )

        assert outcome("broker.agency.example", trusting) == Answer("acknowledged")
        assert outcome("other.agency.example", trusting).outcome == "unreachable"
        assert outcome("broker.agency.example", None).outcome == "unreachable"  # nobody vouches for it

        async def inner(_: str) -> list[str]:
            return ["127.0.0.1", "10.0.0.1"]

        assert outcome("broker.agency.example", trusting, inner) == Answer("destination", detail="address_private")


def broker_has(subscriber: Subscriber, count: int) -> None:
    end_s = time.monotonic() + 10
    while len(subscriber.messages) < count:
        assert time.monotonic() < end_s
        time.sleep(0.02)


class Liar:
    """A broker of bytes: accepts whoever comes, then does what it is told."""

    def __init__(self, connack: bytes, told: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.connack = connack
        self.told = told

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await packet(reader)
            writer.write(self.connack)
            await writer.drain()
            await self.told(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return  # it was hung up on
        finally:
            writer.close()


async def packet(reader: asyncio.StreamReader) -> bytes:
    """The next packet of the client, without its fixed header."""
    await reader.readexactly(1)
    length, shift = 0, 0
    while True:
        [byte] = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return await reader.readexactly(length)


def with_liar(liar: Liar, use: Callable[[Channel, str], Awaitable[T]]) -> T:
    async def inside() -> T:
        server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rules = Rules((ipaddress.ip_network("127.0.0.0/8"),), is_plain_allowed=True, ports=frozenset({port}))
        transport = MqttTransport(rules, limits=TimeLimits(connect_s=1, headers_s=1.5))
        url = f"mqtt://127.0.0.1:{port}"
        channel = transport.open(subscription(url), held())
        try:
            return await use(channel, url)
        finally:
            await channel.close()
            await transport.close()
            server.close()

    return asyncio.run(inside())


ACCEPTED = bytes((0x20, 3, 0, 0, 0))


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while True:
        await packet(reader)


async def _floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A message that nobody asked for, of 256 MB."""
    await packet(reader)
    writer.write(b"\x30\xff\xff\xff\x7f" + b"x" * (4 * HEARD_BYTES_MAX))
    await writer.drain()
    await packet(reader)


async def _too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up once it has both."""
    await packet(reader)
    await packet(reader)
    writer.write(bytes((0xE0, 2, 0x95, 0)))
    await writer.drain()


async def _quota(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        found = await packet(reader)
        [size] = struct.unpack("!H", found[:2])
        writer.write(b"\x40\x03" + found[2 + size : 4 + size] + b"\x97")
        await writer.drain()


async def _one(channel: Channel, url: str) -> Answer:
    return await channel.post(url, BODY, HEADERS)


@pytest.mark.parametrize(
    ("connack", "told", "answer"),
    [
        (ACCEPTED, _silent, Answer("timeout")),
        (b"", _silent, Answer("timeout", detail="the broker did not accept the connection in time")),
        (b"\x15\x03\x01\x00\x02\x02\x46", _silent, Answer("broken", detail="what was answered is no MQTT 5")),
        (ACCEPTED, _floods, Answer("unreachable", detail="the connection was lost")),
        (ACCEPTED, _quota, Answer("throttled", detail="PUBACK 0x97, quota exceeded")),
        (bytes((0x20, 3, 0, 0x86, 0)), _silent, Answer("unauthorised", detail="CONNACK 0x86, bad user name or password")),
        (
            bytes((0x20, 5, 0, 0, 2, 36, 0)),
            _silent,
            Answer("failed", detail="the broker takes QoS 0 only, which acknowledges nothing"),
        ),
    ],
    ids=["silent", "silent from the start", "TLS", "floods", "quota", "refuses", "QoS 0"],
)
def test_whatever_a_broker_does_an_attempt_ends_in_time(connack: bytes, told: Any, answer: Answer) -> None:
    assert with_liar(Liar(connack, told), _one) == answer


def test_of_several_under_way_the_largest_was_too_large() -> None:
    large = BODY[:-1] + b',"data":"' + b"x" * 2_000 + b'"}'

    async def both(channel: Channel, url: str) -> list[str]:
        answers = await asyncio.gather(*(channel.post(url, body, HEADERS) for body in (BODY, large)))
        return [answer.outcome for answer in answers]

    assert with_liar(Liar(ACCEPTED, _too_large), both) == ["failed", "unprocessable"]


def test_a_broker_has_no_more_under_way_than_it_takes() -> None:
    """Receive Maximum 2: the third waits for an acknowledgement."""
    most = 0

    async def two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        held_back: list[bytes] = []
        while True:
            try:
                found = await asyncio.wait_for(packet(reader), 0.05)
            except TimeoutError:
                most = max(most, len(held_back))
                for identifier in held_back:
                    writer.write(b"\x40\x02" + identifier)
                held_back.clear()
                continue
            [size] = struct.unpack("!H", found[:2])
            held_back.append(found[2 + size : 4 + size])

    async def many(channel: Channel, url: str) -> list[str]:
        return [one.outcome for one in await asyncio.gather(*(channel.post(url, BODY, HEADERS) for _ in range(7)))]

    assert with_liar(Liar(bytes((0x20, 6, 0, 0, 3, 33, 0, 2)), two), many) == ["acknowledged"] * 7
    assert most == 2
