"""Every change of rights is in the log, whoever makes it, and stays there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from engine import audit
from engine.subscriptions import notices, register, secrets
from gateway import partners
from gateway.identity import Partner
from gateway.limits import Allowance
from schemas.subscriptions import Order, Subscription, begun

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, application_name="test audit") as made:
        yield made


def _partner(*scopes: str) -> Partner:
    return Partner("agency-1", scopes, ("/partners/agency-1",), Allowance(100, 1_000, 10_000))


def _subscription(cursor: psycopg.Cursor[Any]) -> Subscription:
    made = Subscription(uuid4(), "agency-1", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, sink="https://a.example.org/")
    audit.act_as(cursor, audit.by_partner("agency-1"))
    register.add(cursor, made, {})
    return made


def test_a_right_that_changes_says_who_from_what_to_what(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        partners.put(cursor, _partner("subscribe:a"), "Agency", "wang", replace=False)
        partners.put(cursor, _partner("subscribe:a", "subscribe:b"), "Agency", "li", replace=True)
        newest, first = audit.entries(cursor, "agency-1", None, 10)
    assert (first["verb"], first["actor"], first["after"]["scopes"]) == ("created", "operator:wang", ["subscribe:a"])
    assert (newest["thing"], newest["verb"], newest["actor"], newest["application"]) == (
        "partner",
        "changed",
        "operator:li",
        "test audit",
    )
    assert (newest["before"], newest["after"]) == (
        {"scopes": ["subscribe:a"], "changed_by": "wang"},
        {"scopes": ["subscribe:a", "subscribe:b"], "changed_by": "li"},
    )


def test_tokens_and_secrets_are_named_and_never_shown(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        partners.put(cursor, _partner("subscribe:a"), "Agency", "wang", replace=False)
        token = partners.issue(cursor, "agency-1", [], NOW, NOW + timedelta(days=1), "wang")
        partners.revoke(cursor, "agency-1", None, NOW, "li")
        made = _subscription(cursor)
        secrets.add(cursor, made.id, "v1", b"very secret bytes of a hook....", None, NOW, None)
        found = audit.entries(cursor, "agency-1", None, 10)
    assert [(one["thing"], one["verb"], one["actor"]) for one in found if one["thing"] in {"token", "secret"}] == [
        ("secret", "created", "partner:agency-1"),
        ("token", "changed", "operator:li"),
        ("token", "created", "operator:wang"),
    ]
    said = str(found)
    assert token[:8] in said
    assert token not in said
    assert b"very secret".hex() not in said
    assert "very secret" not in said


def test_a_change_by_hand_is_there_too_and_one_that_changes_nothing_is_not(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        partners.put(cursor, _partner("subscribe:a"), "Agency", "wang", replace=False)
        cursor.execute("UPDATE partner SET changed_at = now() + interval '1 day'")
        cursor.execute("DELETE FROM partner")
        found = audit.entries(cursor, None, "partner", 10)
    assert [(one["verb"], one["thing_id"]) for one in found] == [("deleted", "agency-1"), ("created", "agency-1")]
    assert found[0]["actor"].startswith("role:")


def test_what_a_partner_writes_freely_stands_there_as_a_digest(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        made = _subscription(cursor)
        for key in ("first-key", "other-key"):
            changed = replace(
                made,
                sink=f"https://a.example.org/hook?key={key}",
                config={"note": key, "rate_per_min": 60},
                protocolsettings={"headers": {"x-api-key": key}},
            )
            register.replace_with(cursor, changed, NOW)
        newest, second, first = audit.entries(cursor, "agency-1", "subscription", 10)
    assert "-key" not in str((newest, second))
    assert (first["after"]["sink"], first["after"]["config"]) == ("https://a.example.org/", {})
    assert newest["before"]["sink"] == second["after"]["sink"] != newest["after"]["sink"]
    assert newest["after"]["sink"].startswith("https://a.example.org/hook?")
    assert {"sink", "config", "protocolsettings"} <= set(newest["after"])


def test_secrets_that_go_with_their_subscription_are_their_owners(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        made = _subscription(cursor)
        secrets.add(cursor, made.id, "v1", b"k" * 32, None, NOW, None)
        assert not register.remove(cursor, made.id, "agency-2")
        assert len(secrets.described(cursor, made.id)) == 1
        assert register.remove(cursor, made.id, "agency-1")
        found = [one for one in audit.entries(cursor, "agency-1", None, 10) if one["verb"] == "deleted"]
    assert {(one["thing"], one["partner"]) for one in found} == {("secret", "agency-1"), ("subscription", "agency-1")}


@pytest.mark.parametrize("order", ["UPDATE audit_entry SET actor = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"])
def test_nothing_in_it_can_be_changed(connection: psycopg.Connection[Any], order: str) -> None:
    with connection.cursor() as cursor, pytest.raises(psycopg.errors.RaiseException, match="only added to"):
        cursor.execute(order)  # type: ignore[arg-type]


class TestNotices:
    """What the platform or an operator did, to its owner alone."""

    def test_a_disabled_endpoint_is_its_owners_notice(self, connection: psycopg.Connection[Any]) -> None:
        with connection.cursor() as cursor:
            made = _subscription(cursor)
            audit.act_as(cursor, audit.PLATFORM)
            register.move(cursor, made.id, Order("validate", "validated", "platform"), NOW)
            register.move(cursor, made.id, Order("disable", "endpoint_gone", "platform"), NOW)
            audit.act_as(cursor, audit.by_partner("agency-1"))
            register.move(cursor, made.id, Order("resume", "resumed", "partner"), NOW)
            connection.commit()
            found = notices.after(cursor, "agency-1", notices.BEGINNING, 10)
            assert [(one.state, one.reason, one.by) for one in found] == [
                ("enabled", "validated", "platform"),
                ("disabled", "endpoint_gone", "platform"),
            ]
            assert notices.after(cursor, "agency-1", found[0].position, 10) == found[1:]
            assert notices.after(cursor, "agency-2", notices.BEGINNING, 10) == []

    def test_positions_follow_transactions_and_not_entries(self, connection: psycopg.Connection[Any], database: str) -> None:
        with psycopg.connect(database) as slow, slow.cursor() as late, connection.cursor() as cursor:
            made = [_subscription(late), _subscription(cursor)]
            slow.commit()
            audit.act_as(late, audit.PLATFORM)
            register.move(late, made[0].id, Order("disable", "endpoint_gone", "platform"), NOW)
            audit.act_as(cursor, audit.by_operator("agency-1"))
            register.move(cursor, made[1].id, Order("disable", "disabled", "operator", "停用"), NOW)
            connection.commit()
            [first] = notices.after(cursor, "agency-1", notices.BEGINNING, 10)
            assert (first.by, first.note) == ("operator", "停用")  # its transaction began first, its entry came second
            connection.commit()
            slow.commit()
            assert [one.by for one in notices.after(cursor, "agency-1", first.position, 10)] == ["platform"]

    def test_what_an_older_transaction_may_still_stand_before_waits(
        self, connection: psycopg.Connection[Any], database: str
    ) -> None:
        with psycopg.connect(database) as slow, slow.cursor() as late, connection.cursor() as cursor:
            one, other = _subscription(cursor), _subscription(cursor)
            connection.commit()
            audit.act_as(late, audit.PLATFORM)
            register.move(late, one.id, Order("disable", "endpoint_gone", "platform"), NOW)
            audit.act_as(cursor, audit.by_operator("agency-1"))
            register.move(cursor, other.id, Order("disable", "disabled", "operator"), NOW)
            connection.commit()
            assert notices.after(cursor, "agency-1", notices.BEGINNING, 10) == []
            connection.commit()
            slow.commit()
            found = notices.after(cursor, "agency-1", notices.BEGINNING, 10)
            assert [notice.by for notice in found] == ["platform", "operator"]
