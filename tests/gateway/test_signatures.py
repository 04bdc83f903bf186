"""A gateway that takes JWTs: each works once, refusals say why in both languages, and nothing leaks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import EnvironmentFault, TransientFault
from gateway.limits import Allowance
from gateway.signatures import Signatures
from tests.gateway.conftest import NOW
from tests.gateway.signing import AUDIENCE, Signer

Event = Callable[..., dict[str, Any]]


@pytest.fixture(params=["EdDSA", "ES256"])
def signer(request: pytest.FixtureRequest, keys: Any) -> Any:
    return keys.register(Signer(algorithm=request.param))


def bearer(token: str) -> str:
    return f"Bearer {token}"


def test_partner_publishes_with_a_token_that_it_signed(guarded: Any, signer: Signer, event: Event) -> None:
    answer = guarded.post(event(), authorization=bearer(signer.token(NOW)))
    assert answer.status == 202
    assert "ratelimit" in answer.headers
    assert len(guarded.publisher.records) == 1


def test_same_token_again_is_refused_and_another_is_not(guarded: Any, signer: Signer, event: Event) -> None:
    token = signer.token(NOW)
    assert guarded.post(event(), authorization=bearer(token)).status == 202
    again = guarded.post(event(id="e-2"), authorization=bearer(token))
    assert (again.status, again.kind, again.faults) == (401, "signed_token_invalid", [("/claims/jti", "jti_used")])
    assert guarded.post(event(id="e-2"), authorization=bearer(signer.token(NOW))).status == 202
    assert len(guarded.publisher.records) == 2


def test_same_jti_of_two_partners_are_two(guarded: Any, keys: Any, event: Event) -> None:
    ours, theirs = keys.register(Signer()), keys.register(Signer("institute-8", "k-1"))
    assert guarded.post(event(), authorization=bearer(ours.token(NOW, jti="1"))).status == 202
    other = event(id="e-2", source="/partners/institute-8")
    assert guarded.post(other, authorization=bearer(theirs.token(NOW, jti="1"))).status == 202


def test_refused_token_is_not_remembered(guarded: Any, signer: Signer, replays: Any, event: Event) -> None:
    """Made-up tokens must not fill the memory of what was used."""
    for token in (signer.token(NOW, aud="x"), Signer(kid="k-9").token(NOW), Signer().token(NOW)):
        assert guarded.post(event(), authorization=bearer(token)).status == 401
    assert replays.used == set()


def test_token_that_the_rate_keeps_out_is_not_remembered(guarded: Any, keys: Any, replays: Any, event: Event) -> None:
    signer = keys.register(Signer())
    known = keys.known["institute-7", "k-1"]
    keys.known["institute-7", "k-1"] = known._replace(
        partner=type(known.partner)("institute-7", known.partner.scopes, known.partner.sources, Allowance(1, 1, 1_000))
    )
    answers = [guarded.post(event(id=str(n)), authorization=bearer(signer.token(NOW))).status for n in range(5)]
    assert answers == [202, 429, 429, 429, 429]
    assert len(replays.used) == 1


@pytest.mark.parametrize("token", [{"iss": "nobody"}, {}])
def test_partner_that_exists_is_told_as_little_as_one_that_does_not(guarded: Any, keys: Any, event: Event, token: Any) -> None:
    keys.register(Signer())
    answer = guarded.post(event(), authorization=bearer(Signer().token(NOW, **token)))
    assert (answer.status, answer.kind, answer.faults) == (401, "signed_token_invalid", [("/header/kid", "signer_unknown")])
    assert answer.headers["www-authenticate"] == 'Bearer realm="dujiang", error="invalid_token"'
    assert "institute-7" not in answer.body.decode()
    assert "ratelimit" not in answer.headers


def test_refusal_speaks_chinese_too(guarded: Any, signer: Signer, event: Event) -> None:
    answer = guarded.post(event(), authorization=bearer(signer.token(NOW, aud=None, jti=None)), accept_language="zh-CN")
    assert answer.json["title"] == "签名令牌无效"
    assert [fault["detail"] for fault in answer.json["errors"]] == [
        "aud 应为 https://gateway.bureau.example，且不得另有其他值",
        "jti 应为 1 至 255 个可见 ASCII 字符，例如新的 UUID",
    ]


def test_token_may_only_narrow(guarded: Any, signer: Signer, event: Event) -> None:
    narrow = signer.token(NOW, scope="publish:gov.stiib.research.call.*")
    answer = guarded.post(event(), authorization=bearer(narrow))
    assert (answer.status, answer.kind, answer.faults) == (403, "right_missing", [("/type", "type_not_granted")])
    answer = guarded.post(event(), authorization=bearer(signer.token(NOW, scope="publish:*")))
    assert (answer.status, answer.kind, answer.faults) == (403, "right_missing", [("/claims/scope", "scope_wider")])
    assert guarded.publisher.records == []


def test_revoked_key_signs_nothing_any_more(guarded: Any, signer: Signer, keys: Any, event: Event) -> None:
    assert guarded.post(event(), authorization=bearer(signer.token(NOW))).status == 202
    keys.known.clear()
    answer = guarded.post(event(), authorization=bearer(signer.token(NOW)))
    assert (answer.status, answer.faults) == (401, [("/header/kid", "signer_unknown")])


@pytest.mark.parametrize("away", ["keys", "replays"])
@pytest.mark.parametrize("fault", [TransientFault("PostgreSQL: away"), EnvironmentFault("PostgreSQL: svc", "look")])
def test_nobody_passes_while_keys_or_uses_cannot_be_read(
    guarded: Any, signer: Signer, event: Event, request: pytest.FixtureRequest, away: str, fault: Exception
) -> None:
    request.getfixturevalue(away).fault = fault
    answer = guarded.post(event(), authorization=bearer(signer.token(NOW)))
    assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "store_away", "5")
    assert b"PostgreSQL" not in answer.body
    assert guarded.publisher.records == []


def test_api_tokens_go_on_working_beside_it(guarded: Any, directory: Any, event: Event) -> None:
    token = directory.register("institute-7", "publish:gov.stiib.research.*")
    assert guarded.post(event(), authorization=bearer(token)).status == 202


def test_long_answer_follows_the_partners_rights_and_ends_with_its_key(keys: Any, replays: Any, clock: Any) -> None:
    """What `Signatures.again` is for: streams outlive the token that opened them."""
    signer = keys.register(Signer())
    signatures = Signatures(keys, replays, clock, AUDIENCE)

    async def opened() -> tuple[Any, Any, Any]:
        identity = await signatures.identity(signer.token(NOW, scope="publish:gov.stiib.research.*"))
        clock.advance(3_600)
        keys.register(Signer(scopes=("subscribe:*",)))
        narrowed = await signatures.again(identity)
        keys.known.clear()
        return identity, narrowed, await signatures.again(identity)

    identity, narrowed, ended = asyncio.run(opened())
    assert identity.may("publish", "gov.stiib.research.x")
    assert not narrowed.may("publish", "gov.stiib.research.x")
    assert ended is None
