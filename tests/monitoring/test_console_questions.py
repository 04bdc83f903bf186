"""The operators' questions that the console answers: what each page asks gives the known answer of the seeded store."""

from typing import Any

import psycopg
import pytest

from gateway.console import queries
from gateway.console.questions import PAGE_ANSWERS, PageAnswer, asked
from gateway.console.words import WORDS
from monitoring.dashboards.questions import QUESTIONS

# By address: of every row, the columns that do not move with the clock.
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "projects?claim=overdue": [
        {"project_id": "P-2", "overdue_days": 17, "lead": "Institute B"},
        {"project_id": "P-1", "overdue_days": 5, "lead": "Institute A"},
    ],
    "projects?state=acceptance_pending": [{"project_id": "P-2"}, {"project_id": "P-3"}],
    "projects?claim=undecided": [
        {"project_id": "P-5", "state": "under_review"},
        {"project_id": "P-4", "state": "applied"},
    ],
    "calls?phase=closing_soon": [{"call_id": "C-now", "programme": "Water"}],
    "alerts": [
        {"alert_key": "mon/a1", "severity": "critical", "is_acknowledged_late": True, "suppression": "none"},
        {"alert_key": "mon/a3", "severity": "high", "condition": "expired", "suppression": "none"},
        {"alert_key": "mon/a4", "severity": "high", "condition": "firing", "suppression": "silenced"},
        {"alert_key": "mon/a2", "severity": "warning", "condition": "firing", "suppression": "silenced"},
    ],
    "alerts?show=silenced": [
        {"alert_key": "mon/a2", "condition": "firing", "handling": "acknowledged"},
        {"alert_key": "mon/a4", "condition": "firing", "handling": "acknowledged"},
    ],
    "quarantine": [{"reason": "data_invalid", "event_source": "/partners/late", "records": 2}],
    "quarantine?state=waiting": [
        {"reason": "data_invalid", "state": "waiting"},
        {"reason": "data_invalid", "state": "waiting"},
    ],
    "subscriptions": [
        {"partner": "audit", "state": "enabled", "waiting": 2, "dead_letters": 1, "withheld": 3, "approver": "Office 3"},
        {"partner": "finance", "state": "paused", "types": "*"},
        {"partner": "finance", "state": "enabled", "protocol": "KAFKA"},
        {"partner": "water", "state": "expired", "reason": "expired"},
    ],
}


@pytest.mark.services
@pytest.mark.parametrize("answer", PAGE_ANSWERS, ids=[answer.path for answer in PAGE_ANSWERS])
def test_the_page_gives_the_known_answer_to_the_reading_role(reader: psycopg.Connection[Any], answer: PageAnswer) -> None:
    with reader.cursor() as cursor:
        found = answer.ask(cursor)
    rows = [row._asdict() for row in getattr(found, "rows", found)]
    expected = ANSWERS[answer.path]
    assert len(rows) == len(expected)
    assert [{name: row[name] for name in wanted} for row, wanted in zip(rows, expected, strict=True)] == expected


@pytest.mark.parametrize("answer", PAGE_ANSWERS, ids=[answer.path for answer in PAGE_ANSWERS])
def test_what_is_printed_is_what_the_page_asks(answer: PageAnswer) -> None:
    [query] = asked(answer)
    assert query.startswith("SELECT ")
    assert " FROM v_" in query
    assert " LIMIT " in query
    assert answer.number in {question.number for question in QUESTIONS}
    assert answer.page in WORDS


@pytest.mark.services
def test_a_search_finds_a_source_with_its_figures(reader: psycopg.Connection[Any]) -> None:
    with reader.cursor() as cursor:
        [late] = queries.find_sources(cursor, "/partners/LATE")
        assert queries.find_sources(cursor, "/partners/nobody") == []
    assert late[:-1] == ("/partners/late", 2, 3, 1)
