"""The demo's audit finds what it is for: a lost event, a forged receipt, a record that nobody sent."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dujiang.demo.account import Look, judged, settle
from dujiang.demo.audit import Findings, Parties, audit
from dujiang.demo.receipts import Receipts
from dujiang.settings import Kafka
from dujiang.wiring import SINKS, STEPS, Services
from engine.kafka import Message, Publisher
from engine.ledger import Account

pytestmark = pytest.mark.services

PARTIES = Parties({"/partners/a"}, {"hall-1"})
TOPIC = "research.project.event"


def submitted(number: int, source: str = "/partners/a") -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": source,
            "type": "gov.stiib.research.application.submitted.v1",
            "subject": f"P-{number}",
            "time": "2026-01-01T00:00:00Z",
            "data": {"call_id": "C", "title": "t", "lead": "l", "budget": 1},
        }
    ).encode()


class Run:
    """Ten events and a bad record through workers, with receipts as the gateway would give them."""

    def __init__(self, stage: Any, folder: Path) -> None:
        self.stage = stage
        self.services = Services(stage.bootstrap, stage.dsn)
        self.receipts = Receipts(folder / "receipts.tsv")
        self.kafka = Publisher(stage.options.kafka)
        self.before = stage.ends()
        self.places: list[tuple[str, int, int]] = []
        for number in range(10):
            self.send(submitted(number))
            self.receipts.take(_receipt(number, *self.places[-1]))
        self.send(b"no JSON")
        self.receipts.straight(*self.places[-1])

    def send(self, value: bytes) -> None:
        def settled(error: object, record: Any) -> None:
            assert error is None
            self.places.append((record.topic(), record.partition(), record.offset()))

        key = json.loads(value)["subject"].encode() if value.startswith(b"{") else b"bad"
        self.kafka.send(_message(key, value), settled)
        self.kafka.close()

    def settled(self) -> Look:
        self.stage.start(*STEPS, *SINKS)
        return settle(self.services, Kafka(), 30, threading.Event())

    def audited(self, look: Look) -> Findings:
        self.receipts.close()
        return audit(self.services, self.stage.options.kafka, self.receipts, PARTIES, self.before, look.ends)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.stage.dsn) as connection:
            connection.execute(statement)


def _message(key: bytes, value: bytes) -> Message:
    return Message(TOPIC, key, value, [("content-type", b"application/cloudevents+json")])


def _receipt(number: int, topic: str, partition: int, offset: int) -> dict[str, Any]:
    return {"source": "/partners/a", "id": f"e{number}", "topic": topic, "partition": partition, "offset": offset}


@pytest.fixture
def run(stage: Any, tmp_path: Path) -> Run:
    return Run(stage, tmp_path)


def test_a_true_run_has_nothing_against_it(run: Run) -> None:
    look = run.settled()
    assert look.is_settled
    found = run.audited(look)
    assert found.reasons == []
    assert found.notes == ["this run: 11 records in the log: 10 partner, 0 hook, 0 timer, 1 unreadable, 0 other"]
    verdict = judged(look, found.reasons, found.notes)
    assert verdict.line() == ("published=11 applied=10 duplicate=0 superseded=0 rejected=0 quarantined=1 lag=0 balanced=yes")


def test_events_of_strangers_are_only_told(run: Run) -> None:
    run.send(submitted(11, "/partners/somebody"))
    found = run.audited(run.settled())
    assert found.reasons == []
    assert "1 other" in found.notes[0]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda run: run.execute("DELETE FROM event_history WHERE event_id = 'e3'"),
            "1 events with a receipt are not in the history",
        ),
        (lambda run: run.execute("DELETE FROM quarantine"), "1 bad records went neither to quarantine nor away"),
        (
            lambda run: run.receipts.take(_receipt(77, *run.places[0])),
            "1 receipts name a place in the log that holds another event or none",
        ),
        (lambda run: run.receipts.take_hook(2), "webhooks were told 2 alerts accepted, the log holds 0"),
    ],
    ids=["history lost one", "quarantine lost one", "a receipt for nothing", "hooks too many"],
)
def test_what_is_missing_is_found(run: Run, spoil: Callable[[Run], None], reason: str) -> None:
    look = run.settled()
    spoil(run)
    assert reason in run.audited(look).reasons


def test_a_partners_record_that_nobody_sent_is_found_unless_its_answer_was_in_doubt(run: Run) -> None:
    run.send(submitted(20))
    run.send(submitted(21))
    run.receipts.doubt([("/partners/a", "e21")])
    assert run.audited(run.settled()).reasons == ["1 records of the partners stand in the log that nobody sent"]


def test_a_ledger_that_does_not_add_up_is_not_balanced(run: Run) -> None:
    run.settled()
    run.stage.stop()
    run.execute(
        "UPDATE ledger_day SET applied = applied - 1 WHERE (step, partition) IN"
        " (SELECT step, partition FROM ledger_day WHERE step = 'projects' AND applied > 0 LIMIT 1)"
    )
    verdict = judged(settle(run.services, Kafka(), 1, threading.Event()))
    assert not verdict.is_balanced
    assert "+1 records unaccounted for" in verdict.reasons[0]


def test_a_step_that_never_began_lags(run: Run) -> None:
    look = settle(run.services, Kafka(), 0.1, threading.Event())
    assert not look.is_settled
    verdict = judged(look)
    assert not verdict.is_balanced
    assert any(reason.startswith("history is ") for reason in verdict.reasons)


def test_the_line_sums_the_steps_and_leaves_the_sinks_out() -> None:
    accounts = [Account("calls", "t", 5, 4, 1, 0, 0, 0, 0, 0, 0), Account("history", "t", 5, 5, 0, 0, 0, 0, 0, 0, 0)]
    assert judged(Look({}, accounts, {})).line() == (
        "published=5 applied=4 duplicate=1 superseded=0 rejected=0 quarantined=0 lag=0 balanced=yes"
    )
