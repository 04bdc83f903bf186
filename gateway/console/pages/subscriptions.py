"""Subscriptions: who receives what, on which basis, how far behind; and one subscription with all that was tried."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from gateway.console.markup import Markup, address, join, link, tag
from gateway.console.pages.links import event_name
from gateway.console.pieces import Head, choices, exactly, facts, filters, notice, section, table, text_field, when
from gateway.console.queries import Attempt, Endpoint, Letter, Page, Position, SubscriptionFilter, SubscriptionRow
from gateway.console.queries.subscriptions import STATES
from gateway.console.words import Speech, number
from schemas.subscriptions import PUSHED
from sinks.webhooks.schedule import Policy

CIRCUIT_FAILURES = Policy().circuit_failures
_UNTOLD = {"never_read", "nothing_committed", "not_known"}
_LOOK = {"enabled": "good", "pending_validation": "warn", "paused": "warn", "disabled": "bad", "expired": "calm"}
_ATTEMPT_LOOK = {"acknowledged": "good", "failed": "warn", "dead_lettered": "bad", "withheld": "calm"}


def filter_form(say: Speech, chosen: SubscriptionFilter) -> Markup:
    """State, words."""
    states = [("", say("all")), *((state, say.value("sub_state", state)) for state in STATES)]
    return filters(
        say,
        address("subscriptions"),
        choices("state", say("state"), chosen.state, states),
        text_field("words", say("search_for"), chosen.words),
    )


def list_section(say: Speech, page: Page[SubscriptionRow], chosen: SubscriptionFilter) -> Markup:
    """By partner, and the way to the next page."""
    rows = [
        (
            _named(row),
            _types(say, row),
            join(row.purpose or "", tag("small", row.legal_basis) if row.legal_basis else None),
            join(state(say, row.state), tag("small", say.value("sub_reason", row.reason))),
            number(row.waiting),
            say.span(row.behind_s) if row.waiting else "",
            "" if row.unread is None else number(row.unread),
            last_read(say, row),
            count(row.dead_letters, "bad"),
            number(row.withheld),
        )
        for row in page.rows
    ]
    heads = (
        Head(say("partner")),
        Head(say("types")),
        Head(say("basis")),
        Head(say("state")),
        Head(say("delivery_waiting"), True),
        Head(say("behind"), True),
        Head(say("out_lag"), True),
        Head(say("last_read")),
        Head(say("dead_letters"), True),
        Head(say("withheld"), True),
    )
    is_all = not (chosen.state or chosen.words or chosen.after)
    empty = say("subscriptions_none") if is_all else say("nothing")
    return section(say("subscriptions"), table(say("subscriptions.title"), heads, rows, empty=empty), _turn(say, page, chosen))


def _named(row: SubscriptionRow) -> Markup:
    return join(link(row.partner, "subscriptions", row.subscription_id), tag("small", f"{row.protocol} {row.subscription_id}"))


def last_read(say: Speech, row: SubscriptionRow) -> Markup | str | None:
    """When those that keep their own place read last, or why nobody knows; nothing of what is delivered."""
    if row.reading in _UNTOLD:
        return say.value("reading", row.reading)
    return when(say, row.last_read_at)


def _turn(say: Speech, page: Page[SubscriptionRow], chosen: SubscriptionFilter) -> Markup | None:
    links = []
    if chosen.after:
        links.append(link(say("first_page"), "subscriptions", state=chosen.state, words=chosen.words))
    if page.has_more:
        last = page.rows[-1]
        after = f"{last.partner} {last.subscription_id}"
        links.append(link(say("next_page"), "subscriptions", state=chosen.state, words=chosen.words, after=after))
    return tag("p", [join(one, " ") for one in links]) if links else None


def _types(say: Speech, row: SubscriptionRow) -> Markup:
    if row.types == "*":
        return tag("span", say("every_type"))
    return join(*(tag("small", event_name(name)) for name in row.types.split(", ")))


def state(say: Speech, value: str) -> Markup:
    """Of the lifecycle."""
    return tag("span", say.value("sub_state", value), class_=f"badge {_LOOK.get(value, 'calm')}")


def count(found: int, look: str) -> Markup | str:
    """A number that has a look where it is not nought."""
    return tag("span", number(found), class_=f"badge {look}") if found else "0"


def sheet(say: Speech, row: SubscriptionRow, endpoint: Endpoint, positions: Sequence[Position]) -> Markup:
    """Where it stands, on which basis, how far it is, and how its endpoint fares."""
    by = say.value("state_by", endpoint.state_by)
    status = tag(
        "p",
        state(say, row.state),
        " ",
        say.value("sub_reason", row.reason),
        f", {by}, {say('since_when', when=say.ago(endpoint.state_since))}",
        tag("q", endpoint.state_note) if endpoint.state_note else None,
        class_="status",
    )
    return join(status, tag("div", _basis(say, row), _progress(say, row, endpoint), class_="two"), _read(say, positions))


def _basis(say: Speech, row: SubscriptionRow) -> Markup:
    return section(
        say("basis"),
        facts(
            (
                (say("partner"), link(row.partner, "partners", row.partner)),
                (say("types"), _types(say, row)),
                (say("protocol"), row.protocol),
                (say("reason"), row.purpose),
                (say("basis"), row.legal_basis),
                (say("approver"), row.approver),
                (say("ends"), exactly(say, row.expires_at)),
                (say("moved"), exactly(say, row.changed_at)),
            )
        ),
    )


def _progress(say: Speech, row: SubscriptionRow, endpoint: Endpoint) -> Markup:
    withheld = {"right": number(endpoint.withheld_right), "classification": number(endpoint.withheld_classification)}
    pairs: list[tuple[str, Markup | str | None]] = [
        (say("withheld"), say("withheld_of", **withheld) if row.withheld else "0"),
    ]
    if row.protocol in PUSHED:
        granted = say("per_minute", count=number(endpoint.granted_per_min)) if endpoint.granted_per_min else None
        pairs = [
            (say("delivered_to"), _host(endpoint.sink)),
            (say("last_number"), number(row.last_number)),
            (say("delivery_waiting"), number(row.waiting)),
            (say("behind"), say.span(row.behind_s) if row.waiting else None),
            (say("dead_letters"), count(row.dead_letters, "bad")),
            *pairs,
            (say("circuit"), circuit(say, endpoint.failures_in_row)),
            (say("failing_since"), when(say, endpoint.failing_since)),
            (say("next_attempt"), when(say, endpoint.retry_at) if endpoint.failures_in_row else None),
            (say("granted"), granted),
        ]
    else:
        pairs.append((say("last_read"), last_read(say, row)))
    pairs.append((say("out_lag"), None if row.unread is None else number(row.unread)))
    return section(say("progress"), facts(pairs), note="" if row.protocol in PUSHED else say("readers_come"))


def _host(sink: str | None) -> str | None:
    """Where it goes without the path, which may be a secret of the receiver's."""
    parts = urlsplit(sink) if sink else None
    return f"{parts.scheme}://{parts.hostname}" if parts else None


def circuit(say: Speech, failures_in_row: int) -> Markup:
    """Whether the endpoint answers."""
    if failures_in_row >= CIRCUIT_FAILURES:
        return tag("span", say("circuit.open", count=failures_in_row), class_="badge bad")
    if failures_in_row:
        return tag("span", say("circuit.failing", count=failures_in_row), class_="badge warn")
    return tag("span", say("circuit.closed"), class_="badge good")


def _read(say: Speech, positions: Sequence[Position]) -> Markup:
    rows = [
        (
            join(row.topic, tag("small", row.consumer) if row.consumer else None),
            number(row.partition),
            "" if row.start_offset is None else number(row.start_offset),
            "" if row.next_offset is None else number(row.next_offset),
            "" if row.unread is None else number(row.unread),
            when(say, row.moved_at),
        )
        for row in positions
    ]
    heads = (
        Head(say("topic")),
        Head(say("partition"), True),
        Head(say("began_at"), True),
        Head(say("read_to"), True),
        Head(say("out_lag"), True),
        Head(say("moved")),
    )
    body = table(say("place"), heads, rows, empty=say("positions_none"))
    return section(say("place"), body, note=say("positions_note"))


def attempts_section(say: Speech, attempts: Sequence[Attempt]) -> Markup:
    """The latest first."""
    rows = [
        (
            number(row.number),
            when(say, row.started_at),
            join(tag("code", row.event_id), tag("small", event_name(row.event_type))),
            tag("span", say.value("delivery", row.outcome), class_=f"badge {_ATTEMPT_LOOK.get(row.outcome, 'calm')}"),
            join(str(row.status) if row.status else "", tag("small", row.reason) if row.reason else None),
            number(row.attempt),
            "" if row.duration_ms is None else f"{row.duration_ms:,} ms",
            when(say, row.retry_at) if row.outcome == "failed" else None,
        )
        for row in attempts
    ]
    heads = (
        Head(say("delivery_number"), True),
        Head(say("happened")),
        Head(say("event")),
        Head(say("outcome_of")),
        Head(say("reason")),
        Head(say("attempts"), True),
        Head(say("took"), True),
        Head(say("next_attempt")),
    )
    return section(say("attempts_last"), table(say("attempts_last"), heads, rows, empty=say("attempts_none")))


def letters_section(say: Speech, page: Page[Letter]) -> Markup:
    """What was given up, the oldest first."""
    rows = [
        (
            number(row.number),
            join(tag("code", row.event_id), tag("small", event_name(row.event_type))),
            join(tag("code", row.reason), f" {row.status}" if row.status else "", tag("small", row.message)),
            number(row.attempts),
            when(say, row.last_failed_at),
        )
        for row in page.rows
    ]
    heads = (
        Head(say("delivery_number"), True),
        Head(say("event")),
        Head(say("reason")),
        Head(say("attempts"), True),
        Head(say("last_seen")),
    )
    more = tag("p", say("more", count=len(page.rows)), class_="note") if page.has_more else None
    return section(say("dead_letters"), table(say("dead_letters"), heads, rows, empty=say("letters_none")), more)


def missing(say: Speech, key: str) -> Markup:
    """There is no such subscription, or it is somebody else's."""
    return notice(say("missing_why", what=say("subscription"), key=key), "warn")
