"""Commands that show what is stored, as of an instant."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from dujiang.cli.context import AsJson, AsOf, database, instant_of, services_of, settings_with_logging
from dujiang.cli.output import fail, show, speaks

KeyPrefix = Annotated[str, typer.Argument(help="Only keys that begin so.")]
Limit = Annotated[int | None, typer.Option(help="At most so many rows.")]


def _reports(subject: str, prefix: str, limit: int | None, instant: datetime) -> Iterator[dict[str, Any]]:
    from dujiang.wiring import STEPS, STORES

    with database() as cursor:
        for key, entity in STORES[subject].scan(cursor, prefix, limit):
            yield STEPS[subject].report(key, entity, instant)


@speaks
def projects(
    prefix: KeyPrefix = "",
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    overlay: Annotated[str | None, typer.Option(help="Only with this overlay: overdue, at_risk, silent, underspent.")] = None,
    limit: Limit = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Research projects: state, overlays, money, milestones."""
    rows = _reports("projects", prefix, limit, instant_of(as_of))
    rows = (row for row in rows if state in (None, row["state"]) and (overlay is None or overlay in row["overlays"]))
    columns = (
        "project_id",
        "state",
        "overlays",
        "end",
        "contract_amount",
        "disbursed",
        "milestones",
        "applied",
        "rejected",
    )
    show(rows, as_json=as_json, columns=columns, empty="no projects stored")


@speaks
def calls(
    prefix: KeyPrefix = "",
    phase: Annotated[
        str | None, typer.Option(help="Only this phase: forthcoming, open, closing_soon, closed, cancelled.")
    ] = None,
    limit: Limit = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Calls for proposals: where each stands."""
    rows = (row for row in _reports("calls", prefix, limit, instant_of(as_of)) if phase in (None, row["phase"]))
    columns = ("call_id", "phase", "source_status", "closes_at", "budget", "programme", "title")
    show(rows, as_json=as_json, columns=columns, empty="no calls stored")


@speaks
def alerts(
    prefix: KeyPrefix = "",
    condition: Annotated[str | None, typer.Option(help="Only this condition: firing, resolved, expired.")] = None,
    limit: Limit = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Infrastructure alerts: condition, handling, age."""
    rows = (row for row in _reports("alerts", prefix, limit, instant_of(as_of)) if condition in (None, row["condition"]))
    columns = ("key", "condition", "handling", "severity", "title", "raised_at", "last_seen", "repeats", "overlays")
    show(rows, as_json=as_json, columns=columns, empty="no alerts stored")


@speaks
def ledger(as_json: AsJson = False) -> None:
    """What became of every record, by step and topic. Ends with status 1 if anything is unaccounted for."""
    from dujiang import topics
    from engine.ledger import accounts
    from schemas.topics import TOPICS

    settings = settings_with_logging()
    with services_of(settings) as services:
        with topics.connected(services.bootstrap, settings.kafka) as broker:
            ends = broker.ends(TOPICS)
        with services.connection() as connection, connection.cursor() as cursor:
            found = accounts(cursor, ends)
    rows = [account._asdict() | {"unaccounted": account.unaccounted} for account in found]
    show(rows, as_json=as_json, empty="no step has begun yet; run `dujiang worker`")
    if any(row["unaccounted"] for row in rows):
        fail("some records are unaccounted for: lost (above 0) or counted twice (below 0); see docs/runbook/ledger.md")


@speaks
def audit(
    partner: Annotated[str | None, typer.Option(help="Only what is this partner's.")] = None,
    thing: Annotated[str | None, typer.Option(help="Only partner, token, key, subscription or secret.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Entries at most, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who changed which right, token, key, subscription or secret, and when. Nobody can change what stands here."""
    from engine.audit import entries

    with database() as cursor:
        rows = entries(cursor, partner, thing, limit)
    show(rows, as_json=as_json, empty="nothing was changed")


@speaks
def topology() -> None:
    """The data's way as a Mermaid flowchart."""
    from dujiang.ingest import fed_topics
    from dujiang.topology import DERIVED, mermaid
    from dujiang.wiring import SINKS, STEPS

    typer.echo(mermaid(fed_topics(), [(step, DERIVED[name]) for name, step in STEPS.items()], SINKS.values()))


@speaks
def settings(as_json: AsJson = False) -> None:
    """Every setting with its value, variable and meaning; secrets hidden."""
    from dujiang.settings import load, rows

    show(rows(load()), as_json=as_json)
