"""Tokens, scopes and sources: who may what. Pure."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.identity import (
    SCOPE,
    TOKEN,
    Identity,
    Partner,
    bearer_token,
    digest_of,
    new_token,
    prefix_of,
    refuse_ungranted,
)
from gateway.limits import Allowance
from gateway.problems import Problem
from schemas.cloudevents import CloudEvent

LATER = datetime(2030, 1, 1, tzinfo=UTC)
PLENTY = Allowance(1_000, 1_000, 1_000_000)
SUSPENDED = "gov.stiib.research.project.suspended.v1"


def identity(
    scopes: tuple[str, ...] = ("publish:gov.stiib.research.*",),
    token_scopes: tuple[str, ...] = (),
    sources: tuple[str, ...] = ("/partners/a",),
) -> Identity:
    return Identity(Partner("a", scopes, sources, PLENTY), token_scopes, LATER)


class TestRights:
    @pytest.mark.parametrize(
        ("scopes", "token_scopes", "allowed"),
        [
            (("publish:gov.stiib.research.*",), (), True),
            ((f"publish:{SUSPENDED}",), (), True),
            (("publish:*",), (), True),
            (("publish:gov.stiib.infra.*", "publish:gov.stiib.research.*"), (), True),
            ((), (), False),
            (("publish:gov.stiib.infra.*",), (), False),
            (("publish:gov.stiib.research.project.suspended",), (), False),
            ((SUSPENDED,), (), False),
            (("subscribe:*",), (), False),
            (("publish:*",), ("publish:gov.stiib.research.project.*",), True),
            (("publish:*",), ("publish:gov.stiib.infra.*",), False),
            (("publish:gov.stiib.infra.*",), ("publish:*",), False),
        ],
    )
    def test_partner_and_token_must_both_allow(
        self, scopes: tuple[str, ...], token_scopes: tuple[str, ...], allowed: bool
    ) -> None:
        assert identity(scopes, token_scopes).may("publish", SUSPENDED) is allowed

    def test_operations_are_granted_apart(self) -> None:
        one = identity(("subscribe:*", "call:/metrics"))
        assert [one.may("publish", "x"), one.may("subscribe", "x"), one.may("call", "/metrics"), one.may("call", "/m")] == [
            *(False, True, True, False)
        ]

    @pytest.mark.parametrize(
        ("source", "owned"),
        [
            ("/partners/a", True),
            ("/partners/a/lab/2", True),
            ("/partners/ab", False),
            ("/partners", False),
            ("/partners/A", False),
            ("", False),
            ("/partners/a/../other", False),
            ("/partners/a/..", False),
            ("/partners/a/./lab", False),
            ("/partners/a/lab/%2e%2E/%2e./b", False),
            ("/partners/a/x%2f..%2Fb", False),
            ("/partners/a/..?x=1", False),
            ("/partners/a/..#x", False),
            ("/partners/a/lab..2/.hidden/v1.2/...", True),
            ("/partners/a/?q=..", True),
        ],
    )
    def test_partner_speaks_as_its_source_and_what_is_below(self, source: str, owned: bool) -> None:
        assert identity().owns(source) is owned

    @pytest.mark.parametrize(
        ("source", "owned"),
        [
            ("/partners/a", True),
            ("/partners/a/x", True),
            ("/partners/a/lab", False),
            ("/partners/a/lab/2", False),
            ("/partners/a/lab2", True),
            ("/partners/a/lab/ours", True),
            ("/partners/a/lab/ours/3", True),
        ],
    )
    def test_what_is_given_to_another_below_its_source_is_not_its_own(self, source: str, owned: bool) -> None:
        one = Partner("a", ("publish:*",), ("/partners/a", "/partners/a/lab/ours"), PLENTY, frozenset({"/partners/a/lab"}))
        assert Identity(one, (), LATER).owns(source) is owned

    def test_every_ungranted_event_of_a_batch_is_named(self) -> None:
        def event(wire_type: str, source: str) -> CloudEvent:
            return CloudEvent(id="1", source=source, type=wire_type)

        events = [
            event(SUSPENDED, "/partners/a"),
            event("gov.stiib.infra.monitor.received.v1", "/partners/a"),
            event(SUSPENDED, "/partners/b"),
        ]
        with pytest.raises(Problem) as refused:
            refuse_ungranted(identity(), events, is_batch=True)
        assert refused.value.kind.slug == "right_missing"
        assert refused.value.events == 3
        assert [(place.pointer, place.reason) for place in refused.value.places] == [
            ("/1/type", "type_not_granted"),
            ("/2/source", "source_not_granted"),
        ]


class TestScopeForm:
    @pytest.mark.parametrize(
        "scope", ["publish:gov.stiib.a.v1", "subscribe:*", "publish:gov.*", "call:/hooks/alertmanager/x-1"]
    )
    def test_scope_is_taken(self, scope: str) -> None:
        assert SCOPE.fullmatch(scope)

    @pytest.mark.parametrize(
        "scope", ["", "*", "publish", "publish:a*b", "publish:*.v1", "admin:*", "call:metrics", "call:*", "publish:A"]
    )
    def test_scope_that_nobody_would_understand_is_not(self, scope: str) -> None:
        assert not SCOPE.fullmatch(scope)


class TestToken:
    def test_tokens_are_of_one_form_and_never_the_same(self) -> None:
        tokens = {new_token() for _ in range(100)}
        assert len(tokens) == 100
        assert all(TOKEN.fullmatch(token) for token in tokens)

    def test_what_is_stored_and_shown_does_not_give_the_token(self) -> None:
        token = new_token()
        assert len(digest_of(token)) == 32
        assert (prefix_of(token), len(prefix_of(token))) == (token[:11], 11)

    def test_scheme_is_case_insensitive(self) -> None:
        token = new_token()
        assert bearer_token([f"bEARER  {token}".encode()]) == token

    @pytest.mark.parametrize(
        ("values", "kind", "challenge"),
        [
            ([], "token_missing", 'Bearer realm="dujiang"'),
            ([b""], "token_invalid", 'Bearer realm="dujiang", error="invalid_token"'),
            ([b"Basic dXNlcjpwYXNz"], "token_invalid", 'Bearer realm="dujiang", error="invalid_token"'),
            ([b"Bearer dj_short"], "token_invalid", 'Bearer realm="dujiang", error="invalid_token"'),
            ([b"Bearer dj_" + b"\xff" * 43], "token_invalid", 'Bearer realm="dujiang", error="invalid_token"'),
            ([b"Bearer dj_" + b"a" * 43] * 2, "token_invalid", 'Bearer realm="dujiang", error="invalid_token"'),
        ],
    )
    def test_header_without_one_token_is_challenged(self, values: list[bytes], kind: str, challenge: str) -> None:
        with pytest.raises(Problem) as refused:
            bearer_token(values)
        headers: Any = refused.value.headers
        assert (refused.value.kind.slug, refused.value.kind.status, headers) == (kind, 401, {"www-authenticate": challenge})
