"""The columns that every state table shares: the entity's account, as COPY text and back."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, DateTime, Integer, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from engine.database import copy_bytes, copy_instant, copy_text
from engine.ports import Entity, Rejection, S

_rejections = msgspec.json.Decoder(tuple[Rejection, ...]).decode
COLUMNS = ("applied", "duplicates", "superseded", "rejected", "seen", "timer_at")


def columns() -> list[Column[Any]]:
    """Fresh columns for one table."""
    return [
        Column("changed_at", DateTime(timezone=True), comment="event time of the last change"),
        Column(
            "changed_by",
            Text,
            nullable=False,
            comment="source and id of the event, or the timer, that made the last change",
        ),
        Column("applied", Integer, nullable=False),
        Column("duplicates", Integer, nullable=False),
        Column("superseded", Integer, nullable=False),
        Column("rejected", JSONB, nullable=False, comment="[[event id, reason], …]"),
        Column("seen", LargeBinary, nullable=False, comment="64-bit hashes of (source, id), oldest first"),
        Column("timer_at", DateTime(timezone=True), comment="what the timer table holds for this key"),
        Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ]


def fields(entity: Entity[Any]) -> tuple[str, ...]:
    """The fields of COLUMNS."""
    return (
        str(entity.applied),
        str(entity.duplicates),
        str(entity.superseded),
        copy_json(entity.rejected) if entity.rejected else "[]",
        copy_bytes(entity.seen),
        copy_instant(entity.timer_at),
    )


def entity(
    state: S,
    applied: int,
    duplicates: int,
    superseded: int,
    rejected: str,
    seen: bytes,
    timer_at: datetime | None,
) -> Entity[S]:
    """An entity from a row's columns, in the order of COLUMNS."""
    return Entity(state, seen, applied, duplicates, superseded, _rejections(rejected), timer_at)


def copy_json(value: object) -> str:
    """A jsonb field."""
    return copy_text(msgspec.json.encode(value).decode())
