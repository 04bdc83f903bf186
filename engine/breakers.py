"""The breakers of a runner's partitions: who is paused and why, kept in a table so that the next owner knows it too."""

from collections.abc import Sequence
from typing import Any

import structlog
from psycopg import Cursor

from engine.breaker import Breaker
from engine.clock import Clock
from engine.database import Database
from engine.intake import Intake
from engine.options import BreakerOptions
from engine.records import Place
from engine.status import RunnerStatus
from monitoring.metrics import EngineMetrics


class Breakers:
    """One a partition that had a bad record. All calls come from the runner's thread."""

    def __init__(
        self,
        options: BreakerOptions,
        *,
        intake: Intake,
        database: Database,
        status: RunnerStatus,
        metrics: EngineMetrics,
        clock: Clock,
    ) -> None:
        self._options = options
        self._intake = intake
        self._database = database
        self._status = status
        self._metrics = metrics
        self._clock = clock
        self._breakers: dict[Place, Breaker] = {}
        self._probe_at: dict[Place, float] = {}
        self._log = structlog.get_logger().bind(step=status.name)

    @property
    def are_quiet(self) -> bool:
        """Nothing was bad so far: good records need not be shown."""
        return not self._breakers

    def judge(self, place: Place, offset: int, is_bad: bool) -> int | None:
        """Where the flood began that this record makes one, or None."""
        return self._breaker(place).judge(offset, is_bad)

    def rewind(self, place: Place, offset: int) -> None:
        """The partition goes on from this offset; what was judged beyond it comes again."""
        if place in self._breakers:
            self._breakers[place].rewind(offset)

    def trip(self, place: Place, offset: int) -> None:
        """Pause a partition and go back to where its flood began."""
        topic, partition = place
        breaker = self._breakers[place]
        breaker.rewind(offset)
        self._intake.shut(place)
        self._intake.seek(place, offset)
        self._probe_at[place] = self._clock.monotonic_s() + self._options.probe_s
        message = (
            f"{topic} p{partition}@{offset}: {breaker.describe()}; a wrong deploy or contract? Nothing went to quarantine."
            " Look: `dujiang breaker list`. If they are bad indeed:"
            f" `dujiang breaker allow {self._status.name} {topic} {partition}`"
        )
        if self._status.paused.get(place) == message:
            return
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO breaker (step, topic, partition, opened_at, next_offset, message)"
                " VALUES (%s, %s, %s, now(), %s, %s)"
                " ON CONFLICT (step, topic, partition) DO UPDATE SET opened_at = now(), next_offset = excluded.next_offset,"
                " message = excluded.message, allowed_until = NULL, allowed_by = NULL",
                (self._status.name, topic, partition, offset, message),
            )
        self._pause(place, message)
        self._log.error("breaker open", message=message)

    def probe(self) -> None:
        """Look again at paused partitions: a corrected contract, or an operator's word, lets them go on."""
        now_s = self._clock.monotonic_s()
        due = [place for place, at in self._probe_at.items() if at <= now_s]
        if not due:
            return
        with self._database.transaction() as cursor:
            self.recall(cursor, due)
        for place in due:
            del self._probe_at[place]
            self._intake.open(place)

    def recall(self, cursor: Cursor[Any], places: Sequence[Place]) -> None:
        """What the table knows of these partitions: paused by us or by a worker before us, and what an operator allowed."""
        cursor.execute("SELECT topic, partition, allowed_until, message FROM breaker WHERE step = %s", (self._status.name,))
        for topic, partition, allowed_until, message in cursor.fetchall():
            place = (topic, partition)
            if place not in places:
                continue
            self._pause(place, message)
            if allowed_until is not None:
                self._breaker(place).allowed_until = allowed_until

    def settle(self) -> None:
        """A partition that passed the offset it was paused at is open again."""
        for place in [place for place in self._status.paused if place not in self._probe_at]:
            with self._database.transaction() as cursor:
                cursor.execute(
                    "DELETE FROM breaker WHERE step = %s AND topic = %s AND partition = %s AND next_offset <"
                    " (SELECT next_offset FROM ledger WHERE step = %s AND topic = %s AND partition = %s)",
                    (self._status.name, *place, self._status.name, *place),
                )
                is_past = cursor.rowcount > 0
            if is_past:
                self._status.paused = {at: why for at, why in self._status.paused.items() if at != place}
                self._metrics.breaker_open.labels(self._status.name, place[0], str(place[1])).set(0)
                self._log.info("breaker closed", topic=place[0], partition=place[1])

    def forget(self, places: Sequence[Place]) -> None:
        """They are another worker's now."""
        for place in places:
            self._breakers.pop(place, None)
            self._probe_at.pop(place, None)
            self._metrics.breaker_open.remove(self._status.name, place[0], str(place[1]))
        self._status.paused = {place: why for place, why in self._status.paused.items() if place not in places}

    def _breaker(self, place: Place) -> Breaker:
        breaker = self._breakers.get(place)
        if breaker is None:
            breaker = self._breakers[place] = Breaker(self._options)
        return breaker

    def _pause(self, place: Place, why: str) -> None:
        self._status.paused = {**self._status.paused, place: why}
        self._metrics.breaker_open.labels(self._status.name, place[0], str(place[1])).set(1)
