"""Signatures: the published vectors, other people's verifier on what we sign, and what a receiver must refuse."""

import base64
import json
import time

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.signing import (
    KEYS_MAX,
    KeyRefused,
    SignatureRefused,
    SigningKey,
    new_secret,
    new_signing_key,
    sign,
    signer_of,
    verifier_of,
    verify,
    webhook_id,
)

# standard-webhooks' own vector, repeated in all its libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME_S, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# Svix' test of v1a with the same id, time and body.
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def _headers(signature: str, *, message_id: str = ID, timestamp: str = str(TIME_S)) -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def test_the_published_v1_vector_is_what_we_sign() -> None:
    assert sign([signer_of(SECRET)], ID, TIME_S, BODY) == _headers(V1)


def test_the_published_v1a_vector_verifies() -> None:
    verify([verifier_of(PUBLIC)], _headers(V1A), BODY, TIME_S)
    with pytest.raises(SignatureRefused, match="no signature fits"):
        verify([verifier_of(PUBLIC)], _headers(V1A), BODY + b" ", TIME_S)


def test_old_and_new_keys_of_both_kinds_sign_side_by_side() -> None:
    texts = [new_secret(), new_secret(), new_signing_key(), new_signing_key()]
    signers = [signer_of(text) for text in texts]
    headers = sign(signers, ID, TIME_S, BODY)
    assert [part.partition(",")[0] for part in headers["webhook-signature"].split(" ")] == ["v1", "v1", "v1a", "v1a"]
    for signer in signers:
        verifier = signer.public if isinstance(signer, SigningKey) else signer
        verify([verifier], headers, BODY, TIME_S)
    assert len(texts) <= KEYS_MAX


@given(body=st.text(max_size=200).map(lambda text: json.dumps({"ü": text}, ensure_ascii=False).encode("utf-8", "replace")))
def test_the_standard_library_verifies_what_we_sign(body: bytes) -> None:
    secret, older = new_secret(), new_secret()
    headers = sign([signer_of(older), signer_of(secret)], ID, int(time.time()), body)
    assert standardwebhooks.Webhook(secret).verify(body, headers) == json.loads(body)


def test_we_verify_what_the_standard_library_signs() -> None:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(TIME_S, UTC)
    signature = standardwebhooks.Webhook(SECRET).sign(ID, at, BODY.decode())
    verify([verifier_of(SECRET)], _headers(signature), BODY, TIME_S)


def test_a_public_key_read_back_is_the_signing_key_s_own() -> None:
    signer = signer_of(new_signing_key())
    assert isinstance(signer, SigningKey)
    verify([verifier_of(signer.public.text)], sign([signer], ID, TIME_S, BODY), BODY, TIME_S)


@pytest.mark.parametrize(("now_s", "reason"), [(TIME_S + 301, "timestamp_old"), (TIME_S - 301, "timestamp_early")])
def test_a_timestamp_beyond_five_minutes_is_refused(now_s: int, reason: str) -> None:
    with pytest.raises(SignatureRefused) as refusal:
        verify([verifier_of(SECRET)], _headers(V1), BODY, now_s)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("now_s", [TIME_S - 300, TIME_S + 300])
def test_five_minutes_both_ways_are_tolerated(now_s: int) -> None:
    verify([verifier_of(SECRET)], _headers(V1), BODY, now_s)


@pytest.mark.parametrize("timestamp", ["1614265330.5", "-1", "١٦١٤٢٦٥٣٣٠", "9" * 13, "x"])
def test_a_timestamp_is_whole_ascii_seconds(timestamp: str) -> None:
    with pytest.raises(SignatureRefused) as refusal:
        verify([verifier_of(SECRET)], _headers(V1, timestamp=timestamp), BODY, TIME_S)
    assert refusal.value.reason == "timestamp_malformed"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = {key: value for key, value in _headers(V1).items() if key != name}
    with pytest.raises(SignatureRefused, match=name) as refusal:
        verify([verifier_of(SECRET)], headers, BODY, TIME_S)
    assert refusal.value.reason == "missing_header"


@pytest.mark.parametrize("signature", ["v1", "v1,", "v1,é", "v2,AAAA", "v1a,AAAA", "v1a,!", ", ,", V1.replace("v1,", "v1a,")])
def test_a_malformed_signature_is_refused_like_a_wrong_one(signature: str) -> None:
    for key in (SECRET, PUBLIC):
        with pytest.raises(SignatureRefused) as refusal:
            verify([verifier_of(key)], _headers(signature), BODY, TIME_S)
        assert refusal.value.reason == "signature_wrong"


def test_a_strange_signature_beside_a_good_one_does_no_harm() -> None:
    verify([verifier_of(SECRET)], _headers(f"v9,x  v1,é {V1}"), BODY, TIME_S)


def test_another_id_breaks_the_signature() -> None:
    with pytest.raises(SignatureRefused):
        verify([verifier_of(SECRET)], _headers(V1, message_id="msg_other"), BODY, TIME_S)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "whsec_not base64",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsk_" + base64.b64encode(b"x" * 33).decode(),
        "whsk_" + base64.b64encode(b"x" * 64).decode(),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyRefused) as refusal:
        signer_of(text)
    assert not text.partition("_")[2] or text.partition("_")[2] not in str(refusal.value)


def test_keys_are_not_shown() -> None:
    secret, private = new_secret(), new_signing_key()
    shown = repr([signer_of(secret), signer_of(private)])
    assert secret[6:] not in shown
    assert repr(base64.b64decode(secret[6:])) not in shown


def test_an_id_is_stable_other_per_subscription_and_has_no_dot() -> None:
    assert webhook_id("s1", "/a.b", "x.1") == webhook_id("s1", "/a.b", "x.1")
    assert (
        len(
            {webhook_id("s1", "/a", "1"), webhook_id("s2", "/a", "1"), webhook_id("s1", "/a1", ""), webhook_id("s1", "/", "a1")}
        )
        == 4
    )
    assert "." not in webhook_id("s.1", "/a.b", "x.1")


def test_an_id_with_a_dot_is_not_signed() -> None:
    with pytest.raises(ValueError, match="dot"):
        sign([signer_of(SECRET)], "a.b", TIME_S, BODY)
