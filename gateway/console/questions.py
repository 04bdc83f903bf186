"""Which of the operators' 25 questions a page answers, and what that page asks (docs/reference/questions.md is made of it).

The numbers are those of `monitoring/dashboards/questions.py`, which knows Grafana's panels and must not know the console.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from gateway.console import queries
from gateway.console.queries import AlertFilter, CallFilter, HeldFilter, ProjectFilter, SubscriptionFilter


class PageAnswer(NamedTuple):
    """`page`: its title, a word of `words.py`; `path`: its address below the console's; `ask`: its query."""

    number: int
    page: str
    path: str
    ask: Callable[[Cursor[Any]], Any]


def _projects(number: int, **chosen: str) -> PageAnswer:
    path = "projects?" + "&".join(f"{name}={value}" for name, value in chosen.items())
    return PageAnswer(number, "projects.title", path, lambda cursor: queries.projects(cursor, ProjectFilter(**chosen)))


PAGE_ANSWERS: Final = (
    _projects(1, claim="overdue"),
    _projects(3, state="acceptance_pending"),
    _projects(6, claim="undecided"),
    PageAnswer(
        7, "calls.title", "calls?phase=closing_soon", lambda cursor: queries.calls(cursor, CallFilter(phase="closing_soon"))
    ),
    PageAnswer(11, "alerts.title", "alerts", lambda cursor: queries.alerts(cursor, AlertFilter())),
    PageAnswer(16, "alerts.title", "alerts?show=silenced", lambda cursor: queries.alerts(cursor, AlertFilter("silenced"))),
    PageAnswer(23, "quarantine.title", "quarantine", queries.causes),
    PageAnswer(23, "quarantine.title", "quarantine?state=waiting", lambda cursor: queries.held(cursor, HeldFilter())),
    PageAnswer(25, "subscriptions.title", "subscriptions", lambda cursor: queries.subscriptions(cursor, SubscriptionFilter())),
)


def asked(answer: PageAnswer) -> list[str]:
    """The SQL that a page sends, without sending it."""
    recorder = _Recorder()
    answer.ask(recorder)  # type: ignore[arg-type]
    return recorder.queries


class _Recorder:
    """A cursor and its connection in one, which finds nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    @property
    def connection(self) -> "_Recorder":
        return self

    def cursor(self, **_: Any) -> "_Recorder":
        return self

    def __enter__(self) -> "_Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, query: bytes, _: Any) -> None:
        # psycopg doubles a percent sign that is none of its own
        self.queries.append(" ".join(query.decode().replace("%%", "%").split()))

    def fetchall(self) -> list[Any]:
        return []
