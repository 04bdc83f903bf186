"""Standard Webhooks 1.0.0: what a delivery is signed with and how a receiver verifies it.

v1 is HMAC-SHA256 under a shared secret (`whsec_`), v1a Ed25519 under our key (`whsk_`, public `whpk_`). Signed are the exact
bytes of `id.timestamp.body`; the timestamp is the attempt's. While a secret is rotated, old and new sign side by side.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"

SECRET_MARK: Final = "whsec_"  # noqa: S105 - the mark, no secret
PRIVATE_MARK: Final = "whsk_"
PUBLIC_MARK: Final = "whpk_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
_ED25519_BYTES: Final = 32
KEYS_MAX: Final = 8  # of one endpoint at once, those being rotated out included
SIGNATURES_MAX: Final = 32  # that a receiver looks at
TOLERANCE_S: Final = 300


class KeyRefused(ValueError):
    """What was given is no key of Standard Webhooks; the message says what one is and repeats nothing of it."""


class SignatureRefused(Exception):
    """A delivery is not to be trusted. `reason`: missing_header, timestamp_malformed, timestamp_old, timestamp_early or
    signature_wrong."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A `whsec_` secret. Its text is never shown."""

    key: bytes = field(repr=False)

    def sign(self, content: bytes) -> str:
        return "v1," + base64.b64encode(hmac.digest(self.key, content, "sha256")).decode("ascii")

    def accepts(self, signature: str, content: bytes) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(content).encode())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A `whsk_` key: it signs, and `public` verifies."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> "VerifyingKey":
        return VerifyingKey(self.key.public_key())

    def sign(self, content: bytes) -> str:
        return "v1a," + base64.b64encode(self.key.sign(content)).decode("ascii")


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A `whpk_` key."""

    key: Ed25519PublicKey

    @property
    def text(self) -> str:
        return PUBLIC_MARK + base64.b64encode(self.key.public_bytes_raw()).decode("ascii")

    def accepts(self, signature: str, content: bytes) -> bool:
        version, _, encoded = signature.partition(",")
        if version != "v1a":
            return False
        try:
            self.key.verify(base64.b64decode(encoded, validate=True), content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


Signer = SharedSecret | SigningKey
Verifier = SharedSecret | VerifyingKey


def new_secret() -> str:
    """A fresh `whsec_`, 256 random bits."""
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def new_signing_key() -> str:
    """A fresh `whsk_`: seed and public key, as other libraries write it."""
    key = Ed25519PrivateKey.generate()
    whole = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return PRIVATE_MARK + base64.b64encode(whole).decode("ascii")


class MadeKey(NamedTuple):
    """What is stored of a new key, and what the receiver is shown of it: the secret, or of v1a the public half."""

    secret: bytes
    public: bytes | None
    shown: str


def made_key(kind: Literal["v1", "v1a"]) -> MadeKey:
    """A new key for a subscription."""
    if kind == "v1":
        text = new_secret()
        return MadeKey(_decoded(text, SECRET_MARK), None, text)
    key = Ed25519PrivateKey.generate()
    return MadeKey(key.private_bytes_raw(), key.public_key().public_bytes_raw(), VerifyingKey(key.public_key()).text)


def signer_of(text: str) -> Signer:
    """A key to sign with. Raises KeyRefused."""
    if text.startswith(PRIVATE_MARK):
        return SigningKey(_private_key(_decoded(text, PRIVATE_MARK)))
    return _shared(text)


def verifier_of(text: str) -> Verifier:
    """A key to verify with. Raises KeyRefused."""
    if text.startswith(PUBLIC_MARK):
        raw = _decoded(text, PUBLIC_MARK)
        if len(raw) != _ED25519_BYTES:
            raise KeyRefused(f"a {PUBLIC_MARK} key holds {_ED25519_BYTES} bytes, this one {len(raw)}")
        return VerifyingKey(Ed25519PublicKey.from_public_bytes(raw))
    return _shared(text)


def _shared(text: str) -> SharedSecret:
    if not text.startswith(SECRET_MARK):
        raise KeyRefused(f"a key begins with {SECRET_MARK}, {PRIVATE_MARK} or {PUBLIC_MARK}")
    raw = _decoded(text, SECRET_MARK)
    if not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise KeyRefused(f"a {SECRET_MARK} secret holds {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, this one {len(raw)}")
    return SharedSecret(raw)


def _private_key(raw: bytes) -> Ed25519PrivateKey:
    if len(raw) not in (_ED25519_BYTES, 2 * _ED25519_BYTES):
        raise KeyRefused(f"a {PRIVATE_MARK} key holds a seed of {_ED25519_BYTES} bytes, and may repeat the public key")
    key = Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_BYTES])
    if raw[_ED25519_BYTES:] not in (b"", key.public_key().public_bytes_raw()):
        raise KeyRefused(f"the public half of the {PRIVATE_MARK} key does not belong to its seed; make a new key")
    return key


def _decoded(text: str, mark: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(mark), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRefused(f"after {mark} comes Base64 (RFC 4648, standard alphabet, padded)") from None


def webhook_id(subscription: str, source: str, event_id: str) -> str:
    """The same for every attempt and after every restart; other for every subscription. Without dots, which ids may have."""
    whole = "\x1f".join((subscription, source, event_id))
    return "msg_" + sha256(whole.encode()).hexdigest()[:32]


def sign(signers: Sequence[Signer], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers, one signature for each key. Raises KeyRefused without any key, ValueError for an id with a dot."""
    if not signers:
        raise KeyRefused("a delivery needs a key to be signed with")
    if "." in message_id:
        raise ValueError(f"the id {message_id!r} has a dot, which parts the signed content")
    content = _content(message_id, str(timestamp_s), body)
    signatures = " ".join([signer.sign(content) for signer in signers])
    return {**identified(message_id, timestamp_s), SIGNATURE_HEADER: signatures}


def identified(message_id: str, timestamp_s: int) -> dict[str, str]:
    """The headers without a signature, for sinks that know us by a credential and have no key of ours."""
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp_s)}


def verify(
    verifiers: Sequence[Verifier], headers: Mapping[str, str], body: bytes, now_s: float, *, tolerance_s: int = TOLERANCE_S
) -> None:
    """Whether one of the keys signed this, and lately. Header names are lower case. Raises SignatureRefused."""
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not headers.get(name)]
    if missing:
        raise SignatureRefused("missing_header", f"the header {missing[0]} is missing")
    timestamp = headers[TIMESTAMP_HEADER]
    _check_timestamp(timestamp, now_s, tolerance_s)
    content = _content(headers[ID_HEADER], timestamp, body)
    signatures = headers[SIGNATURE_HEADER].split()[:SIGNATURES_MAX]
    if not any(verifier.accepts(signature, content) for signature in signatures for verifier in verifiers):
        raise SignatureRefused("signature_wrong", "no signature fits the body, the id and the time; check the secret")


def _check_timestamp(timestamp: str, now_s: float, tolerance_s: int) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureRefused("timestamp_malformed", f"{TIMESTAMP_HEADER} is whole seconds since 1970")
    age_s = now_s - int(timestamp)
    if age_s > tolerance_s:
        raise SignatureRefused("timestamp_old", f"{TIMESTAMP_HEADER} is {age_s:.0f} s old, at most {tolerance_s} are taken")
    if age_s < -tolerance_s:
        raise SignatureRefused("timestamp_early", f"{TIMESTAMP_HEADER} lies {-age_s:.0f} s ahead; compare the clocks")


def _content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body
