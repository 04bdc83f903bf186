"""What each order makes of each state, and who may give it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from schemas.subscriptions import NotAllowed, Order, Protocol, State, Status, after, begun, state_at
from schemas.subscriptions.model import Actor, Reason

THEN = datetime(2026, 3, 1, 8, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)
STATES: tuple[State, ...] = ("pending_validation", "enabled", "paused", "disabled", "expired")
REASONS: dict[str, Reason] = {
    "validate": "validated",
    "revalidate": "sink_changed",
    "pause": "paused",
    "resume": "resumed",
    "disable": "disabled",
    "expire": "expired",
    "renew": "renewed",
}
# Of a webhook, by its partner: where each order leads from pending, enabled, paused, disabled, expired; ! is refused.
TABLE = {
    "validate": "enabled enabled ! ! !",
    "revalidate": "pending_validation pending_validation paused disabled expired",
    "pause": "paused paused paused ! !",
    "resume": "pending_validation enabled enabled pending_validation !",
    "disable": "disabled disabled disabled disabled !",
    "expire": "expired expired expired disabled expired",
    "renew": "pending_validation enabled paused disabled pending_validation",
}


def status(state: State, by: Actor = "partner", protocol: Protocol = "HTTP") -> Status:
    validated_at = None if state == "pending_validation" and protocol == "HTTP" else THEN
    return Status(state, "created", by, THEN, validated_at)


def order(verb: str, by: Actor = "partner") -> Order:
    return Order(verb, REASONS[verb], by)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", TABLE)
def test_every_order_leads_where_the_table_says(verb: str) -> None:
    outcomes = [after(status(state), order(verb), "HTTP", NOW) for state in STATES]
    assert " ".join("!" if isinstance(found, NotAllowed) else found.state for found in outcomes) == TABLE[verb]


@pytest.mark.parametrize("verb", ["pause", "resume", "disable", "expire", "renew", "validate"])
def test_an_order_that_was_followed_changes_nothing_when_it_comes_again(verb: str) -> None:
    for state in STATES:
        first = after(status(state), order(verb), "HTTP", NOW)
        if isinstance(first, Status):
            assert after(first, order(verb), "HTTP", NOW + timedelta(hours=1)) is first


def test_a_change_says_why_since_when_and_by_whom() -> None:
    told = Order("disable", "endpoint_gone", "platform")
    assert after(status("enabled"), told, "HTTP", NOW) == Status("disabled", "endpoint_gone", "platform", NOW, THEN)


def test_what_is_delivered_begins_unvalidated_and_readers_enabled() -> None:
    assert [begun(protocol, "partner", NOW).state for protocol in ("HTTP", "MQTT5", "S3", "SSE", "PULL", "KAFKA")] == [
        "pending_validation",
        "pending_validation",
        "pending_validation",
        "enabled",
        "enabled",
        "pending_validation",
    ]


def test_a_reader_that_was_disabled_goes_on_at_once() -> None:
    found = after(status("disabled", protocol="PULL"), order("resume"), "PULL", NOW)
    assert found == Status("enabled", "resumed", "partner", NOW, NOW)


def test_a_new_sink_is_validated_when_a_paused_webhook_goes_on() -> None:
    changed = after(status("paused"), order("revalidate"), "HTTP", NOW)
    assert isinstance(changed, Status)
    found = after(changed, order("resume"), "HTTP", NOW)
    assert isinstance(found, Status)
    assert (changed.state, found.state) == ("paused", "pending_validation")


@pytest.mark.parametrize("state", ["paused", "disabled"])
def test_a_partner_cannot_lift_what_an_operator_holds(state: State) -> None:
    held = status(state, by="operator")
    assert after(held, order("resume"), "HTTP", NOW) == NotAllowed("held_by_operator", state, "resume")
    assert isinstance(after(held, order("resume", by="operator"), "HTTP", NOW), Status)


def test_an_operator_takes_over_what_a_partner_paused() -> None:
    found = after(status("paused"), order("pause", by="operator"), "HTTP", NOW)
    assert isinstance(found, Status)
    assert (found.state, found.by, found.since) == ("paused", "operator", NOW)


def test_a_partners_pause_does_not_weaken_an_operators() -> None:
    held = status("paused", by="operator")
    assert after(held, order("pause"), "HTTP", NOW) is held


def test_an_expiry_holds_from_its_instant_on() -> None:
    enabled = status("enabled")
    assert [state_at(enabled, NOW, NOW - timedelta(seconds=1)), state_at(enabled, NOW, NOW)] == ["enabled", "expired"]
    assert state_at(replace(enabled, state="disabled"), NOW, NOW) == "disabled"
