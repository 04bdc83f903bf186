"""Does a webhook come from the gateway: Standard Webhooks 1.0, HMAC-SHA256 (`v1`) and ed25519 (`v1a`).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dujiang_client.errors import SignatureInvalid

TOLERANCE_S = 300
SIGNATURES_MAX = 20
SECRET_BYTES = range(24, 65)
PUBLIC_KEY_BYTES = 32

_SECRET, _PUBLIC = "whsec_", "whpk_"
_SECONDS = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that proved its origin. `id` stays the same when it is sent again: use it to do things once."""

    id: str
    sent_at: datetime
    body: bytes

    def event(self) -> Any:
        """The CloudEvent in its JSON form. Raises ValueError when the body is no JSON."""
        return json.loads(self.body)


def verify(
    body: bytes,
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    secrets: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now: Callable[[], float] = time.time,
) -> Delivery:
    """The delivery, if one of the secrets signed the body's exact bytes within `tolerance_s`; both ways, since clocks differ.

    A secret is `whsec_…` (v1) or the gateway's public key `whpk_…` (v1a, needs the extra `cryptography`). Hand in the old and
    the new one while they are being changed. Raises SignatureInvalid; ValueError for a secret that can be none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("verify needs a secret: whsec_… or whpk_…")
    named = _named(headers)
    webhook_id, timestamp = named["webhook-id"], named["webhook-timestamp"]
    if not _ID.fullmatch(webhook_id) or "." in webhook_id:
        raise SignatureInvalid("the header webhook-id is no id; it holds visible characters and no dot")
    if not _SECONDS.fullmatch(timestamp):
        raise SignatureInvalid("the header webhook-timestamp is no whole number of seconds")
    age_s = now() - int(timestamp)
    if abs(age_s) > tolerance_s:
        side = "old" if age_s > 0 else "ahead"
        raise SignatureInvalid(f"the webhook is {abs(age_s):.0f} s {side}, at most {tolerance_s:g} s; check this clock")
    signed = b"%b.%b.%b" % (webhook_id.encode(), timestamp.encode(), body)
    signatures = list(_signatures(named["webhook-signature"]))
    if not any(version == kind and check(signed, octets) for version, octets in signatures for kind, check in keys):
        raise SignatureInvalid("no signature of the webhook is by one of the secrets; compare them with the subscription's")
    return Delivery(webhook_id, datetime.fromtimestamp(int(timestamp), UTC), body)


_Check = Callable[[bytes, bytes], bool]


def _named(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    named: dict[str, str] = {}
    for name, value in pairs:
        lower = name.lower()
        if lower in named and lower.startswith("webhook-"):
            raise SignatureInvalid(f"the header {lower} came twice")
        named[lower] = value
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if name not in named:
            raise SignatureInvalid(f"the header {name} is missing")
    return named


def _signatures(header: str) -> Iterable[tuple[str, bytes]]:
    """What can be read of the list; versions to come, and rubbish, are passed over."""
    for token in header.split()[:SIGNATURES_MAX]:
        version, comma, text = token.partition(",")
        if comma and text.isascii():
            try:
                yield version, base64.b64decode(text, validate=True)
            except binascii.Error:
                continue


def _key(secret: str) -> tuple[str, _Check]:
    if secret.startswith(_PUBLIC):
        return "v1a", _ed25519(_octets(secret.removeprefix(_PUBLIC), range(PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES + 1)))
    if not secret.startswith(_SECRET):
        raise ValueError("a secret begins with whsec_ (shared) or whpk_ (the gateway's public key)")
    shared = _octets(secret.removeprefix(_SECRET), SECRET_BYTES)
    return "v1", lambda signed, given: hmac.compare_digest(hmac.digest(shared, signed, "sha256"), given)


def _octets(text: str, lengths: range) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except binascii.Error:
        octets = b""
    if len(octets) not in lengths:
        raise ValueError(f"the secret is not {lengths.start} to {lengths.stop - 1} bytes in base64 after its prefix")
    return octets


def _ed25519(public: bytes) -> _Check:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "whpk_ keys need a library: pip install 'dujiang-client[cryptography]'", name="cryptography"
        ) from error
    key = Ed25519PublicKey.from_public_bytes(public)

    def check(signed: bytes, given: bytes) -> bool:
        try:
            key.verify(given, signed)
        except InvalidSignature:
            return False
        return True

    return check
