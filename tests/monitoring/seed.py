"""A small bureau with known answers: every instant is set from now, since the views look from now."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from msgspec import to_builtins
from msgspec.structs import replace
from psycopg import Cursor

from engine.ports import Entity
from schemas.alerts import Alert, Condition, Episode, Handling, Suppression
from schemas.calls import Call
from schemas.contract import Fact, NoData
from schemas.projects import Milestone, MilestoneStatus, Project, State
from sinks.status import StatusStore
from sinks.status.alerts import ALERTS
from sinks.status.calls import CALLS
from sinks.status.projects import PROJECTS
from sinks.status.reading import refresh

INSTITUTE = "/partners/institute"


def sow(cursor: Cursor[Any], now: datetime) -> None:
    """Everything that the dashboards read."""
    StatusStore(PROJECTS).save(cursor, [(key, Entity(project)) for key, project in _projects(now).items()])
    StatusStore(CALLS).save(cursor, [(key, Entity(call)) for key, call in _calls(now).items()])
    StatusStore(ALERTS).save(cursor, [(key, Entity(alert)) for key, alert in _alerts(now).items()])
    _history(cursor, now)
    _episodes(cursor, now)
    refresh(cursor)
    _platform(cursor, now)
    _partners(cursor)
    _subscriptions(cursor, now)


def drawn(draw: random.Random, now: datetime) -> Project:
    """A project by chance, near the edges of the claims."""

    def day(low: int, high: int) -> date:
        return (now + timedelta(days=draw.randint(low, high))).date()

    statuses = list(MilestoneStatus)
    project = Project(
        state=draw.choice([None, *State, *[State.EXECUTING] * 10]),
        contract_amount=draw.choice([0, 100]),
        disbursed=draw.choice([0, 49, 50, 100]),
        start=draw.choice([None, day(-800, 10)]),
        end=draw.choice([None, day(-200, -170), day(-10, 100)]),
        milestones=tuple(Milestone(f"M-{n}", day(-3, 40), draw.choice(statuses)) for n in range(draw.randint(0, 3))),
        reported_at=draw.choice([None, now - timedelta(days=draw.randint(0, 800))]),
        register_name=draw.choice(["", "gtr"]),
    )
    earlier = draw.randint(0, project.disbursed)
    return replace(
        project,
        call_id=draw.choice(["", "C-1"]),
        paid_by_year=((now.year - 1, earlier), (now.year, project.disbursed - earlier)),
        accepted_at=draw.choice([None, now - timedelta(days=draw.randint(0, 800))]),
    )


def _day(now: datetime, days: int) -> date:
    return (now + timedelta(days=days)).date()


def _projects(now: datetime) -> dict[str, Project]:
    planned, accepted = MilestoneStatus.PLANNED, MilestoneStatus.ACCEPTED
    early = Fact("research.review.started", "e-9", INSTITUTE, "P-8", now - timedelta(days=2), NoData())
    return {
        "P-1": Project(
            state=State.EXECUTING,
            title="Quiet pumps",
            lead="Institute A",
            call_id="C-old",
            contract_amount=1_000,
            disbursed=400,
            paid_by_year=((now.year - 1, 100), (now.year, 300)),
            start=_day(now, -400),
            end=_day(now, 100),
            milestones=(Milestone("M-1", _day(now, -5), planned), Milestone("M-2", _day(now, 20), planned)),
            changed_at=now - timedelta(days=50),
        ),
        "P-2": Project(
            state=State.ACCEPTANCE_PENDING,
            title="Old dam",
            lead="Institute B",
            call_id="C-old",
            contract_amount=800,
            disbursed=100,
            paid_by_year=((now.year - 2, 100),),
            start=_day(now, -900),
            end=_day(now, -200),
            milestones=(Milestone("M-1", _day(now, -300), accepted),),
            changed_at=now - timedelta(days=200),
        ),
        "P-3": Project(
            state=State.ACCEPTANCE_PENDING,
            title="New dam",
            lead="Institute B",
            contract_amount=100,
            disbursed=100,
            paid_by_year=((now.year - 1, 100),),
            start=_day(now, -900),
            end=_day(now, -10),
            changed_at=now - timedelta(days=10),
        ),
        "P-4": Project(
            state=State.APPLIED, title="Sluice", lead="Institute A", call_id="C-now", changed_at=now - timedelta(days=3)
        ),
        "P-5": Project(state=State.UNDER_REVIEW, title="Weir", lead="Institute A", changed_at=now - timedelta(days=9)),
        "P-6": Project(
            state=State.CONTRACTED,
            title="Canal",
            lead="Institute C",
            call_id="C-now",
            contract_amount=500,
            disbursed=50,
            paid_by_year=((now.year, 50),),
            start=_day(now, 0),
            end=_day(now, 700),
            milestones=(Milestone("M-1", _day(now, 60), planned),),
            changed_at=now - timedelta(hours=1),
        ),
        "P-7": Project(
            state=State.ACCEPTED,
            title="Gate",
            lead="Institute C",
            call_id="C-now",
            contract_amount=300,
            disbursed=300,
            paid_by_year=((now.year, 300),),
            accepted_at=now,
            start=_day(now, 0),
            end=_day(now, 0),
            changed_at=now,
        ),
        "P-8": Project(title="Pond", lead="Institute A", call_id="C-now", parked=(early,)),
    }


def _calls(now: datetime) -> dict[str, Call]:
    return {
        "C-now": Call(
            title="Water 2",
            programme="Water",
            opens_at=now - timedelta(days=10),
            closes_at=now + timedelta(days=4),
            told_at=now - timedelta(days=20),
        ),
        "C-old": Call(
            title="Water 1",
            programme="Water",
            opens_at=now - timedelta(days=100),
            closes_at=now - timedelta(days=60),
            told_at=now - timedelta(days=110),
        ),
    }


def _alerts(now: datetime) -> dict[str, Alert]:
    def alert(condition: Condition, handling: Handling, severity: str, raised: timedelta, **rest: Any) -> Alert:
        episode = Episode(condition, handling, severity, f"{severity} pump", now - raised, now - timedelta(minutes=1))
        return Alert(1, replace(episode, **rest))

    hour = timedelta(hours=1)
    noisy = alert(Condition.FIRING, Handling.OPEN, "critical", hour, attention_at=now - hour, repeats=5, reopened=2)
    return {
        "mon/a1": replace(noisy, episodes=2),
        "mon/a2": alert(
            Condition.FIRING,
            Handling.ACKNOWLEDGED,
            "warning",
            2 * hour,
            suppression=Suppression.SILENCED,
            silenced_until=now + 9 * hour,
        ),
        "mon/a4": alert(
            Condition.FIRING,
            Handling.ACKNOWLEDGED,
            "high",
            2 * hour,
            suppression=Suppression.SILENCED,
            silenced_until=now + 20 * hour,
        ),
        "mon/a3": alert(Condition.EXPIRED, Handling.OPEN, "high", 9 * hour, last_seen=now - 3 * hour, ended_at=now - 2 * hour),
        "other/b1": alert(
            Condition.RESOLVED,
            Handling.CLOSED,
            "info",
            72 * hour,
            ended_at=now - hour,
            closed_reason="operator",
            repeats=1,
            suppression=Suppression.SILENCED,
            silenced_until=now + hour,
        ),
    }


def _episodes(cursor: Cursor[Any], now: datetime) -> None:
    """What is told of alerts: that they fire, and half an hour later, or at their end, how they stand. One was over before."""
    for key, alert in _alerts(now).items():
        episode = alert.episode
        assert episode is not None
        first = replace(episode, condition=Condition.FIRING, handling=Handling.OPEN, closed_reason=None, ended_at=None)
        told_at = episode.ended_at or episode.raised_at + timedelta(minutes=30)
        _told(cursor, key, alert.episodes, replace(first, repeats=0, reopened=0), episode.raised_at)
        _told(cursor, key, alert.episodes, replace(episode, repeats=0, reopened=0), told_at)
    raised = now - timedelta(days=3)
    over = Episode(Condition.FIRING, Handling.OPEN, "critical", "critical pump", raised, raised)
    _told(cursor, "mon/a1", 1, over, raised)
    taken = replace(over, handling=Handling.ACKNOWLEDGED)
    _told(cursor, "mon/a1", 1, taken, raised + timedelta(minutes=10))
    ended = raised + timedelta(hours=1)
    over = replace(over, condition=Condition.RESOLVED, handling=Handling.CLOSED, closed_reason="resolved", ended_at=ended)
    _told(cursor, "mon/a1", 1, replace(over, repeats=3), ended)


def _told(cursor: Cursor[Any], key: str, number: int, episode: Episode, at: datetime) -> None:
    data = to_builtins(episode) | {"episodes": number}
    _event(cursor, "infra.alert.changed", f"{key} {number} {at}", "/engine/alerts", key, at, at, data)


def _history(cursor: Cursor[Any], now: datetime) -> None:
    submitted, extended = "research.application.submitted", "research.project.extended"
    ages = [(f"N-{index}", "C-now", timedelta(days=day)) for index, day in enumerate((9, 1))]
    ages += [(f"O-{index}", "C-old", timedelta(days=day)) for index, day in enumerate((99, 98, 95, 80))]
    for key, call, age in ages:
        _event(cursor, submitted, f"s-{key}", INSTITUTE, key, now - age, now - timedelta(hours=2), {"call_id": call})
    for key, days in (("P-1", 30), ("P-2", 20)):
        data = {"new_end": _day(now, 400).isoformat()}
        _event(cursor, extended, f"x-{key}", "/partners/late", key, now - timedelta(days=days), now - timedelta(hours=1), data)
    cursor.execute(
        "INSERT INTO event_repeat (topic, event_source, events) VALUES ('research.project.event', '/partners/late', 3)"
    )
    refused = {
        "step": "projects",
        "event_type": extended,
        "event_id": "x-P-2",
        "event_source": "/partners/late",
        "reason": "extension_too_late",
        "state": "acceptance_pending",
    }
    _event(cursor, "platform.transition.rejected", "r-1", "/engine/projects", "P-2", now - timedelta(days=20), now, refused)
    finding = {"rule": "active_after_end", "severity": "warning", "message": "m", "pointer": "/data/end", "value": "v"}
    _event(cursor, "platform.finding.reported", "f-1", "/engine/projects", "P-2", now - timedelta(days=20), now, finding)


def _event(
    cursor: Cursor[Any], name: str, event_id: str, source: str, subject: str, time: datetime, recorded: datetime, data: Any
) -> None:
    topic = {"infra": "infra.alert.state", "platform": "platform.finding.event"}.get(
        name.partition(".")[0], "research.project.event"
    )
    kind = f"gov.stiib.{name}.v1"
    event = {"id": event_id, "source": source, "type": kind, "subject": subject, "time": time.isoformat(), "data": data}
    cursor.execute(
        "INSERT INTO event_history (identity, topic, partition, record_offset, event_type, event_source, event_id, subject,"
        " event_time, recorded_at, event) VALUES (%s, %s, 0, %s, %s, %s, %s, %s, %s, %s, %s)",
        # In the order in which they happened, as far as the log's order matters.
        (uuid4(), topic, int(time.timestamp()), kind, source, event_id, subject, time, recorded, json.dumps(event)),
    )


def _platform(cursor: Cursor[Any], now: datetime) -> None:
    """Ledger, quarantine, timers, breaker, files."""
    topic = "research.project.event"
    cursor.execute("INSERT INTO ledger VALUES ('projects', %s, 0, 100, 108), ('projects', %s, 1, 0, 4)", (topic, topic))
    cursor.execute(
        "INSERT INTO ledger_day (step, topic, partition, day, applied, duplicate, superseded, rejected, quarantined, parked,"
        " late_applied, gap) VALUES ('projects', %(topic)s, 0, %(day)s, 3, 1, 1, 1, 1, 1, 1, 0),"
        " ('projects', %(topic)s, 1, %(day)s, 3, 0, 0, 0, 0, 0, 0, 1)",
        {"topic": topic, "day": now.astimezone(UTC).date()},
    )
    for offset, (state, failed) in enumerate((("waiting", 3), ("waiting", 2), ("replayed", 1))):
        cursor.execute(
            "INSERT INTO quarantine (topic, partition, record_offset, headers, value, event_source, event_type, step,"
            " code_version, reason, pointer, message, state, first_failed_at)"
            " VALUES (%s, 0, %s, '[]', 'secret', '/partners/late', 'gov.stiib.research.funds.disbursed.v1', 'projects', '1',"
            " 'data_invalid', '/data/amount', 'not a number', %s, %s)",
            (topic, offset, state, now - timedelta(hours=failed)),
        )
    cursor.execute("INSERT INTO timer VALUES ('projects', 'P-6', 0, %s)", (now - timedelta(hours=1),))
    cursor.execute("INSERT INTO breaker VALUES ('projects', %s, 0, %s, 7, '200 bad records in a row')", (topic, now))
    cursor.execute(
        "INSERT INTO connector_file (connector, digest, name, rows_done, started_at, finished_at)"
        " VALUES ('gtr', 'd', 'projects.csv', 12, %s, %s)",
        (now - timedelta(minutes=2), now - timedelta(minutes=1)),
    )


def _partners(cursor: Cursor[Any]) -> None:
    """Those whose events and subscriptions there are."""
    project, call = "subscribe:gov.stiib.research.project.*", "subscribe:gov.stiib.research.call.*"
    for partner, scopes in (
        ("institute", []),
        ("late", [call]),
        ("audit", [project, "clearance:restricted", "only:region=3301*"]),
        ("finance", [project, call, "clearance:internal"]),
    ):
        cursor.execute(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " VALUES (%s, %s, %s, %s, 1, 1, 1, 'tests')",
            (partner, partner.title(), ["publish:*", *scopes], [f"/partners/{partner}"]),
        )
    cursor.execute(
        "INSERT INTO partner_refusal VALUES ('late', date_trunc('hour', now()), 'contract_broken', 7),"
        " ('institute', date_trunc('hour', now()), 'rate_exceeded', 2)"
    )
    cursor.execute(
        "INSERT INTO partner_repeat VALUES ('late', date_trunc('hour', now()), 5),"
        " ('late', date_trunc('hour', now()) - interval '1 day', 1)"
    )


def _read_by_others(cursor: Cursor[Any], now: datetime) -> None:
    """A reader with a cursor, and two groups on Kafka itself; one of these is further behind."""
    cursor.executemany(
        "INSERT INTO subscription_progress (subscription_id, place_seen_at) VALUES (%s, %s)",
        [(UUID(int=2), now - timedelta(minutes=1)), (UUID(int=3), None), (UUID(int=4), now)],
    )
    cursor.executemany(
        "INSERT INTO subscription_reading VALUES (%s, %s, 'research.project.event', %s, %s)",
        [(UUID(int=2), "", 0, 30), (UUID(int=4), "g.app", 0, 39), (UUID(int=4), "g.app", 1, 9), (UUID(int=4), "g.test", 0, 15)],
    )


def _subscriptions(cursor: Cursor[Any], now: datetime) -> None:
    """An agency that is behind, one that is paused, and one whose time is over."""
    agencies = (
        ("audit", "HTTP", ["gov.stiib.research.project.suspended.v1"], "enabled", "validated", None),
        ("finance", "SSE", [], "paused", "paused", None),
        ("water", "PULL", [], "enabled", "created", now - timedelta(hours=1)),
    )
    for number, (owner, protocol, types, state, reason, expires_at) in enumerate(agencies, 1):
        cursor.execute(
            "INSERT INTO subscription (subscription_id, owner, protocol, types, filters, protocolsettings, config, start_at,"
            " purpose, legal_basis, approver, state, state_reason, state_by, state_since, created_at, changed_at, expires_at)"
            " VALUES (%s, %s, %s, %s, '[]', '{}', '{}', 'now', 'audit of funds', 'Audit Law 36', 'Office 3', %s, %s, 'partner',"
            " %s, %s, %s, %s)",
            (UUID(int=number), owner, protocol, types, state, reason, now, now, now, expires_at),
        )
    # Ordered with a token that allows less than its owner may.
    cursor.execute(
        "INSERT INTO subscription (subscription_id, owner, protocol, types, filters, protocolsettings, config, start_at,"
        " purpose, legal_basis, approver, granted, state, state_reason, state_by, state_since, created_at, changed_at)"
        " VALUES (%s, 'finance', 'KAFKA', '{gov.stiib.research.call.closed.v1,gov.stiib.research.project.settled.v1}', '[]',"
        " '{}', '{}', 'now', 'p', 'b', 'a', '{subscribe:gov.stiib.research.call.*}', 'enabled', 'created', 'partner', %s, %s,"
        " %s)",
        (UUID(int=4), now, now, now),
    )
    behind = UUID(int=1)
    cursor.execute("INSERT INTO log_end VALUES ('research.project.event', 0, 40), ('research.project.event', 1, 7)")
    cursor.execute(
        "INSERT INTO subscription_position (subscription_id, topic, partition, start_offset, next_offset)"
        " VALUES (%(id)s, 'research.project.event', 0, 0, 6), (%(id)s, 'research.project.event', 1, 0, 8),"
        " (%(paused)s, 'research.project.event', 0, 0, 0), (%(never)s, 'research.project.event', 0, 38, 38)",
        {"id": behind, "paused": UUID(int=2), "never": UUID(int=3)},
    )
    _read_by_others(cursor, now)
    cursor.execute(
        "INSERT INTO subscription_progress (subscription_id, last_number, withheld_right, withheld_classification)"
        " VALUES (%s, 5, 1, 2)",
        (behind,),
    )
    for number, minutes in ((4, 10), (5, 1)):
        cursor.execute(
            "INSERT INTO subscription_delivery (subscription_id, number, topic, partition, record_offset, planned_at)"
            " VALUES (%s, %s, 'research.project.event', 0, %s, %s)",
            (behind, number, number, now - timedelta(minutes=minutes)),
        )
    for number, state in ((1, "waiting"), (2, "redriven")):
        cursor.execute(
            "INSERT INTO subscription_dead_letter (subscription_id, number, topic, partition, record_offset, event_id,"
            " event_source, event_type, body, attempts, reason, message, first_failed_at, last_failed_at, state)"
            " VALUES (%s, %s, 'research.project.event', 0, %s, 'e', '/s', 't', 'secret', 9, 'status', '500', %s, %s, %s)",
            (behind, number, number, now, now, state),
        )
