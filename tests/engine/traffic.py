"""Made-up project events, seeded and quick: lifecycles with late, repeated and illegal events among them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from engine.kafka import Message
from schemas.topics import PROJECT_EVENT

HEADERS = [("content-type", b"application/cloudevents+json")]
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
EVENTS_A_PROJECT = 10
_LATE, _REPEATED, _ILLEGAL = 0.06, 0.04, 0.05

# name, days after the application, data
_COURSE = (
    ("research.application.submitted", 0, '{"call_id":"C-1","title":"题目 %(n)d","lead":"L%(n)d","budget":900}'),
    ("research.review.started", 5, "{}"),
    ("research.project.approved", 20, "{}"),
    (
        "research.project.contracted",
        30,
        '{"contract_no":"N-%(n)d","amount":900,"start":"2024-03-01","end":"2026-02-28",'
        '"milestones":[{"id":"m1","due":"2024-09-01"},{"id":"m2","due":"2025-09-01"}]}',
    ),
    ("research.project.started", 40, "{}"),
    ("research.funds.disbursed", 50, '{"amount":300,"tranche":1}'),
    ("research.milestone.reported", 60, '{"milestone_id":"m1"}'),
    ("research.milestone.accepted", 70, '{"milestone_id":"m1"}'),
    ("research.project.suspended", 80, '{"reason":"flood"}'),
    ("research.project.resumed", 110, "{}"),
    ("research.project.extended", 120, '{"new_end":"2026-09-30"}'),
    ("research.milestone.reported", 130, '{"milestone_id":"m2"}'),
    ("research.acceptance.applied", 140, "{}"),
    ("research.acceptance.passed", 150, "{}"),
    ("research.project.settled", 160, "{}"),
)
_ILLEGAL_ONES = (
    ("research.funds.disbursed", '{"amount":100000,"tranche":"x"}'),
    ("research.milestone.reported", '{"milestone_id":"m9"}'),
    ("research.application.resubmitted", "{}"),
    ("research.project.archived", "{}"),
)


@dataclass(frozen=True)
class Traffic:
    """Messages in the order of publication."""

    messages: list[Message]

    def portions(self, count: int) -> Iterator[list[Message]]:
        """All of them, in so many parts."""
        size = -(-len(self.messages) // count)
        for begin in range(0, len(self.messages), size):
            yield self.messages[begin : begin + size]


def projects(seed: int, events: int, prefix: str = "P") -> Traffic:
    """So many events of a tenth as many projects; the same seed gives the same bytes."""
    random = Random(seed)  # noqa: S311 - made-up data
    placed: list[tuple[float, Message]] = []
    number = 0
    while len(placed) < events:
        begin = random.random() * max(1, events // EVENTS_A_PROJECT)
        placed += [(begin + place, message) for place, message in _project(random, number, f"{prefix}-{number:06d}")]
        number += 1
    del placed[events:]
    placed.sort(key=lambda item: item[0])
    return Traffic([message for _, message in placed])


def _project(random: Random, number: int, key: str) -> Iterator[tuple[float, Message]]:
    begin = BEGIN + timedelta(minutes=number)
    length = random.randint(5, len(_COURSE))
    for step, (name, days, data) in enumerate(_COURSE[:length]):
        place = step * 20.0 * random.random() if random.random() < _LATE else step * 20.0
        message = event(key, f"{key}-{step}", name, data % {"n": number}, begin + timedelta(days=days))
        yield place, message
        if random.random() < _REPEATED:
            yield place + 30 * random.random(), message
        if random.random() < _ILLEGAL:
            wrong, data = random.choice(_ILLEGAL_ONES)
            yield place + 1, event(key, f"{key}-{step}x", wrong, data, begin + timedelta(days=days, hours=1))


def event(
    key: str,
    event_id: str,
    name: str = "research.application.submitted",
    data: str = '{"call_id":"C-1","title":"T","lead":"L","budget":1}',
    time: datetime = BEGIN,
) -> Message:
    """One structured event for the projects' topic."""
    value = (
        f'{{"specversion":"1.0","id":"{event_id}","source":"/partners/p1","type":"gov.stiib.{name}.v1","subject":"{key}",'
        f'"time":"{time:%Y-%m-%dT%H:%M:%SZ}","datacontenttype":"application/json","data":{data}}}'
    )
    return Message(PROJECT_EVENT.name, key.encode(), value.encode(), HEADERS)
