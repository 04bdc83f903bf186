"""What people may do in the console: every deed asks for a right, and is on record in the transaction that does it.

Alerts change by events through Kafka alone, as for any other publisher: the rules decide whether an acknowledgement holds. A
quarantined record is repaired by publishing a new one (engine/quarantine.py).
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

from psycopg import Cursor

from engine import quarantine
from engine.clock import Clock
from engine.errors import RecordFault
from engine.kafka import Message
from engine.records import Refused
from engine.subscriptions import backfills
from gateway.console.rights import Right, Role, User
from gateway.console.users import record
from gateway.store import Store
from schemas.cloudevents import kafka_binding
from schemas.contract import Fact, instant_text
from schemas.registry import Registry

SOURCE: Final = "/console/deeds"  # reserved: the gateway refuses it from anybody
TEXT_CHARS_MAX: Final = 2_000
VALUE_BYTES_MAX: Final = 1_048_576
SILENCE_DAYS_MAX: Final = 31  # the rule's (streams/alerts.py), which the gateway does not import; a test holds them equal


class DeedRefused(Exception):
    """What was asked for cannot be. `word` and `values` say why, in the console's words."""

    def __init__(self, word: str, **values: object) -> None:
        super().__init__(word)
        self.word = word
        self.values = values


class Judged(NamedTuple):
    """A repaired record by today's contract: where it would go, or what is still wrong."""

    topic: str
    key: str
    fault: RecordFault | None


class Deeds:
    """`publish` returns once all in-sync replicas have the messages, or raises a Fault."""

    def __init__(self, store: Store, publish: Callable[[Sequence[Message]], None], registry: Registry, clock: Clock) -> None:
        self._store, self._publish, self._registry, self._clock = store, publish, registry, clock

    # --- alerts ---

    async def acknowledge(self, user: User, key: str) -> None:
        """Somebody takes it on."""
        _need(user, Right.HANDLE_ALERTS)
        await self._alert_event(user, key, "infra.alert.acknowledged", {"by": user.name}, "acknowledge", {})

    async def close(self, user: User, key: str, reason: str, *, is_forced: bool) -> None:
        """Somebody ends it. Raises DeedRefused without a reason where it still fires."""
        _need(user, Right.HANDLE_ALERTS)
        reason = text_of(reason)
        if is_forced and not reason:
            raise DeedRefused("reason_missing")
        data = {"by": user.name, "reason": reason, "force": is_forced}
        await self._alert_event(user, key, "infra.alert.closed", data, "close", {"text": reason, "is_forced": is_forced})

    async def silence(self, user: User, keys: Sequence[str], hours: int, reason: str) -> None:
        """Quiet for each of these alerts, until so many hours from now. Raises DeedRefused without a reason."""
        _need(user, Right.HANDLE_ALERTS)
        reason = text_of(reason)
        if not reason:
            raise DeedRefused("reason_missing")
        if not keys:
            raise DeedRefused("silence_nothing")
        if not 1 <= hours <= 24 * SILENCE_DAYS_MAX:
            raise DeedRefused("silence_days_max", days=SILENCE_DAYS_MAX)
        until = instant_text(self._clock.now() + timedelta(hours=hours))
        data = {"by": user.name, "reason": reason, "until": until}
        await self._alert_events(user, keys, "infra.alert.silenced", data, "silence", {"text": reason, "until": until})

    async def unsilence(self, user: User, key: str) -> None:
        """The quiet ends before its time."""
        _need(user, Right.HANDLE_ALERTS)
        await self._alert_event(user, key, "infra.alert.unsilenced", {"by": user.name}, "unsilence", {})

    async def assign(self, user: User, key: str, to: str, episode: int) -> None:
        """It is somebody's, until the episode is over."""
        _need(user, Right.HANDLE_ALERTS)

        def work(cursor: Cursor[Any]) -> None:
            cursor.execute("SELECT role FROM console_user WHERE name = %s", (to,))
            row = cursor.fetchone()
            if row is None or not User(to, Role(row[0])).may(Right.HANDLE_ALERTS):
                raise DeedRefused("missing_why", what="user", key=to)
            record(cursor, user.name, "assign", "alert", key, {"to": to, "episode": episode})

        await self._store.call(work)

    async def comment(self, user: User, kind: str, key: str, text: str) -> None:
        """A word for colleagues, about an alert or a record."""
        _need(user, Right.HANDLE_ALERTS if kind == "alert" else Right.REPAIR_DATA)
        text = text_of(text)
        if not text:
            raise DeedRefused("reason_missing")
        await self._store.call(lambda cursor: record(cursor, user.name, "comment", kind, key, {"text": text}))

    async def _alert_event(
        self, user: User, key: str, name: str, data: dict[str, Any], action: str, detail: dict[str, Any]
    ) -> None:
        await self._alert_events(user, [key], name, data, action, detail)

    async def _alert_events(
        self, user: User, keys: Sequence[str], name: str, data: dict[str, Any], action: str, detail: dict[str, Any]
    ) -> None:
        """One event and one row for each; all of them or none are on record."""
        now = self._clock.now()
        facts = [Fact(name, str(uuid4()), SOURCE, key, now, data) for key in keys]
        topic = self._registry.contracts[self._registry.wire_type(name)].topic_names[0]
        messages = []
        for fact in facts:
            sent = kafka_binding.encode_structured(self._registry.event(fact), fact.key)
            messages.append(Message(topic, fact.key.encode(), sent.value, sent.headers))

        def work(cursor: Cursor[Any]) -> None:
            for fact in facts:
                record(cursor, user.name, action, "alert", fact.key, detail | {"event_id": fact.id})
            self._publish(messages)

        await self._store.call(work)

    # --- long work ---

    async def cancel_work(self, user: User, work_id: int) -> None:
        """Ask a work to stop after its step; of a backfill, pause its subscription. Raises DeedRefused when it is over."""
        _need(user, Right.CANCEL_WORKS)
        now = self._clock.now()

        def work(cursor: Cursor[Any]) -> None:
            if not backfills.cancel(cursor, work_id, user.name, now):
                raise DeedRefused("work_over")
            record(cursor, user.name, "cancel", "work", str(work_id))

        await self._store.call(work)

    # --- quarantine ---

    async def judge(self, user: User, row_id: int, value: str | None) -> Judged:
        """What today's contract says of the record, repaired by `value` or as it came."""
        _need(user, Right.REPAIR_DATA)
        return await self._store.call(lambda cursor: _judged(self._repaired(cursor, row_id, value)))

    async def replay(self, user: User, row_id: int, value: str | None, why: str) -> Judged:
        """Publish it again, unless it is still wrong; then nothing happens. Raises DeedRefused when it is settled."""
        _need(user, Right.REPAIR_DATA)
        why = text_of(why)

        def work(cursor: Cursor[Any]) -> Judged:
            repaired = self._repaired(cursor, row_id, value)
            judged = _judged(repaired)
            if isinstance(repaired, Message):
                action = "replay" if value is None else "repair"
                record(cursor, user.name, action, "quarantine", str(row_id), {"text": why, "topic": judged.topic})
                quarantine.settle(cursor, row_id, "replayed", user.name, why)
                self._publish([repaired])
            return judged

        return await self._store.call(work)

    async def park(self, user: User, row_id: int, why: str) -> None:
        """It is not going to be repaired. Raises DeedRefused without a reason, or when it is settled."""
        _need(user, Right.REPAIR_DATA)
        why = text_of(why)
        if not why:
            raise DeedRefused("reason_missing")

        def work(cursor: Cursor[Any]) -> None:
            _waiting(cursor, row_id)
            record(cursor, user.name, "park", "quarantine", str(row_id), {"text": why})
            quarantine.settle(cursor, row_id, "parked", user.name, why)

        await self._store.call(work)

    def _repaired(self, cursor: Cursor[Any], row_id: int, value: str | None) -> Message | Refused:
        kept = _waiting(cursor, row_id)
        encoded = None if value is None else value.encode("utf-8", "replace")
        if encoded is not None and len(encoded) > VALUE_BYTES_MAX:
            fault = RecordFault("too_long", "", f"{len(encoded):,} bytes; an event has at most {VALUE_BYTES_MAX:,}")
            return Refused(kept.record, fault, None)
        return quarantine.repaired(kept, encoded, self._registry)


def _waiting(cursor: Cursor[Any], row_id: int) -> quarantine.Kept:
    """The row, locked. One that was set aside may be taken up again."""
    kept = quarantine.get(cursor, row_id)
    if kept is None:
        raise DeedRefused("missing_why", what="record", key=row_id)
    if kept.state == "replayed":
        raise DeedRefused("settled_already", state=kept.state)
    return kept


def _judged(repaired: Message | Refused) -> Judged:
    if isinstance(repaired, Refused):
        return Judged(repaired.record.topic, "", repaired.fault)
    return Judged(repaired.topic, repaired.key.decode(), None)


def _need(user: User, right: Right) -> None:
    if not user.may(right):
        raise DeedRefused("refused_why", role=user.role)


def text_of(text: str) -> str:
    """What PostgreSQL can hold."""
    return text.strip().replace("\x00", "").encode("utf-8", "replace").decode()[:TEXT_CHARS_MAX]
