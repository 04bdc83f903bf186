"""JWTs that partners sign: which are taken, and that no forged one is. Pure."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import Identity
from gateway.problems import Problem
from gateway.signed import LIFE_S_MAX, SKEW_S, PartnerKey, read, verify
from tests.gateway.signing import AUDIENCE, DAY, Signer, encoded, part

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ED, ES = Signer(), Signer(kid="k-2", algorithm="ES256")
TWICE, NOT_A_NUMBER = b'{"alg":"none","alg":"EdDSA"}', b'{"alg":NaN}'
OTHER = Signer("institute-8", "k-8")
KEYS = {(signer.partner_id, signer.kid): signer.key(NOW + DAY) for signer in (ED, ES, OTHER)}


def identity_of(token: str, keys: dict[tuple[str, str], PartnerKey] = KEYS) -> Identity:
    """As the gateway does it."""
    signed = read(token, AUDIENCE, NOW)
    return verify(signed, keys.get((signed.issuer, signed.kid)))


def refusal(token: str) -> tuple[int, list[tuple[str, str]]]:
    with pytest.raises(Problem) as refused:
        identity_of(token)
    return refused.value.kind.status, [(place.reason, place.pointer) for place in refused.value.places]


GOOD = [ED.token(NOW), ES.token(NOW)]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text("aé /\x00", max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=2),
    max_leaves=4,
)


class TestTaken:
    @pytest.mark.parametrize("signer", [ED, ES], ids=["EdDSA", "ES256"])
    def test_signature_of_the_registered_key_shows_the_partner(self, signer: Signer) -> None:
        found = identity_of(signer.token(NOW, jti="j"))
        assert found == Identity(
            KEYS[signer.partner_id, signer.kid].partner, (), datetime.fromtimestamp(NOW_S + 60, UTC), signer.kid, "j"
        )

    def test_scopes_narrow(self) -> None:
        found = identity_of(
            ED.token(NOW, scope="publish:gov.stiib.research.call.* publish:gov.stiib.research.project.closed.v1")
        )
        assert found.may("publish", "gov.stiib.research.call.opened.v1")
        assert not found.may("publish", "gov.stiib.research.project.suspended.v1")

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": [AUDIENCE]},
            {"nbf": NOW_S + SKEW_S},
            {"iat": NOW_S + SKEW_S, "exp": NOW_S + SKEW_S + 1},
            {"iat": NOW_S - SKEW_S - 10, "exp": NOW_S - SKEW_S + 1},
            {"exp": NOW_S + LIFE_S_MAX},
            {"iat": NOW_S + 0.5},
            {"sub": "anything", "their_own": [1]},
        ],
    )
    def test_within_the_rules_and_the_skew_it_is_taken(self, claims: dict[str, Any]) -> None:
        assert identity_of(ED.token(NOW, **claims)).partner.partner_id == "institute-7"

    @pytest.mark.parametrize("typ", ["JWT", "jwt", None])
    def test_typ_may_be_left_out(self, typ: str | None) -> None:
        assert identity_of(ED.token(NOW, {"typ": typ})).partner.partner_id == "institute-7"


class TestForged:
    """Signed by a good key where not said otherwise, so that only the named fault can be what refuses it."""

    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            ({"alg": "none"}, ("alg_refused", "/header/alg")),
            ({"alg": "nOnE"}, ("alg_refused", "/header/alg")),
            ({"alg": None}, ("alg_refused", "/header/alg")),
            ({"alg": "HS256"}, ("alg_refused", "/header/alg")),
            ({"alg": "RS256"}, ("alg_refused", "/header/alg")),
            ({"alg": ["EdDSA"]}, ("alg_refused", "/header/alg")),
            ({"kid": None}, ("kid_invalid", "/header/kid")),
            ({"kid": ""}, ("kid_invalid", "/header/kid")),
            ({"kid": 1}, ("kid_invalid", "/header/kid")),
            ({"kid": "../../dev/null"}, ("kid_invalid", "/header/kid")),
            ({"kid": "k-1' OR '1'='1"}, ("kid_invalid", "/header/kid")),
            ({"kid": "k-1\x00"}, ("kid_invalid", "/header/kid")),
            ({"kid": "k-1\n"}, ("kid_invalid", "/header/kid")),
            ({"kid": "k" * 129}, ("kid_invalid", "/header/kid")),
            ({"typ": "secevent+jwt"}, ("typ_refused", "/header/typ")),
            ({"jwk": {"kty": "OKP"}}, ("header_member_refused", "/header/jwk")),
            ({"jku": "https://evil.example/jwks"}, ("header_member_refused", "/header/jku")),
            ({"x5u": "https://evil.example/x"}, ("header_member_refused", "/header/x5u")),
            ({"crit": ["exp"]}, ("header_member_refused", "/header/crit")),
            ({"b64": False}, ("header_member_refused", "/header/b64")),
            ({"zip": "DEF"}, ("header_member_refused", "/header/zip")),
            ({"a/b~\u00e9": 1}, ("header_member_refused", "/header")),
        ],
    )
    def test_header_is_refused(self, header: dict[str, Any], reason: tuple[str, str]) -> None:
        assert refusal(ED.token(NOW, header)) == (401, [reason])

    @pytest.mark.parametrize(
        ("claims", "reasons"),
        [
            ({"iss": None}, [("iss_invalid", "/claims/iss")]),
            ({"iss": "Institute 7"}, [("iss_invalid", "/claims/iss")]),
            ({"iss": ["institute-7"]}, [("iss_invalid", "/claims/iss")]),
            ({"aud": None}, [("aud_wrong", "/claims/aud")]),
            ({"aud": "https://another.example"}, [("aud_wrong", "/claims/aud")]),
            ({"aud": AUDIENCE + "/"}, [("aud_wrong", "/claims/aud")]),
            ({"aud": [AUDIENCE, "https://another.example"]}, [("aud_wrong", "/claims/aud")]),
            ({"aud": []}, [("aud_wrong", "/claims/aud")]),
            ({"jti": None}, [("jti_invalid", "/claims/jti")]),
            ({"jti": ""}, [("jti_invalid", "/claims/jti")]),
            ({"jti": 7}, [("jti_invalid", "/claims/jti")]),
            ({"jti": "j" * 256}, [("jti_invalid", "/claims/jti")]),
            ({"jti": "a b"}, [("jti_invalid", "/claims/jti")]),
            ({"exp": None}, [("exp_invalid", "/claims/exp")]),
            ({"iat": None}, [("iat_invalid", "/claims/iat")]),
            ({"exp": str(NOW_S + 60)}, [("exp_invalid", "/claims/exp")]),
            ({"iat": True}, [("iat_invalid", "/claims/iat")]),
            ({"nbf": "soon"}, [("nbf_invalid", "/claims/nbf")]),
            ({"exp": 10**30}, [("exp_invalid", "/claims/exp")]),
            ({"iat": -1}, [("iat_invalid", "/claims/iat")]),
            ({"iat": NOW_S - 60 - SKEW_S, "exp": NOW_S - SKEW_S}, [("expired", "/claims/exp")]),
            ({"iat": NOW_S + SKEW_S + 1, "exp": NOW_S + SKEW_S + 60}, [("iat_ahead", "/claims/iat")]),
            ({"nbf": NOW_S + SKEW_S + 1}, [("nbf_ahead", "/claims/nbf")]),
            ({"exp": NOW_S + LIFE_S_MAX + 1}, [("life_wrong", "/claims/exp")]),
            ({"exp": NOW_S}, [("life_wrong", "/claims/exp")]),
            ({"iat": NOW_S, "exp": NOW_S - 10}, [("life_wrong", "/claims/exp")]),
            ({"scope": ""}, [("scope_invalid", "/claims/scope")]),
            ({"scope": "admin"}, [("scope_invalid", "/claims/scope")]),
            ({"scope": ["publish:*"]}, [("scope_invalid", "/claims/scope")]),
            ({"scope": "publish:a  publish:b"}, [("scope_invalid", "/claims/scope")]),
            ({"aud": "x", "jti": None}, [("aud_wrong", "/claims/aud"), ("jti_invalid", "/claims/jti")]),
        ],
    )
    def test_claims_are_refused_with_every_fault_named(self, claims: dict[str, Any], reasons: list[tuple[str, str]]) -> None:
        assert refusal(ED.token(NOW, **claims)) == (401, reasons)

    def test_scope_that_narrows_rows_is_never_wider(self) -> None:
        token = ED.token(NOW, scope="publish:gov.stiib.research.call.* only:subject=P-1")
        assert identity_of(token).all_scopes[1] == ("publish:gov.stiib.research.call.*", "only:subject=P-1")

    @pytest.mark.parametrize(
        "scope", ["publish:*", "publish:gov.stiib.res*", "subscribe:gov.stiib.research.*", "call:/metrics"]
    )
    def test_scope_wider_than_the_partners_is_403(self, scope: str) -> None:
        token = ED.token(NOW, scope=f"publish:gov.stiib.research.call.* {scope}")
        assert refusal(token) == (403, [("scope_wider", "/claims/scope")])

    @pytest.mark.parametrize(
        "token",
        [
            OTHER.token(NOW, iss="institute-7"),  # a kid that is another partner's
            OTHER.token(NOW, {"kid": "k-1"}, iss="institute-7"),  # another partner's key under our kid
            ED.token(NOW, {"kid": "k-8"}, iss="institute-8"),  # our key under another's name
            ED.token(NOW, {"kid": "k-2"}),  # the right partner, another of its keys
            ED.token(NOW, {"kid": "k-3"}),  # no such key
            ED.token(NOW, iss="nobody"),  # no such partner
            ED.token(NOW, {"alg": "ES256"}),  # the other algorithm for this key
            ES.token(NOW, {"alg": "EdDSA"}),
            Signer(private=Signer().private).token(NOW),  # a key never registered
        ],
    )
    def test_who_signed_it_and_why_not_sounds_alike(self, token: str) -> None:
        assert refusal(token) == (401, [("signer_unknown", "/header/kid")])

    @pytest.mark.parametrize("signer", [ED, ES], ids=["EdDSA", "ES256"])
    @pytest.mark.parametrize("form", ["raw", "pem", "der"])
    def test_public_key_is_no_secret_for_hs256(self, signer: Signer, form: str) -> None:
        public = signer.private.public_key()
        secret = {
            "raw": public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            if signer is ED
            else public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
            "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        }[form]
        for named in ("HS256", signer.algorithm):
            body = f"{part({'alg': named, 'kid': signer.kid})}.{part(signer.claims(NOW))}"
            mac = jwt.get_algorithm_by_name("HS256").sign(body.encode(), secret)
            status, (reason, *others) = refusal(f"{body}.{encoded(mac)}")
            assert (status, reason[0] in {"alg_refused", "signer_unknown"}, others) == (401, True, [])

    def test_key_of_another_curve_or_kind_signs_nothing(self) -> None:
        body = f"{part({'alg': 'ES256', 'kid': 'k-2'})}.{part(ES.claims(NOW))}"
        wide = ec.generate_private_key(ec.SECP384R1())
        signature = jwt.get_algorithm_by_name("ES384").sign(body.encode(), wide)
        assert refusal(f"{body}.{encoded(signature)}") == (401, [("signer_unknown", "/header/kid")])
        heavy = rsa.generate_private_key(65_537, 2048)
        signature = jwt.get_algorithm_by_name("RS256").sign(body.encode(), heavy)
        assert refusal(f"{body}.{encoded(signature)}") == (401, [("signer_unknown", "/header/kid")])

    def test_all_zero_ecdsa_signature_is_refused(self) -> None:
        body = f"{part({'alg': 'ES256', 'kid': 'k-2'})}.{part(ES.claims(NOW))}"
        assert refusal(f"{body}.{encoded(bytes(64))}") == (401, [("signer_unknown", "/header/kid")])

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            ("a.b.c", ("not_json", "/header")),
            (f"{part([])}.{part({})}.AA", ("not_json", "/header")),
            (f"{part({'alg': 'EdDSA', 'kid': 'k-1'})}.{part('text')}.AA", ("not_json", "/claims")),
            (f"{part(TWICE)}.{part({})}.AA", ("not_json", "/header")),
            (f"{part(NOT_A_NUMBER)}.{part({})}.AA", ("not_json", "/header")),
            (f"{part(b'[' * 2000)}.{part({})}.AA", ("not_json", "/header")),
            ("a" * 9_000 + ".b.c", ("token_long", "")),
        ],
    )
    def test_what_is_no_jwt_is_refused(self, token: str, reason: tuple[str, str]) -> None:
        assert refusal(token) == (401, [reason])

    def test_revoked_key_is_as_unknown_as_one_that_never_was(self) -> None:
        token = ED.token(NOW)
        keys = {name: key for name, key in KEYS.items() if name != (ED.partner_id, ED.kid)}
        with pytest.raises(Problem) as revoked:
            identity_of(token, keys)
        with pytest.raises(Problem) as never:
            identity_of(ED.token(NOW, iss="nobody"))
        assert (revoked.value.detail, revoked.value.places) == (never.value.detail, never.value.places)


class TestAnyChange:
    @given(st.data())
    def test_no_changed_character_is_taken(self, data: st.DataObject) -> None:
        """Whatever is changed, the token is refused; or its bytes are still the same (base64url's unused bits)."""
        token = data.draw(st.sampled_from(GOOD))
        at = data.draw(st.integers(0, len(token) - 1))
        put = data.draw(st.sampled_from("AZaz09-_."))
        changed = token[:at] + put + token[at + 1 :]
        if _decoded(changed) == _decoded(token):
            return
        with pytest.raises(Problem):
            identity_of(changed)

    @given(
        st.dictionaries(st.sampled_from(["alg", "kid", "typ", "jwk", "crit"]), ANY_JSON),
        st.dictionaries(st.sampled_from(["iss", "aud", "iat", "exp", "nbf", "jti", "scope"]), ANY_JSON),
    )
    def test_no_header_and_claims_are_a_bug(self, header: Any, claims: Any) -> None:
        """Whatever stands there, under a signature that is good, is either taken or refused by a problem."""
        token = ED.sign({"alg": "EdDSA", "kid": "k-1"} | header, ED.claims(NOW) | claims)
        try:
            found = identity_of(token)
        except Problem:
            return
        assert found.partner.partner_id == json.loads(json.dumps(claims.get("iss", "institute-7")))


def _decoded(token: str) -> Any:
    try:
        return [base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in token.split(".")]
    except binascii.Error:
        return None
