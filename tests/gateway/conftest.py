"""A gateway that answers on a free port of the loopback, and the fake Kafka behind it."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import platformdirs
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from prometheus_client import CollectorRegistry

from dujiang.embedded.kafka import KafkaServer, start_kafka
from engine.clock import FakeClock
from engine.errors import Fault
from engine.kafka import Message, partition_of
from gateway import partners
from gateway.app import create_app
from gateway.body import BodyReader
from gateway.identity import Identity, Partner, digest_of, new_token
from gateway.limits import Allowance
from gateway.publisher import Acked, Outcome, Overloaded, RecordPublisher
from gateway.receipts import CLAIM_S, Blocked, Claimed, Claims, Receipts, Settlement
from gateway.replays import Use
from gateway.server import serve
from gateway.signatures import Signatures
from gateway.signed import PartnerKey
from gateway.store import Store
from monitoring.metrics import GatewayMetrics
from schemas.catalogue import default_registry
from schemas.topics import TOPICS
from tests.gateway.signing import AUDIENCE, Signer

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
SUSPENDED = "gov.stiib.research.project.suspended.v1"
CONTRACTED = "gov.stiib.research.project.contracted.v1"
START_S = 10


class FakePublisher:
    """Kafka as RecordPublisher promises it, in memory: `faults` by the record's key, `is_full` as Overloaded."""

    def __init__(self) -> None:
        self.records: list[Message] = []
        self.faults: dict[bytes, Fault] = {}
        self.every_fault: Fault | None = None
        self.is_full = False
        self.failed: str | None = None

    async def publish(self, messages: Sequence[Message]) -> list[Outcome]:
        if self.is_full:
            raise Overloaded("full")
        return [self._write(message) for message in messages]

    def failure(self) -> str | None:
        return self.failed

    def _write(self, message: Message) -> Outcome:
        fault = self.every_fault or self.faults.get(message.key)
        if fault is not None:
            return fault
        partition = partition_of(message.key, TOPICS[message.topic].partitions)
        offset = sum(1 for other in self.records if (other.topic, self._partition(other)) == (message.topic, partition))
        self.records.append(message)
        return Acked(message.topic, partition, offset)

    def _partition(self, message: Message) -> int:
        return partition_of(message.key, TOPICS[message.topic].partitions)


class FakeHealth:
    """As ready as the test says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def reasons(self) -> Sequence[str]:
        return self.said


class FakeDirectory:
    """Tokens in force, in memory; `fault` as a database that is away."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.known: dict[bytes, Identity] = {}
        self.fault: Fault | None = None

    async def find(self, digest: bytes) -> Identity | None:
        if self.fault is not None:
            raise self.fault
        return self.known.get(digest)

    def register(
        self,
        partner_id: str,
        *scopes: str,
        sources: tuple[str, ...] = (),
        allowance: Allowance = Allowance(1_000, 100_000, 1_000_000),  # noqa: B008 - a tuple
        token: str = "",
    ) -> str:
        """A partner with one token, or the token's partner changed; returns the token."""
        token = token or new_token()
        partner = Partner(partner_id, scopes, sources or (f"/partners/{partner_id}",), allowance)
        self.known[digest_of(token)] = Identity(partner, (), NOW + timedelta(days=1))
        return token


class FakeKeys:
    """Partners' keys in force, in memory; `fault` as a database that is away."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], PartnerKey] = {}
        self.fault: Fault | None = None

    async def find(self, partner_id: str, kid: str) -> PartnerKey | None:
        if self.fault is not None:
            raise self.fault
        return self.known.get((partner_id, kid))

    def register(self, signer: Signer) -> Signer:
        """The signer's key, in force for a day."""
        self.known[signer.partner_id, signer.kid] = signer.key(NOW + timedelta(days=1))
        return signer


class MemoryReplays:
    """Uses of tokens in memory; `fault` as a database that is away."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.fault: Fault | None = None

    async def is_first(self, use: Use) -> bool:
        if self.fault is not None:
            raise self.fault
        is_first = use.identity not in self.used
        self.used.add(use.identity)
        return is_first


class MemoryReceipts:
    """A ReceiptStore in memory; `fault` as a database that is away, `settle_fault` as one that goes away later."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows: dict[str, tuple[bytes, datetime, bool, Acked | None]] = {}
        self.fault: Fault | None = None
        self.settle_fault: Fault | None = None

    async def claim(self, claims: Claims) -> Claimed | Blocked:
        if self.fault is not None:
            raise self.fault
        won: list[str] = []
        settled: dict[str, Acked | None] = {}
        for identity, digest in claims.items():
            row = self.rows.get(identity)
            if row is None or not (row[2] or self._clock.now() - row[1] <= timedelta(seconds=CLAIM_S)):
                won.append(identity)
            elif row[0] != digest:
                return Blocked(identity, "conflict")
            elif not row[2]:
                return Blocked(identity, "in_flight")
            else:
                settled[identity] = row[3]
        self.rows |= {identity: (claims[identity], self._clock.now(), False, None) for identity in won}
        return Claimed(frozenset(won), settled)

    async def settle(self, settlement: Settlement) -> None:
        if self.settle_fault is not None:
            raise self.settle_fault
        for identity, place in settlement.settled.items():
            digest, claimed_at, _, _ = self.rows[identity]
            self.rows[identity] = (digest, claimed_at, True, place)
        for identity in settlement.released:
            del self.rows[identity]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The problem's slug."""
        assert self.headers["content-type"] == "application/problem+json"
        return str(self.json["type"]).removeprefix("urn:dujiang:problem:")

    @property
    def faults(self) -> list[tuple[str, str]]:
        return [(fault["pointer"], fault["reason"]) for fault in self.json["errors"]]


@dataclass
class Gateway:
    """A running gateway and what it stands on."""

    host: str
    port: int
    publisher: Any
    health: FakeHealth
    clock: FakeClock

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            is_chunked = "transfer-encoding" in (headers or {})
            connection.request(method, path, body, headers or {}, encode_chunked=is_chunked)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post(self, body: Any, content_type: str | None = STRUCTURED, **headers: str) -> Answer:
        """POST /events; anything but bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            named["content-type"] = content_type
        return self.request("POST", "/events", raw, named)


def run_gateway(publisher: RecordPublisher, **options: Any) -> Iterator[Gateway]:
    """A gateway in a thread with a loop of its own; ended when the generator is closed."""
    listening: list[str] = []
    started = threading.Event()
    health, clock = FakeHealth(), options.pop("clock", None) or FakeClock(NOW)
    resources = options.pop("resources", ())
    stop, loop = asyncio.Event(), asyncio.new_event_loop()
    prometheus = CollectorRegistry()
    app = create_app(
        registry=options.pop("registry", None) or default_registry(),
        publisher=publisher,
        clock=clock,
        health=health,
        metrics=GatewayMetrics(prometheus),
        prometheus=prometheus,
        extensions=["region"],
        **options,
    )

    def on_listening(address: str) -> None:
        listening.append(address)
        started.set()

    async def run() -> None:
        async with AsyncExitStack() as stack:
            for resource in (publisher, *resources):
                if isinstance(resource, AbstractAsyncContextManager):
                    await stack.enter_async_context(resource)
            await serve(app, host="127.0.0.1", port=0, stop=stop, on_listening=on_listening)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(START_S)
    port = int(listening[0].rpartition(":")[2])
    yield Gateway("127.0.0.1", port, publisher, health, clock)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def _shared_gateway() -> Iterator[Gateway]:
    yield from run_gateway(FakePublisher(), bodies=BodyReader(timeout_s=1.0))


@pytest.fixture
def gateway(_shared_gateway: Gateway) -> Gateway:
    """A gateway on a Kafka that has nothing yet and is well."""
    _shared_gateway.publisher.__init__()
    _shared_gateway.health.said = []
    return _shared_gateway


@pytest.fixture
def serve_gateway() -> Iterator[Callable[..., Gateway]]:
    """Start a gateway of one's own; ended after the test."""
    running: list[Iterator[Gateway]] = []

    def start(publisher: RecordPublisher, **options: Any) -> Gateway:
        running.append(run_gateway(publisher, **options))
        return next(running[-1])

    yield start
    for gateway in running:
        next(gateway, None)


@pytest.fixture
def fake_publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def directory() -> FakeDirectory:
    return FakeDirectory()


@pytest.fixture
def memory_receipts(clock: FakeClock) -> MemoryReceipts:
    return MemoryReceipts(clock)


@pytest.fixture
def keys() -> FakeKeys:
    return FakeKeys()


@pytest.fixture
def replays() -> MemoryReplays:
    return MemoryReplays()


@pytest.fixture
def guarded(
    serve_gateway: Callable[..., Gateway],
    fake_publisher: FakePublisher,
    directory: FakeDirectory,
    memory_receipts: MemoryReceipts,
    keys: FakeKeys,
    replays: MemoryReplays,
    clock: FakeClock,
) -> Gateway:
    """A gateway that asks for tokens, or for JWTs of the keys that it knows."""
    signatures = Signatures(keys, replays, clock, AUDIENCE)
    return serve_gateway(fake_publisher, directory=directory, receipts=Receipts(memory_receipts), signatures=signatures)


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """A valid event; whatever is given replaces what is in it, None takes it out."""

    def build(**changes: Any) -> dict[str, Any]:
        members = {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/partners/institute-7",
            "type": SUSPENDED,
            "subject": "P-2026-001",
            "time": "2026-02-28T10:00:00Z",
            "datacontenttype": "application/json",
            "data": {"reason": "设备故障"},
        } | changes
        return {name: value for name, value in members.items() if value is not None}

    return build


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A Kafka of the gateway's tests alone, since they stop and start it."""
    server = start_kafka(tmp_path_factory.mktemp("kafka"), platformdirs.user_cache_path("dujiang"), progress=lambda _: None)
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    topics = [NewTopic(topic.name, topic.partitions, 1) for topic in TOPICS.values()]
    for created in admin.create_topics(topics).values():
        created.result()
    yield server
    server.stop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(database, "tests")
    yield made
    made.close()


@pytest.fixture
def institute_registered(database: str) -> None:
    """The institute, and no other."""
    partner = Partner("institute-7", ("publish:*",), ("/partners/institute-7",), Allowance(100, 5_000, 1_000_000))
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        partners.put(cursor, partner, "Institute 7", "clerk", replace=False, every=None)
