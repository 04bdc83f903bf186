"""Webhooks that are taken, and those that are not; against the published vectors and the standard's own library."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dujiang_client import Delivery, SignatureInvalid, verify
from hypothesis import given
from hypothesis import strategies as st

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
BODY = b'{"test": 2432232314}'
SENT_S = 1614265330
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


def headers(signature: str = V1, **changes: str) -> dict[str, str]:
    members = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": str(SENT_S),
        "webhook-signature": signature,
    }
    return members | {name.replace("_", "-"): value for name, value in changes.items()}


def taken(signature: str, secrets: Any, body: bytes = BODY, age_s: float = 0, **changes: str) -> Delivery:
    return verify(body, headers(signature, **changes), secrets, now=lambda: SENT_S + age_s)


class TestTaken:
    @pytest.mark.parametrize(("signature", "secret"), [(V1, SECRET), (V1A, PUBLIC)])
    def test_published_vectors(self, signature: str, secret: str) -> None:
        found = taken(signature, secret)
        assert found == Delivery("msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(SENT_S, UTC), BODY)
        assert found.event() == {"test": 2432232314}

    @pytest.mark.parametrize("secrets", [[OTHER, SECRET], [SECRET, OTHER], [PUBLIC, OTHER]])
    @pytest.mark.parametrize("signature", [f"{V1} {V1A}", f"v1,AAAA {V1A}  {V1}", f"v9,x rubbish , v1, {V1} {V1A}"])
    def test_one_secret_of_several_and_one_signature_of_several_will_do(self, signature: str, secrets: list[str]) -> None:
        assert taken(signature, secrets).body == BODY

    @pytest.mark.parametrize("age_s", [-300, 0, 300])
    def test_clocks_may_differ_by_five_minutes(self, age_s: float) -> None:
        assert taken(V1, SECRET, age_s=age_s).body == BODY

    def test_names_of_headers_are_taken_in_any_case_and_as_pairs(self) -> None:
        pairs = [(name.title(), value) for name, value in headers().items()]
        assert verify(BODY, pairs, SECRET, now=lambda: SENT_S).body == BODY

    @given(st.binary(max_size=200))
    def test_body_is_bytes_that_need_be_no_text(self, body: bytes) -> None:
        sent = datetime.fromtimestamp(SENT_S, UTC)
        private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
        signed = private.sign(b"msg_p5jXN8AQM9LWM0D4loKWxJek.%d.%b" % (SENT_S, body))
        public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
        assert taken(f"v1a,{base64.b64encode(signed).decode()}", public, body).sent_at == sent

    def test_standards_own_library_signs_what_is_taken(self) -> None:
        sent = datetime.fromtimestamp(SENT_S, UTC)
        signature = standardwebhooks.Webhook(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", sent, '{"名": "值"}')
        assert taken(signature, SECRET, '{"名": "值"}'.encode()).event() == {"名": "值"}


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"signature": V1[:-2] + "A="}, "no signature"),
            ({"signature": "v1a" + V1[2:]}, "no signature"),
            ({"signature": "v1" + V1A[3:], "secrets": [SECRET, PUBLIC]}, "no signature"),
            ({"signature": "v1,"}, "no signature"),
            ({"signature": ""}, "no signature"),
            ({"signature": "v1,é"}, "no signature"),
            ({"signature": " ".join(["v1,AAAA"] * 20 + [V1])}, "no signature"),
            ({"secrets": OTHER}, "no signature"),
            ({"secrets": [OTHER, PUBLIC]}, "no signature"),
            ({"body": BODY + b" "}, "no signature"),
            ({"age_s": 301}, "301 s old"),
            ({"age_s": -301}, "301 s ahead"),
            ({"webhook_id": "msg_other"}, "no signature"),
            ({"webhook_id": "a.b"}, "no id"),
            ({"webhook_id": ""}, "no id"),
            ({"webhook_timestamp": str(SENT_S + 1)}, "no signature"),
            ({"webhook_timestamp": f"{SENT_S}.0"}, "no whole number"),
            ({"webhook_timestamp": "-1"}, "no whole number"),
            ({"webhook_timestamp": "9" * 13}, "no whole number"),
            ({"webhook_timestamp": "١٦١٤٢٦٥٣٣٠"}, "webhook"),
        ],
    )
    def test_webhook_that_proves_nothing_is_refused(self, changes: dict[str, Any], part: str) -> None:
        with pytest.raises(SignatureInvalid, match=part):
            taken(**({"signature": V1, "secrets": SECRET} | changes))

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_missing_or_doubled_header_is_named(self, name: str) -> None:
        with pytest.raises(SignatureInvalid, match=f"{name} is missing"):
            verify(BODY, {key: value for key, value in headers().items() if key != name}, SECRET)
        with pytest.raises(SignatureInvalid, match=f"{name} came twice"):
            verify(BODY, [*headers().items(), (name.upper(), "x")], SECRET)

    @pytest.mark.parametrize(
        "secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "whpk_AAAA", "whsk_AAAA", "whsec_" + "A" * 100]
    )
    def test_secret_that_can_be_none_is_an_error_and_not_shown(self, secret: str) -> None:
        with pytest.raises(ValueError, match="secret") as refused:
            taken(V1, secret)
        assert len(secret) < 7 or secret not in str(refused.value)

    def test_no_secret_lets_nothing_pass(self) -> None:
        with pytest.raises(ValueError, match="needs a secret"):
            taken(V1, [])

    @given(st.integers(0, len(BODY) * 8 - 1))
    def test_no_flipped_bit_of_the_body_passes(self, bit: int) -> None:
        flipped = bytearray(BODY)
        flipped[bit // 8] ^= 1 << bit % 8
        for signature, secret in ((V1, SECRET), (V1A, PUBLIC)):
            with pytest.raises(SignatureInvalid):
                taken(signature, secret, bytes(flipped))
