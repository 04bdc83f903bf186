"""Public keys as partners hand them in, the register, and the memory of used tokens."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from engine.clock import FakeClock
from gateway import keys, partners, replays
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import PartnerRefused
from gateway.replays import Use, first_uses, use_of
from gateway.signed import read, verify
from gateway.store import Store
from tests.gateway.signing import AUDIENCE, Signer

INSTITUTE = Partner(
    "institute-7", ("publish:gov.stiib.research.*",), ("/partners/institute-7",), Allowance(100, 5_000, 1_000_000)
)
DAY = timedelta(days=1)
# RFC 8037, A.1 to A.3: a key and its thumbprint.
RFC_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def jwk(signer: Signer, **changes: Any) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name(signer.algorithm)
    return json.loads(algorithm.to_jwk(signer.private.public_key())) | changes


def as_file(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def pem(public: Any) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TestOffered:
    def test_kid_that_was_left_out_is_the_thumbprint(self) -> None:
        assert [(key.kid, key.algorithm) for key in keys.offered(as_file(RFC_KEY))] == [(f"k{RFC_THUMBPRINT}", "EdDSA")]

    @pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
    def test_pem_and_jwk_of_a_key_are_the_same(self, algorithm: str) -> None:
        signer = Signer(algorithm=algorithm)
        (of_pem,) = keys.offered(pem(signer.private.public_key()))
        (of_jwk,) = keys.offered(as_file(jwk(signer)))
        assert of_pem == of_jwk
        assert of_pem.algorithm == algorithm

    def test_set_gives_each_key_and_keeps_what_is_public_alone(self) -> None:
        members = {"use": "sig", "key_ops": ["verify"], "x5c": ["their own"]}
        offered = keys.offered(as_file({"keys": [jwk(Signer(), kid="a", alg="EdDSA", **members), RFC_KEY]}))
        assert [key.kid for key in offered] == ["a", f"k{RFC_THUMBPRINT}"]
        assert set(json.loads(offered[0].jwk)) == {"kty", "crv", "x"}

    @pytest.mark.parametrize(
        ("document", "part"),
        [
            (b"no key", "neither a JWK"),
            (b"\xff\xfe", "neither a JWK"),
            ([], "no JWK"),
            ({"keys": []}, "no JWK"),
            ({"keys": ["x"]}, "no JWK"),
            ({}, "only OKP with Ed25519 and EC with P-256"),
            ({"kty": "oct", "k": "c2VjcmV0"}, "private key"),
            ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "only OKP"),
            (RFC_KEY | {"crv": "Ed448"}, "only OKP"),
            (RFC_KEY | {"x": "short"}, "43 characters"),
            (RFC_KEY | {"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}, "take it as exposed"),
            (RFC_KEY | {"alg": "ES256"}, "signs by EdDSA"),
            (RFC_KEY | {"use": "enc"}, "has 'sig'"),
            (RFC_KEY | {"kid": "a b"}, "leave it out"),
            ({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}, "key 1"),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "cannot be read"),
            (b" " * 70_000, "at most 65536"),
        ],
    )
    def test_what_cannot_be_a_key_is_refused_with_what_helps(self, document: Any, part: str) -> None:
        with pytest.raises(PartnerRefused, match=part):
            keys.offered(as_file(document))

    @pytest.mark.parametrize(
        "private", [Signer().private, Signer(algorithm="ES256").private, rsa.generate_private_key(65_537, 2048)]
    )
    def test_private_key_is_never_taken(self, private: Any) -> None:
        written = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with pytest.raises(PartnerRefused, match="take it as exposed"):
            keys.offered(written)

    def test_pem_of_another_kind_is_refused(self) -> None:
        for private in (rsa.generate_private_key(65_537, 2048), ec.generate_private_key(ec.SECP384R1())):
            with pytest.raises(PartnerRefused, match="openssl genpkey -algorithm ed25519"):
                keys.offered(pem(private.public_key()))


@pytest.mark.services
class TestRegister:
    @pytest.fixture
    def cursor(self, database: str) -> Iterator[psycopg.Cursor[Any]]:
        with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
            partners.put(made, INSTITUTE, "Institute 7", "clerk", replace=False)
            yield made

    def add(self, cursor: psycopg.Cursor[Any], clock: FakeClock, signer: Signer) -> list[str]:
        offered = keys.offered(as_file(jwk(signer, kid=signer.kid)))
        return keys.add(cursor, signer.partner_id, offered, clock.now(), clock.now() + DAY, "clerk")

    @pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
    def test_registered_key_shows_its_partner_with_rights(
        self, cursor: psycopg.Cursor[Any], clock: FakeClock, algorithm: str
    ) -> None:
        signer = Signer(algorithm=algorithm)
        assert self.add(cursor, clock, signer) == ["k-1"]
        known = keys.keys_in_force(cursor, clock.now())
        signed = read(signer.token(clock.now()), AUDIENCE, clock.now())
        assert verify(signed, known[signed.issuer, signed.kid]).partner == INSTITUTE

    def test_revoked_or_expired_key_is_not_in_force_and_its_kid_names_no_other(
        self, cursor: psycopg.Cursor[Any], clock: FakeClock
    ) -> None:
        self.add(cursor, clock, Signer())
        self.add(cursor, clock, Signer(kid="k-2"))
        keys.revoke(cursor, "institute-7", "k-1", clock.now(), "chief")
        assert set(keys.keys_in_force(cursor, clock.now())) == {("institute-7", "k-2")}
        with pytest.raises(PartnerRefused, match="for ever"):
            self.add(cursor, clock, Signer())
        with pytest.raises(PartnerRefused, match="no key 'k-1' in force"):
            keys.revoke(cursor, "institute-7", "k-1", clock.now(), "chief")
        clock.advance(86_400)
        assert keys.keys_in_force(cursor, clock.now()) == {}
        states = {row["kid"]: (row["state"], row["revoked_by"]) for row in keys.keys(cursor, clock.now())}
        assert states == {"k-1": ("revoked", "chief"), "k-2": ("expired", None)}

    def test_keys_have_a_limit(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        for number in range(keys.PARTNER_KEYS_MAX):
            self.add(cursor, clock, Signer(kid=f"k-{number}"))
        with pytest.raises(PartnerRefused, match="revoke those not used"):
            self.add(cursor, clock, Signer(kid="one-more"))

    def test_unknown_partner_gets_no_key(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        with pytest.raises(PartnerRefused, match="no partner 'nobody'"):
            self.add(cursor, clock, Signer("nobody"))


@pytest.mark.services
class TestReplays:
    @pytest.fixture
    def cursor(self, database: str) -> Iterator[psycopg.Cursor[Any]]:
        with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as made:
            yield made

    def uses(self, clock: FakeClock, *jtis: str) -> list[Use]:
        return [use_of("institute-7", jti, clock.now() + DAY) for jti in jtis]

    def test_each_use_is_first_once_within_a_group_and_after_it(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        assert first_uses(cursor, self.uses(clock, "b", "a", "b"), None) == [True, True, False]
        assert first_uses(cursor, self.uses(clock, "c", "a"), None) == [True, False]

    def test_what_has_expired_is_forgotten_and_nothing_else(self, cursor: psycopg.Cursor[Any], clock: FakeClock) -> None:
        first_uses(cursor, self.uses(clock, "old"), None)
        clock.advance(3_600)
        first_uses(cursor, self.uses(clock, "young"), clock.now())
        clock.advance(82_801)
        first_uses(cursor, self.uses(clock, "new"), clock.now())
        cursor.execute("SELECT identity FROM partner_jti")
        kept = {row[0].hex for row in cursor.fetchall()}
        assert kept == {use.identity for use in self.uses(clock, "young", "new")}

    def test_two_gateways_at_once_let_one_pass(self, database: str, clock: FakeClock) -> None:
        """Each of 40 tokens comes to two gateways at the same time; every one works once."""

        async def race() -> list[int]:
            stores = [Store(database, f"gateway {number}") for number in range(2)]
            gateways = [replays.StoredReplays(store, clock) for store in stores]
            uses = self.uses(clock, *(str(number) for number in range(40)))
            try:
                answers = await asyncio.gather(*(gateway.is_first(use) for use in uses for gateway in gateways))
            finally:
                for store in stores:
                    store.close()
            return [sum(answers[at : at + 2]) for at in range(0, 80, 2)]

        assert asyncio.run(race()) == [1] * 40
