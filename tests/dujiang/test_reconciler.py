"""The process that keeps the broker as the register has it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dujiang.embedded.ports import free_port
from dujiang.kafka_subscribers import Change
from dujiang.reconciler import LATE_ROUNDS, Rounds
from engine.clock import FakeClock
from engine.errors import EnvironmentFault, TransientFault
from tests.conftest import ROOT, Stage, ended

AWAY = TransientFault("Kafka: no broker")
RIGHT = Change("u", "right_given", "READ")


class Script:
    """What each round comes to, in order; the last stands for all after it."""

    def __init__(self, *answers: Sequence[Change] | Exception) -> None:
        self.answers = list(answers)
        self.rounds = 0

    def __call__(self) -> Sequence[Change]:
        self.rounds += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_fault_ends_nothing_and_health_says_which() -> None:
    clock = FakeClock(datetime(2026, 3, 2, tzinfo=UTC))
    rounds = Rounds(
        Script([RIGHT], AWAY, EnvironmentFault("no right", "grant it"), psycopg.OperationalError("gone"), []), clock, 30
    )
    assert rounds.health() == {"ready": False, "succeeded_s_ago": None, "fault": None}
    assert rounds.round()
    assert [rounds.round() for _ in range(3)] == [False] * 3
    assert rounds.health() == {"ready": True, "succeeded_s_ago": 0.0, "fault": "PostgreSQL: gone"}
    clock.advance(LATE_ROUNDS * 30 + 1)
    assert rounds.health()["ready"] is False
    assert rounds.round()
    assert rounds.health() == {"ready": True, "succeeded_s_ago": 0.0, "fault": None}


def test_a_bug_is_not_survived() -> None:
    with pytest.raises(ZeroDivisionError):
        Rounds(Script(ZeroDivisionError()), FakeClock(datetime(2026, 3, 2, tzinfo=UTC)), 30).run(threading.Event())


@pytest.mark.services
def test_it_runs_through_an_outage_of_kafka_until_it_is_told_to_stop(stage: Stage) -> None:
    """This broker asks for no rights, so all that a round can say is that there is nothing to do, or that Kafka does not."""
    nobody = f"127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    environment |= {
        "DUJIANG_KAFKA__BOOTSTRAP": nobody,
        "DUJIANG_DATABASE__DSN": stage.dsn,
        "DUJIANG_RECONCILE__HTTP_PORT": "0",
    }
    command = [sys.executable, "-u", "-m", "dujiang", "subscriptions", "reconcile", "--every", "1s"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process, ended(process):
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline().decode())
        assert found is not None

        def ready() -> tuple[int, Any]:
            try:
                with urllib.request.urlopen(found[0], timeout=5) as answer:  # noqa: S310
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read())

        stage.until(lambda: ready()[1]["fault"] is not None)
        assert ready()[0] == 503
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
