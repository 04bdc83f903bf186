"""Fixtures: a post office on real services, with deliverers as processes and endpoints in threads."""

import json
import secrets as chance
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dujiang.settings import Kafka
from dujiang.topics import connected
from engine.subscriptions import register, secrets
from schemas.subscriptions import Basis, Order, Place, Subscription, begun
from schemas.subscriptions.model import Actor
from schemas.topics import TOPICS
from tests.conftest import Stage
from tests.sinks.webhooks.receiver import Endpoint

ANNOUNCED = "gov.stiib.research.call.announced.v1"


class Post:
    """Subscriptions as the gateway would store them, and deliverers."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.endpoints: list[Endpoint] = []
        self._published = 0

    def endpoint(self, answer: Callable[[dict[str, object]], int] = lambda _: 200, *, delay_s: float = 0) -> Endpoint:
        made = Endpoint(chance.token_bytes(32), answer, delay_s=delay_s)
        self.endpoints.append(made)
        return made

    def subscribe(self, url: str, secret: bytes, *, is_validated: bool = True, **changes: Any) -> UUID:
        """From now on; all topics' positions, as the gateway stores them."""
        now = datetime.now(UTC)
        made = Subscription(
            **(
                {
                    "id": uuid4(),
                    "owner": "-",
                    "protocol": "HTTP",
                    "status": begun("HTTP", "partner", now),
                    "created_at": now,
                    "changed_at": now,
                    "sink": url,
                    "basis": Basis("supervision", "norm 1", "office 2"),
                }
                | changes
            )
        )
        with connected(self.stage.bootstrap, Kafka()) as broker:
            ends = broker.ends(TOPICS)
        with psycopg.connect(self.stage.dsn) as connection, connection.cursor() as cursor:
            register.add(cursor, made, {Place(*place): end for place, end in ends.items()})
            secrets.add(cursor, made.id, "v1", secret, None, now, None)
            if is_validated:
                register.move(cursor, made.id, Order("validate", "validated", "platform"), now)
        return made.id

    def move(self, subscription: UUID, verb: Any, reason: Any, by: Actor = "partner") -> None:
        with psycopg.connect(self.stage.dsn) as connection, connection.cursor() as cursor:
            register.move(cursor, subscription, Order(verb, reason, by), datetime.now(UTC))

    def in_transaction(self, work: Callable[[psycopg.Cursor[Any]], Any]) -> Any:
        with psycopg.connect(self.stage.dsn, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
            return work(cursor)

    def publish(self, count: int, *, keys: int = 10, source: str = "/partners/a") -> list[str]:
        """Events of calls; returns their ids in the order of publishing."""
        ids = [f"e{self._published + index:06}" for index in range(count)]
        lines = [
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": event_id,
                    "source": source,
                    "type": ANNOUNCED,
                    "subject": f"C-{(self._published + index) % keys}",
                    "time": "2026-03-02T08:00:00Z",
                    "data": {"title": "关键技术", "opens_at": "2026-03-02T08:00:00Z", "closes_at": "2026-06-01T08:00:00Z"},
                },
                ensure_ascii=False,
            ).encode()
            for index, event_id in enumerate(ids)
        ]
        self._published += count
        self.stage.send(lines)
        return ids

    def gateway(self, port: int, **settings: str) -> "subprocess.Popen[bytes]":
        return self.stage.gateway(port, **self._destinations(), **settings)

    def deliverer(self, **settings: str) -> "subprocess.Popen[bytes]":
        return self.stage.deliverer(**{**self._destinations(), "deliver__answer_s": "5", **settings})

    def _destinations(self) -> dict[str, str]:
        """The endpoints made so far."""
        ports = ",".join(str(endpoint.port) for endpoint in self.endpoints)
        return {"deliver__http": "true", "deliver__networks": '["127.0.0.0/8"]', "deliver__ports": f"[{ports}]"}

    def until(self, holds: Callable[[], bool], seconds_max: float = 40, describe: Callable[[], str] = lambda: "") -> None:
        self.stage.until(holds, seconds_max, describe)


@pytest.fixture
def post(stage: Stage) -> Iterator[Post]:
    made = Post(stage)
    yield made
    stage.stop()
    for endpoint in made.endpoints:
        endpoint.close()
