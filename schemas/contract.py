"""What every contract is made of: the base of `data` models, text and date types, and the event as rules see it.

A contract names an event (`research.project.contracted`), its major version, its topic and the model of its `data`.
Keys of `data` that a contract does not name are ignored: readers stay compatible with a publisher that adds some.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from schemas.topics import Topic

TEXT_CHARS_MAX = 20_000
KEY_CHARS_MAX = 512
AMOUNT_MAX = 10**15
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)


class Data(BaseModel):
    """Base of all `data` models: strict types, frozen, unknown keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


def plain(data: Data | Struct) -> dict[str, Any]:
    """A fact's data as a JSON object."""
    found: dict[str, Any] = data.model_dump(mode="json") if isinstance(data, Data) else msgspec.to_builtins(data)
    return found


class NoData(Data):
    """For events whose type says it all."""


def parse_day(value: object) -> object:
    """`YYYY-MM-DD` to a date; anything else goes on to pydantic, which refuses it with its place."""
    if isinstance(value, str):
        if not _DAY.match(value):
            raise ValueError("expected a date as YYYY-MM-DD")
        return date.fromisoformat(value)
    return value


def parse_instant(value: object) -> object:
    """RFC 3339 with an offset to an aware datetime in UTC."""
    if isinstance(value, str):
        if not _INSTANT.match(value):
            raise ValueError("expected an instant as RFC 3339 with Z or an offset")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except OverflowError:
            raise ValueError("the instant lies before the year 1 or after 9999 in UTC") from None
    return value


# PostgreSQL's text holds no U+0000; a lone surrogate is refused by pydantic itself.
STORABLE = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX, pattern=STORABLE)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=KEY_CHARS_MAX, pattern=STORABLE)]
Day = Annotated[date, BeforeValidator(parse_day)]
Instant = Annotated[datetime, BeforeValidator(parse_instant)]
Amount = Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="whole units of the currency")]


@dataclass(frozen=True)
class Contract:
    """One event type: `<prefix>.<name>.v<major>` on the wire. `is_internal`: only the platform itself publishes it.

    From `deprecated_on` its publishers are told to leave it, from `sunset_on` it may be gone. Both are days in UTC; the
    sunset may be moved later, never earlier.
    """

    name: str
    major: int
    data: type[Data]
    topics: tuple[Topic, ...]
    is_internal: bool = False
    deprecated_on: date | None = None
    sunset_on: date | None = None

    def __post_init__(self) -> None:
        if self.sunset_on is not None and (self.deprecated_on is None or self.sunset_on < self.deprecated_on):
            raise ValueError(f"{self.name}: a sunset needs a deprecation that is not after it")

    @property
    def versioned_name(self) -> str:
        """Without the prefix of event types, which is a setting."""
        return f"{self.name}.v{self.major}"

    @cached_property
    def topic_names(self) -> tuple[str, ...]:
        return tuple(topic.name for topic in self.topics)


class Fact(Struct, frozen=True, gc=False):
    """A validated event as rules see it. `name` has neither prefix nor version; `time` is when it happened (UTC)."""

    name: str
    id: str
    source: str
    key: str
    time: datetime
    data: Any  # an instance of the contract's model, or of its Struct (schemas/structs.py)

    @property
    def order(self) -> tuple[datetime, str]:
        """Event time decides; ids break ties."""
        return (self.time, self.id)


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`; fractions only where there are some."""
    return _encode(instant.astimezone(UTC))[1:-1].decode()


_encode = msgspec.json.Encoder().encode  # of instants: a fifth of isoformat's time


@lru_cache(maxsize=50_000)
def day_text(day: date) -> str:
    """`YYYY-MM-DD`; the same few thousand days come again and again."""
    return day.isoformat()


@lru_cache(maxsize=50_000)
def one_day(day: date) -> date:
    """The same day, in memory once: a day's object is as large as four references to it."""
    return day


@lru_cache(maxsize=50_000)
def day_instant(day: date) -> datetime:
    """A date means 00:00:00Z of that day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
