"""Tokens in force as a gateway knows them, and the register that they come from."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from engine.clock import FakeClock
from engine.errors import TransientFault
from gateway import partners
from gateway.directory import StoredDirectory, registered, tokens_in_force
from gateway.identity import Identity, Partner, digest_of, prefix_of
from gateway.limits import Allowance
from gateway.partners import Nested, PartnerRefused
from gateway.snapshot import FRESH_S, RETRY_S

ALLOWANCE = Allowance(100, 5_000, 1_000_000)
INSTITUTE = Partner("institute-7", ("publish:gov.stiib.research.*",), ("/partners/institute-7",), ALLOWANCE)
DIGEST = b"d" * 32
DAY = timedelta(days=1)


class FakeStore:
    """A database that says what it is told to, and how often it was asked."""

    def __init__(self) -> None:
        self.says: dict[bytes, Identity] | TransientFault = {}
        self.asked = 0

    async def call(self, _: Callable[[Any], Any]) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.says, TransientFault):
            raise self.says
        return dict(self.says)


class TestCached:
    @pytest.fixture
    def store(self, clock: FakeClock) -> FakeStore:
        made = FakeStore()
        made.says = {DIGEST: Identity(INSTITUTE, (), clock.now() + DAY)}
        return made

    @pytest.fixture
    def find(self, store: Any, clock: FakeClock) -> Callable[[], Identity | None]:
        directory = StoredDirectory(store, clock)
        return lambda: asyncio.run(directory.find(DIGEST))

    def test_revocation_holds_after_five_seconds_at_most(
        self, store: FakeStore, find: Callable[[], Any], clock: FakeClock
    ) -> None:
        assert find() is not None
        store.says = {}
        clock.advance(FRESH_S - 0.1)
        assert find() is not None
        clock.advance(0.1)
        assert find() is None
        assert FRESH_S == 5

    def test_token_ends_at_its_instant_and_not_with_the_cache(
        self, store: FakeStore, find: Callable[[], Any], clock: FakeClock
    ) -> None:
        store.says = {DIGEST: Identity(INSTITUTE, (), clock.now() + timedelta(seconds=1))}
        assert find() is not None
        clock.advance(1)
        assert find() is None

    def test_nobody_is_known_by_what_is_older_than_that(
        self, store: FakeStore, find: Callable[[], Any], clock: FakeClock
    ) -> None:
        find()
        store.says = TransientFault("PostgreSQL: away")
        clock.advance(FRESH_S)
        with pytest.raises(TransientFault):
            find()

    def test_requests_that_waited_for_a_failed_read_fail_with_it(
        self, store: FakeStore, find: Callable[[], Any], clock: FakeClock
    ) -> None:
        well = store.says
        store.says = TransientFault("PostgreSQL: away")
        for _ in range(3):
            with pytest.raises(TransientFault):
                find()
        assert store.asked == 1
        store.says = well
        clock.advance(RETRY_S)
        assert find() is not None

    def test_many_requests_at_once_ask_once(self, store: Any, clock: FakeClock) -> None:
        directory = StoredDirectory(store, clock)

        async def many() -> list[Identity | None]:
            return await asyncio.gather(*(directory.find(bytes([number]) * 32) for number in range(100)))

        assert asyncio.run(many()) == [None] * 100
        assert store.asked == 1


class TestRefused:
    """What a partner cannot be. The cursor is never asked."""

    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"partner_id": "Institute"}, "no id of a partner"),
            ({"partner_id": ""}, "no id of a partner"),
            ({"scopes": ()}, "add --scope"),
            ({"scopes": ("publish:a*b",)}, "no scope"),
            ({"scopes": ("publish:*",) * 51}, "at most 50 scopes"),
            ({"sources": ()}, "1 to 10 sources"),
            ({"sources": ("/partners/a/",)}, "without a slash at its end"),
            ({"sources": ("/partners/a/../b",)}, "dot segment"),
            ({"sources": ("/engine",)}, "the platform's own"),
            ({"sources": ("/streams/projects",)}, "the platform's own"),
            ({"allowance": Allowance(0, 1_000, 1)}, "at least 1"),
            ({"allowance": Allowance(1, 999, 1)}, "at least 1000 events"),
        ],
    )
    def test_partner_is_refused_with_what_helps(self, changes: dict[str, Any], part: str) -> None:
        members = {"partner_id": "a", "scopes": ("publish:*",), "sources": ("/partners/a",), "allowance": ALLOWANCE}
        cursor: Any = None
        with pytest.raises(PartnerRefused, match=part):
            partners.put(cursor, Partner(**(members | changes)), "A", "me", replace=False)


@pytest.mark.services
class TestRegister:
    @pytest.fixture
    def cursor(self, database: str) -> Iterator[psycopg.Cursor[Any]]:
        with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
            partners.put(made, INSTITUTE, "Institute 7", "clerk", replace=False)
            yield made

    def issue(self, cursor: psycopg.Cursor[Any], clock: FakeClock, *scopes: str) -> str:
        return partners.issue(cursor, "institute-7", scopes, clock.now(), clock.now() + DAY, "clerk")

    def test_token_is_known_by_its_digest_with_rights_and_limits(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        token = self.issue(cursor, clock, "publish:gov.stiib.research.project.*")
        assert tokens_in_force(cursor, clock.now()) == {
            digest_of(token): Identity(INSTITUTE, ("publish:gov.stiib.research.project.*",), clock.now() + DAY)
        }

    def test_token_is_kept_nowhere(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        token = self.issue(cursor, clock)
        cursor.execute("SELECT p::text || t::text FROM partner p JOIN partner_token t USING (partner_id)")
        ((row,),) = cursor.fetchall()
        assert prefix_of(token) in row
        assert token[len(prefix_of(token)) :] not in row

    def test_revoked_token_is_not_in_force_and_the_others_are(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        first, second = self.issue(cursor, clock), self.issue(cursor, clock)
        assert partners.revoke(cursor, "institute-7", prefix_of(first), clock.now(), "clerk") == [prefix_of(first)]
        assert set(tokens_in_force(cursor, clock.now())) == {digest_of(second)}

    def test_all_of_a_partner_are_revoked_at_once(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        issued = sorted(prefix_of(self.issue(cursor, clock)) for _ in range(3))
        assert partners.revoke(cursor, "institute-7", None, clock.now(), "clerk") == issued
        assert tokens_in_force(cursor, clock.now()) == {}

    def test_rotated_token_holds_for_the_overlap_and_the_new_one_has_its_scopes(
        self, cursor: psycopg.Cursor[Any], clock: FakeClock
    ) -> None:
        old = self.issue(cursor, clock, "publish:gov.stiib.research.call.*")
        overlap = clock.now() + timedelta(hours=2)
        new = partners.rotate(cursor, "institute-7", prefix_of(old), clock.now(), clock.now() + 30 * DAY, overlap, "clerk")
        assert set(tokens_in_force(cursor, clock.now())) == {digest_of(old), digest_of(new)}
        clock.advance(2 * 3600)
        assert tokens_in_force(cursor, clock.now()) == {
            digest_of(new): Identity(INSTITUTE, ("publish:gov.stiib.research.call.*",), overlap - timedelta(hours=2) + 30 * DAY)
        }

    def test_rotation_does_not_lengthen_the_old_token(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        old = self.issue(cursor, clock)
        later = clock.now() + 30 * DAY
        partners.rotate(cursor, "institute-7", prefix_of(old), clock.now(), later, later, "clerk")
        clock.advance(86_400)
        assert digest_of(old) not in tokens_in_force(cursor, clock.now())

    def test_ended_token_cannot_be_rotated_or_revoked(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        old = self.issue(cursor, clock)
        clock.advance(86_400)
        later = clock.now() + DAY
        with pytest.raises(PartnerRefused, match="has no token"):
            partners.rotate(cursor, "institute-7", prefix_of(old), clock.now(), later, later, "clerk")
        with pytest.raises(PartnerRefused, match="has no token"):
            partners.revoke(cursor, "institute-7", prefix_of(old), clock.now(), "clerk")

    def test_partner_is_changed_only_on_purpose(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        token = self.issue(cursor, clock)
        changed = Partner("institute-7", ("subscribe:*",), ("/partners/x",), Allowance(1, 1_000, 5))
        with pytest.raises(PartnerRefused, match="--replace"):
            partners.put(cursor, changed, "Institute 7", "clerk", replace=False)
        partners.put(cursor, changed, "Institute 7", "clerk", replace=True)
        assert tokens_in_force(cursor, clock.now()) == {digest_of(token): Identity(changed, (), clock.now() + DAY)}

    def test_source_below_another_partner_s_is_its_own_alone(self, cursor: psycopg.Cursor[Any]) -> None:
        lab = Partner("lab", ("publish:*",), ("/partners/institute-7/lab",), ALLOWANCE)
        partners.put(cursor, lab, "Lab", "clerk", replace=False)
        expected = {"institute-7": replace(INSTITUTE, parted=frozenset(lab.sources)), "lab": lab}
        assert registered(cursor) == expected
        told = [Nested("/partners/institute-7", "institute-7", "/partners/institute-7/lab", "lab")]
        assert (partners.nested(cursor, "lab"), partners.nested(cursor, "institute-7")) == (told, told)

    def test_source_of_another_partner_is_refused(self, cursor: psycopg.Cursor[Any]) -> None:
        twin = Partner("twin", ("publish:*",), ("/partners/twin", *INSTITUTE.sources), ALLOWANCE)
        with pytest.raises(PartnerRefused, match="is institute-7's already"):
            partners.put(cursor, twin, "Twin", "clerk", replace=False)

    def test_tokens_have_a_limit(self, cursor: psycopg.Cursor[Any], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(partners, "TOKENS_MAX", 1)
        self.issue(cursor, clock)
        with pytest.raises(PartnerRefused, match="revoke those not used"):
            self.issue(cursor, clock)

    def test_unknown_partner_gets_no_token(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        with pytest.raises(PartnerRefused, match="no partner 'nobody'"):
            partners.issue(cursor, "nobody", [], clock.now(), clock.now() + DAY, "clerk")

    def test_lists_show_who_may_what_and_every_token_ever(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        issued_at = clock.now()
        tokens = [self.issue(cursor, clock) for _ in range(2)]
        partners.revoke(cursor, "institute-7", prefix_of(tokens[0]), clock.now(), "chief")
        assert partners.partners(cursor, clock.now()) == [
            {
                "partner": "institute-7",
                "name": "Institute 7",
                "scopes": ["publish:gov.stiib.research.*"],
                "sources": ["/partners/institute-7"],
                "events_per_s": 100,
                "burst_events": 5_000,
                "events_per_day": 1_000_000,
                "promised_s": None,
                "heard_at": None,
                "tokens": [prefix_of(tokens[1])],
            }
        ]
        clock.advance(86_400)
        found = {row["prefix"]: row for row in partners.tokens(cursor, clock.now())}
        assert {prefix: row["state"] for prefix, row in found.items()} == {
            prefix_of(tokens[0]): "revoked",
            prefix_of(tokens[1]): "expired",
        }
        assert found[prefix_of(tokens[0])]["revoked_by"] == "chief"
        assert found[prefix_of(tokens[0])]["revoked_at"] == issued_at
