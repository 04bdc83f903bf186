"""A project's life, made up: from the application to where it would stand today, in the Bureau's own order. Pure.

A life begins some time ago and is told up to `as_of`, so a crowd of projects shows every state and every overlay.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

Days = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of project looks like. Amounts in whole yuan."""

    age_days: Days
    term_days: Days
    amount: tuple[int, int]
    milestones: tuple[int, int]
    titles: tuple[str, ...]
    leads: tuple[str, ...]
    calls: tuple[str, ...]


class Step(NamedTuple):
    """One event of a life."""

    name: str
    time: datetime
    data: dict[str, Any]


def life(draw: random.Random, profile: Profile, as_of: datetime) -> list[Step]:
    """What has happened by `as_of`, in order."""
    began = as_of - timedelta(days=draw.uniform(*profile.age_days))
    course = _Course(draw, profile, began, as_of)
    return list(takewhile(lambda step: step.time <= as_of, course.told()))


class _Course:
    """A life as it goes on; `at` is the instant of its latest event."""

    def __init__(self, draw: random.Random, profile: Profile, began: datetime, as_of: datetime) -> None:
        self._draw, self._profile, self._as_of = draw, profile, as_of
        self._at = began.replace(microsecond=0)
        self._amount = draw.randrange(*profile.amount, 10_000)
        self._tranche = 0

    def told(self) -> Iterator[Step]:
        profile = self._profile
        yield self._after(
            "research.application.submitted",
            (0, 0),
            call_id=self._draw.choice(profile.calls),
            title=self._draw.choice(profile.titles),
            lead=self._draw.choice(profile.leads),
            budget=self._amount,
        )
        yield from self._reviewed()

    def _reviewed(self) -> Iterator[Step]:
        fate = self._draw.random()
        if fate < 0.05:
            yield self._after("research.application.ineligible", (3, 10), reason="申报单位不符合条件")
            return
        if fate < 0.15:
            yield self._after("research.application.returned", (3, 10), reason="材料不全")
            yield self._after("research.application.resubmitted", (2, 10))
        if 0.15 <= fate < 0.19:
            yield self._after("research.application.withdrawn", (3, 20))
            return
        yield self._after("research.review.started", (5, 20))
        if fate > 0.9:
            yield self._after("research.project.rejected", (15, 40))
            yield self._after("research.project.archived", (20, 60))
            return
        if fate > 0.8:
            yield self._after("research.project.reserved", (15, 40))
        yield self._after("research.project.approved", (15, 40))
        yield from self._contracted()

    def _contracted(self) -> Iterator[Step]:
        signed = self._at + timedelta(days=self._draw.uniform(10, 40))
        start = signed.date() + timedelta(days=self._draw.randint(1, 30))
        end = start + timedelta(days=int(self._draw.uniform(*self._profile.term_days)))
        dues = self._dues(start, end)
        plan = [{"id": name, "due": due.isoformat()} for name, due in dues.items()]
        yield Step(
            "research.project.contracted",
            self._moved_to(signed),
            {
                "contract_no": f"HT-{signed:%Y}-{self._draw.randrange(10_000, 99_999)}",
                "amount": self._amount,
                "start": start.isoformat(),
                "end": end.isoformat(),
                "milestones": plan,
            },
        )
        if start > self._as_of.date():  # otherwise the start comes by the timer
            yield self._after("research.project.started", (1, 5))
        yield from self._executed(start, end, dues)

    def _executed(self, start: date, end: date, dues: dict[str, date]) -> Iterator[Step]:
        self._moved_to(_noon(start))
        yield self._paid(0.4)
        # Once the end is past, the timer has ended the execution: only what may come later is told then.
        if end > self._as_of.date() and self._draw.random() < 0.1:
            yield self._after("research.project.suspended", (5, 60), reason="负责人变更")
            yield self._after("research.project.resumed", (10, 60))
        for name, due in dues.items():
            yield from self._milestone(name, due)
        yield from self._accepted(end)

    def _milestone(self, name: str, due: date) -> Iterator[Step]:
        if self._draw.random() < 0.12:
            return  # forgotten: it will be overdue
        self._moved_to(max(self._at, _noon(due) + timedelta(days=self._draw.uniform(-15, 20))))
        yield self._after("research.milestone.reported", (0, 0), milestone_id=name)
        if self._draw.random() < 0.15:
            yield self._after("research.milestone.returned", (3, 10), milestone_id=name)
            yield self._after("research.milestone.reported", (10, 25), milestone_id=name)
        yield self._after("research.milestone.accepted", (3, 15), milestone_id=name)
        if self._draw.random() < 0.7:
            yield self._paid(0.15)

    def _accepted(self, end: date) -> Iterator[Step]:
        self._moved_to(max(self._at, _noon(end) + timedelta(days=self._draw.uniform(-30, 60))))
        yield self._after("research.acceptance.applied", (0, 5))
        verdict = self._draw.random()
        if verdict < 0.1:
            yield self._after("research.acceptance.failed", (10, 40))
            yield self._after("research.acceptance.applied", (20, 60))
        if 0.1 <= verdict < 0.25:
            yield self._after("research.acceptance.conditional", (10, 40))
            yield self._after("research.acceptance.remedied", (20, 60))
        else:
            yield self._after("research.acceptance.passed", (10, 40))
        yield self._after("research.project.settled", (20, 60))
        yield self._after("research.project.archived", (20, 60))

    def _dues(self, start: date, end: date) -> dict[str, date]:
        several = self._draw.randint(*self._profile.milestones)
        every = (end - start).days // (several + 1)
        return {f"M{number}": start + timedelta(days=every * number) for number in range(1, several + 1)}

    def _paid(self, share: float) -> Step:
        self._tranche += 1
        return self._after("research.funds.disbursed", (2, 8), amount=int(self._amount * share), tranche=self._tranche)

    def _after(self, name: str, days: Days, **data: Any) -> Step:
        return Step(name, self._moved_to(self._at + timedelta(days=self._draw.uniform(*days))), data)

    def _moved_to(self, at: datetime) -> datetime:
        self._at = at.replace(microsecond=0)
        return self._at


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)  # noon in Beijing
