"""The operators' 25 questions: each panel that the list names gives the known answer of a seeded store."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from monitoring.dashboards import alerts, deliveries, pipeline, projects, quality
from monitoring.dashboards.declared import COLUMNS, Panel, Prom, Sql
from monitoring.dashboards.questions import QUESTIONS, dashboard_of
from tests.monitoring.grafana import promql_of, read, sql_of
from tests.monitoring.promtool import run_promtool

_LATE = "gov.stiib.research.funds.disbursed.v1"


def _response(
    monitor: str,
    severity: str,
    incidents: int,
    *,
    mtta: int | None,
    within: int | None,
    late: int,
    mttr: int | None,
    unresolved: int,
) -> dict[str, Any]:
    return {
        "monitor": monitor,
        "severity": severity,
        "incidents": incidents,
        "mtta_s": mtta,
        "take_within_s": within,
        "taken_late": late,
        "mttr_s": mttr,
        "unresolved": unresolved,
    }


# What the seeded bureau (seed.py) answers: of every row, the columns that do not move with the clock.
SQL_ANSWERS: list[tuple[Panel, list[dict[str, Any]]]] = [
    (
        deliveries.SUBSCRIBERS,
        [
            {"partner": "audit", "state": "enabled", "waiting": 2, "unread": 34, "dead_letters": 1, "withheld": 3},
            {"partner": "finance", "state": "enabled", "waiting": 0, "unread": 25, "reading": "committed", "protocol": "KAFKA"},
            {"partner": "finance", "state": "paused", "waiting": 0, "unread": 10, "reading": "read", "types": "*"},
            {"partner": "water", "state": "expired", "waiting": 0, "unread": 2, "reading": "never_read", "reason": "expired"},
        ],
    ),
    (deliveries.UNGRANTED, [{"subscriptions": 1}]),
    (
        deliveries.GRANTED,
        [
            {
                "partner": "finance",
                "protocol": "KAFKA",
                "clearance": "internal",
                "reads_up_to": "public",
                "beyond": "gov.stiib.research.project.settled.v1",
            },
            {
                "partner": "audit",
                "clearance": "restricted",
                "reads_up_to": "restricted",
                "may_receive": "gov.stiib.research.project.*",
                "narrowed_to": "region=3301*",
                "beyond": "",
                "withheld": 3,
            },
            {
                "partner": "finance",
                "protocol": "SSE",
                "clearance": "internal",
                "reads_up_to": "internal",
                "may_receive": "gov.stiib.research.call.*, gov.stiib.research.project.*",
                "narrowed_to": None,
                "beyond": "",
            },
        ],
    ),
    (
        projects.OVERDUE,
        [
            {"project_id": "P-2", "overdue_days": 17, "lead": "Institute B"},
            {"project_id": "P-1", "overdue_days": 5, "lead": "Institute A"},
        ],
    ),
    (
        projects.MILESTONES,
        [
            {"project_id": "P-1", "milestone_id": "M-2", "days_left": 20, "status": "planned"},
            {"project_id": "P-6", "milestone_id": "M-1", "days_left": 60, "status": "planned"},
        ],
    ),
    (projects.MILESTONES_COUNT, [{"within_30": 1, "within_60": 2, "within_90": 2}]),
    (projects.UNACCEPTED_COUNT, [{"projects": 2, "projects_past_limit": 1}]),
    (
        projects.UNACCEPTED,
        [
            {"project_id": "P-2", "days_past": 200, "past_limit": "yes"},
            {"project_id": "P-3", "days_past": 10, "past_limit": "no"},
        ],
    ),
    (
        projects.EXTENSIONS,
        [
            {"subject": "P-2", "decision": "refused", "reason": "extension_too_late", "event_source": "/partners/late"},
            {"subject": "P-1", "decision": "granted", "reason": "", "event_source": "/partners/late"},
        ],
    ),
    (
        projects.MONEY,
        [
            {
                "programme": "Water",
                "contracted_this_year": 800,
                "paid_this_year": 650,
                "accepted_this_year": 300,
                "contracted": 2_600,
                "paid": 850,
                "accepted": 300,
            },
            {
                "programme": "",
                "contracted_this_year": 0,
                "paid_this_year": 0,
                "accepted_this_year": 0,
                "contracted": 100,
                "paid": 100,
                "accepted": 0,
            },
        ],
    ),
    (
        projects.STUCK,
        [
            {"state": "acceptance_pending", "projects": 2},
            {"state": "executing", "projects": 1},
            {"state": "under_review", "projects": 1},
            {"state": "applied", "projects": 1},
            {"state": "contracted", "projects": 1},
            {"state": "accepted", "projects": 1},
            {"state": "-", "projects": 1},
        ],
    ),
    (projects.APPLICATIONS, [{"project_id": "P-5", "state": "under_review"}, {"project_id": "P-4", "state": "applied"}]),
    (projects.CALLS, [{"call_id": "C-now", "programme": "Water", "applications": 2, "last_call_applications": 3}]),
    (
        alerts.OPEN,
        [
            {"alert_key": "mon/a1", "severity": "critical", "condition": "firing", "is_acknowledged_late": "yes"},
            {"alert_key": "mon/a3", "severity": "high", "condition": "expired", "is_acknowledged_late": "no"},
            {"alert_key": "mon/a4", "severity": "high", "condition": "firing", "is_acknowledged_late": "no"},
            {"alert_key": "mon/a2", "severity": "warning", "condition": "firing", "is_acknowledged_late": "no"},
        ],
    ),
    (
        alerts.PER_INCIDENT,
        [
            {"monitor": "mon", "incidents": 5, "notifications": 15, "per_incident": 3},
            {"monitor": "other", "incidents": 1, "notifications": 2, "per_incident": 2},
        ],
    ),
    (
        alerts.RESPONSE,
        [
            _response("mon", "critical", 2, mtta=600, within=900, late=1, mttr=3_600, unresolved=1),
            _response("mon", "high", 2, mtta=1_800, within=3_600, late=1, mttr=7 * 3_600, unresolved=1),
            _response("mon", "warning", 1, mtta=1_800, within=86_400, late=0, mttr=None, unresolved=1),
            _response("other", "info", 1, mtta=71 * 3_600, within=None, late=0, mttr=71 * 3_600, unresolved=0),
        ],
    ),
    (
        alerts.NOISY,
        [
            {"alert_key": "mon/a1", "notifications": 12, "episodes": 2},
            {"alert_key": "other/b1", "notifications": 2, "episodes": 1},
        ],
    ),
    (alerts.FLAPPING, [{"alert_key": "mon/a1", "reopened": 2}]),
    (alerts.EXPIRED, [{"alert_key": "mon/a3", "monitor": "mon"}]),
    (
        quality.PUBLISHERS,
        [
            {"event_source": "/partners/institute", "events": 6, "duplicate": 0, "quarantined": 0},
            {"event_source": "/partners/late", "events": 2, "duplicate": 3, "quarantined": 2},
        ],
    ),
    (quality.CAUSES, [{"reason": "data_invalid", "event_source": "/partners/late", "event_type": _LATE, "records": 2}]),
    (
        quality.REJECTIONS,
        [{"step": "projects", "reason": "extension_too_late", "event_source": "/partners/late", "events": 1}],
    ),
    (
        quality.TURNED_AWAY,
        [
            {"partner": "late", "problem": "contract_broken", "events": 7},
            {"partner": "institute", "problem": "rate_exceeded", "events": 2},
        ],
    ),
    (quality.SENT_AGAIN, [{"partner": "late", "events": 6}]),
    (quality.FILES, [{"connector": "gtr", "name": "projects.csv", "rows_done": 12}]),
    (pipeline.OLDEST_PARKED, [{}]),
    (pipeline.PARKED, [{"project_id": "P-8", "event_id": "e-9", "event_source": "/partners/institute"}]),
]

_THEIRS = 'partner="institute-7",topic="t"'
_TOPIC = 'step="projects",topic="t"'
PROMQL_INPUT = {
    f'dujiang_events_total{{{_TOPIC},outcome="duplicate"}}': "0+2x60",
    f'dujiang_events_total{{{_TOPIC},outcome="applied"}}': "0+90x60",
    f'dujiang_lag_records{{{_TOPIC},partition="0"}}': "3x60",
    f'dujiang_lag_records{{{_TOPIC},partition="1"}}': "4x60",
    'dujiang_partner_heard_timestamp_seconds{partner="a"}': "1800x60",
    'dujiang_partner_promised_seconds{partner="a"}': "3600x60",
    'dujiang_connector_published_records_total{partner="institute-7",topic="t"}': "0+50x60",
    'dujiang_connector_refused_records_total{partner="institute-7",topic="t",reason="data_invalid"}': "0+3x60",
    'dujiang_connector_faults_total{partner="institute-7",topic="t",kind="environment"}': "0+1x60",
    'dujiang_connector_lag_records{partner="institute-7",topic="t"}': "9x60",
    # All of them evenly within 100 s: the median is half of it, and so on.
    'dujiang_event_delay_seconds_bucket{step="projects",le="100"}': "0+60x60",
    'dujiang_event_delay_seconds_bucket{step="projects",le="+Inf"}': "0+60x60",
}
PROMQL_ANSWERS: list[tuple[Panel, list[list[tuple[str, float]]]]] = [
    (quality.DUPLICATES, [[('{step="projects"}', 120)]]),
    (quality.RHYTHMS, [[('{partner="a"}', 0.5)]]),
    (
        quality.CONNECTORS,
        [[(f"{{{_THEIRS}}}", 3_000)], [(f'{{{_THEIRS},reason="data_invalid"}}', 180)]],
    ),
    (quality.CONNECTOR_FAULTS, [[(f'{{{_THEIRS},kind="environment"}}', 60)]]),
    (quality.CONNECTOR_LAG, [[(f"{{{_THEIRS}}}", 9)]]),
    (pipeline.LAG, [[(f"step_topic:dujiang_lag_records:sum{{{_TOPIC}}}", 7)]]),
    (pipeline.EVENT_DELAY, [[('{step="projects"}', 50)], [('{step="projects"}', 95)], [('{step="projects"}', 99)]]),
]


def test_there_are_25_questions_and_each_is_answered_or_says_what_it_needs() -> None:
    assert [question.number for question in QUESTIONS] == list(range(1, 26))
    assert [question.number for question in QUESTIONS if not question.panels and not question.needs] == []


def test_every_panel_that_answers_leads_on_to_what_lies_behind_it() -> None:
    """By its own link, or by one of a column."""
    for question in QUESTIONS:
        for panel in question.panels:
            words = {word for query in panel.queries if isinstance(query, Sql) for word in re.findall(r"\w+", query.text)}
            leads = [name for name, column in COLUMNS.items() if name in words and (column.page or column.is_entity)]
            assert panel.page or (panel.kind == "table" and leads), (question.number, panel.title)


def test_every_panel_that_answers_has_its_known_answer_here() -> None:
    named = {panel.title for question in QUESTIONS for panel in question.panels}
    assert named == {panel.title for panel, _ in (*SQL_ANSWERS, *PROMQL_ANSWERS)}


@pytest.mark.services
@pytest.mark.parametrize(("panel", "expected"), SQL_ANSWERS, ids=[panel.title.en for panel, _ in SQL_ANSWERS])
def test_the_seeded_store_gives_the_known_answer(
    reader: psycopg.Connection[Any], panel: Panel, expected: list[dict[str, Any]]
) -> None:
    [query] = panel.queries
    assert isinstance(query, Sql)
    rows = read(reader, sql_of(query, dashboard_of(panel)))
    assert len(rows) == len(expected)
    assert [{name: row[name] for name in wanted} for row, wanted in zip(rows, expected, strict=True)] == expected


@pytest.mark.services
def test_the_oldest_parked_event_waits_since_it_happened(reader: psycopg.Connection[Any]) -> None:
    [query] = pipeline.OLDEST_PARKED.queries
    [row] = read(reader, query.text)
    assert 2 * 86_400 <= row["age_s"] < 2 * 86_400 + 3_600


@pytest.mark.services
def test_a_publisher_s_lateness_is_that_of_its_events(reader: psycopg.Connection[Any]) -> None:
    """/partners/late sent events of 30 and 20 days ago an hour ago: most are within thirty days, as classes go."""
    [query] = quality.PUBLISHERS.queries
    assert isinstance(query, Sql)
    rows = read(reader, sql_of(query, dashboard_of(quality.PUBLISHERS), search="late"))
    assert [row["lateness_p95_s"] / 86_400 for row in rows] == [30]


def test_prometheus_gives_the_known_answer(promtool: str, rule_files: list[Path], tmp_path: Path) -> None:
    cases = [
        {
            "expr": promql_of(query),
            "eval_time": "60m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
        }
        for panel, answers in PROMQL_ANSWERS
        for query, samples in zip(panel.queries, answers, strict=True)
        if isinstance(query, Prom)
    ]
    suite = {
        "rule_files": [str(path) for path in rule_files],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in PROMQL_INPUT.items()],
                "promql_expr_test": cases,
            }
        ],
    }
    path = tmp_path / "questions.yml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    status, said = run_promtool("test", "rules", str(path))
    assert status == 0, said
