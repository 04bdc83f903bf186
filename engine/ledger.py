"""The ledger: next offset per step and partition, moved by compare-and-set in the transaction that holds the effects.

It decides where a step goes on after a crash, refuses a zombie's commit, and with `ledger_day` shows that every offset ended as
exactly one outcome.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from psycopg import Cursor

from engine.errors import Fenced, TransientFault
from engine.records import Place

OUTCOMES = (
    "applied",
    "duplicate",
    "superseded",
    "rejected",
    "quarantined",
    "parked",
    "late_applied",
    "late_rejected",
    "gap",
)


def place(cursor: Cursor[Any], step: str, at: Place, low: int) -> int:
    """The offset to go on from; a partition seen for the first time starts at `low`, the log's beginning."""
    cursor.execute(
        "INSERT INTO ledger (step, topic, partition, start_offset, next_offset) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (step, *at, low, low),
    )
    cursor.execute("SELECT next_offset FROM ledger WHERE step = %s AND topic = %s AND partition = %s", (step, *at))
    row = cursor.fetchone()
    assert row is not None  # inserted above  # noqa: S101
    return int(row[0])


def make_way(cursor: Cursor[Any], step: str, places: Iterable[Place], writer: str, patience_s: float) -> None:
    """End the transaction of a former owner that stands on our rows. Raises TransientFault while there was one.

    For the owner of `places` alone, before it goes on from the ledger. A worker that is frozen in the middle of a COPY is ended
    by none of the server's own limits, since the server waits for the rest of a message as long as the client's host answers.
    One that is only slow has until its transaction is `patience_s` old. `writer`: the name of the sessions that write this
    step's batches; anybody else's session is left alone.
    """
    topics, partitions = zip(*places, strict=True)
    cursor.execute(
        "SELECT holder.pid,"
        " CASE WHEN clock_timestamp() - holder.xact_start > make_interval(secs => %s) THEN pg_terminate_backend(holder.pid) END"
        " FROM pg_stat_activity holder WHERE holder.application_name = %s AND holder.pid <> pg_backend_pid()"
        " AND holder.backend_xid IN"
        " (SELECT ledger.xmax FROM ledger JOIN unnest(%s::text[], %s::int[]) AS ours(topic, partition) USING (topic, partition)"
        " WHERE step = %s)",
        (patience_s, writer, list(topics), list(partitions), step),
    )
    held = [f"session {pid} {'ended' if ended else f'has {patience_s:.0f} s'}" for pid, ended in cursor.fetchall()]
    if held:
        raise TransientFault(f"PostgreSQL: another worker is in the middle of a batch of {step}: {', '.join(held)}")


def move(cursor: Cursor[Any], step: str, start: Mapping[Place, int], end: Mapping[Place, int]) -> None:
    """Compare-and-set all partitions of a batch. Raises Fenced when one is not where we left it."""
    places = list(start)
    cursor.execute(
        "UPDATE ledger SET next_offset = moved.next, moved_at = now()"
        " FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[]) AS moved(topic, partition, expected, next)"
        " WHERE ledger.step = %s AND ledger.topic = moved.topic AND ledger.partition = moved.partition"
        " AND ledger.next_offset = moved.expected",
        (
            [topic for topic, _ in places],
            [partition for _, partition in places],
            [start[at] for at in places],
            [end[at] for at in places],
            step,
        ),
    )
    if cursor.rowcount != len(places):
        raise Fenced(f"{step}: the ledger is not where this worker left it; another worker owns one of {places}")


def book(cursor: Cursor[Any], step: str, outcomes: Mapping[tuple[str, int, date], Counter[str]]) -> None:
    """Add a batch's outcomes to their days."""
    if not outcomes:
        return
    columns = ", ".join(OUTCOMES)
    sums = ", ".join(f"{name} = ledger_day.{name} + excluded.{name}" for name in OUTCOMES)
    rows = [
        (step, topic, partition, day, *(counts[name] for name in OUTCOMES))
        for (topic, partition, day), counts in outcomes.items()
    ]
    marks = ", ".join(["(" + ", ".join(["%s"] * (4 + len(OUTCOMES))) + ")"] * len(rows))
    statement = (
        f"INSERT INTO ledger_day (step, topic, partition, day, {columns}) VALUES {marks}"  # noqa: S608 - fixed names
        f" ON CONFLICT (step, topic, partition, day) DO UPDATE SET {sums}"
    )
    cursor.execute(statement, [value for row in sorted(rows) for value in row])


class Account(NamedTuple):
    """A step's account of a topic. `published` counts offsets from where the step began to the log's end."""

    step: str
    topic: str
    published: int
    applied: int
    duplicate: int
    superseded: int
    rejected: int
    quarantined: int
    waiting: int
    gap: int
    lag: int

    @property
    def unaccounted(self) -> int:
        """0, or something was lost (above) or counted twice (below)."""
        booked = self.applied + self.duplicate + self.superseded + self.rejected + self.quarantined + self.gap
        return self.published - booked - self.lag


def accounts(cursor: Cursor[Any], ends: Mapping[Place, int], steps: Sequence[str] = ()) -> list[Account]:
    """All accounts, given the log's end offset per partition. A parked record counts as rejected until it is applied late.

    `waiting` says how many of the rejected are parked and may yet be applied.
    """
    # One statement, so that both tables are seen at one moment: a batch committed between two would look lost or doubled.
    cursor.execute(
        "SELECT step, topic, partition, start_offset, next_offset, NULL FROM ledger WHERE %s OR step = ANY(%s)"
        " UNION ALL SELECT step, topic, NULL, NULL, NULL, ARRAY[sum(applied), sum(duplicate), sum(superseded), sum(rejected),"
        " sum(quarantined), sum(parked), sum(late_applied), sum(late_rejected), sum(gap)]::bigint[]"
        " FROM ledger_day GROUP BY step, topic ORDER BY 1, 2, 3",
        (not steps, list(steps)),
    )
    passed: Counter[tuple[str, str]] = Counter()
    behind: Counter[tuple[str, str]] = Counter()
    booked: dict[tuple[str, str], list[int]] = {}
    for step, topic, partition, start, following, counts in cursor.fetchall():
        if counts is not None:
            booked[step, topic] = counts
            continue
        end = ends.get((topic, partition), following)
        passed[step, topic] += end - start
        behind[step, topic] += end - following
    return [
        _account(step, topic, published, behind[step, topic], booked.get((step, topic), [0] * 9))
        for (step, topic), published in passed.items()
    ]


def _account(step: str, topic: str, published: int, lag: int, booked: Sequence[int]) -> Account:
    applied, duplicate, superseded, rejected, quarantined, parked, late, late_rejected, gap = booked
    waiting = parked - late - late_rejected
    return Account(
        step,
        topic,
        published,
        applied + late,
        duplicate,
        superseded,
        rejected + parked - late,
        quarantined,
        waiting,
        gap,
        lag,
    )


def unbalanced(found: Iterable[Account]) -> list[Account]:
    """Those that need a person."""
    return [account for account in found if account.unaccounted]
