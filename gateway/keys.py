"""Partners' public keys: what `dujiang partners keys` changes, and what a gateway knows of it within five seconds.

A key is registered as a JWK, a JWKS or PEM; what is kept is the public JWK alone. `kid` names it within its partner, for
ever: one that was revoked or has expired never names another.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from psycopg import Cursor

from engine.clock import Clock
from engine.locks import Number
from gateway.directory import registered
from gateway.partners import PartnerRefused, refuse_unknown, rows
from gateway.signed import KID, PartnerKey, PublicKey, algorithm_of, public_key
from gateway.snapshot import Snapshot
from gateway.store import Store

KEYS_MAX: Final = 10_000
PARTNER_KEYS_MAX: Final = 10
FILE_BYTES_MAX: Final = 64 * 1024
PRIVATE_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class Offered(NamedTuple):
    """A key as a partner hands it in."""

    kid: str
    algorithm: str
    jwk: str


class Keys(Protocol):
    """Where partners' keys come from."""

    async def find(self, partner_id: str, kid: str) -> PartnerKey | None:
        """The key of that name, if it is in force. Raises TransientFault or EnvironmentFault when that cannot be known."""
        ...


class StoredKeys:
    """Keys on the table `partner_key`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._known = Snapshot(store, clock, keys_in_force)

    async def find(self, partner_id: str, kid: str) -> PartnerKey | None:
        """See Keys."""
        found = (await self._known.get()).get((partner_id, kid))
        return found if found is not None and found.expires_at > self._clock.now() else None


def keys_in_force(cursor: Cursor[Any], now: datetime) -> dict[tuple[str, str], PartnerKey]:
    """Partner and kid to key. The commands register no more than KEYS_MAX."""
    known = registered(cursor)
    cursor.execute(
        "SELECT partner_id, kid, algorithm, jwk, expires_at FROM partner_key"
        " WHERE revoked_at IS NULL AND expires_at > %s LIMIT %s",
        (now, KEYS_MAX),
    )
    return {
        (partner_id, kid): PartnerKey(known[partner_id], kid, algorithm, _parsed(jwk), expires_at)
        for partner_id, kid, algorithm, jwk, expires_at in cursor.fetchall()
    }


def offered(content: bytes) -> list[Offered]:
    """The public keys of a file: JWK, JWKS or PEM. Raises PartnerRefused."""
    if len(content) > FILE_BYTES_MAX:
        raise PartnerRefused(f"the file has {len(content)} bytes, at most {FILE_BYTES_MAX} are read; is it a key?")
    if b"PRIVATE KEY" in content:
        raise _private()
    if content.lstrip().startswith(b"-----BEGIN"):
        return [_offered(_jwk_of_pem(content), "the file")]
    try:
        document = json.loads(content)
    except ValueError:
        raise PartnerRefused("the file holds neither a JWK, nor a JWKS, nor a public key in PEM") from None
    listed = document.get("keys", [document]) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise PartnerRefused('the JSON is no JWK ({"kty": ...}) and no JWKS ({"keys": [{"kty": ...}]})')
    return [_offered(jwk, f"key {index}") for index, jwk in enumerate(listed, 1)]


def add(
    cursor: Cursor[Any], partner_id: str, keys: Sequence[Offered], now: datetime, expires_at: datetime, by: str
) -> list[str]:
    """Register all of them, or none; returns their kids. Raises PartnerRefused."""
    refuse_unknown(cursor, partner_id)
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (Number.PARTNERS,))
    for key in keys:
        cursor.execute(
            "INSERT INTO partner_key (partner_id, kid, algorithm, jwk, added_at, added_by, expires_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (partner_id, key.kid, key.algorithm, key.jwk, now, by, expires_at),
        )
        if not cursor.rowcount:
            raise PartnerRefused(
                f"{partner_id} has or had a key {key.kid!r}; a kid names one key for ever: give the new one another"
            )
    cursor.execute(
        "SELECT count(*), count(*) FILTER (WHERE partner_id = %(id)s) FROM partner_key"
        " WHERE revoked_at IS NULL AND expires_at > %(now)s",
        {"id": partner_id, "now": now},
    )
    ((everyones, own),) = cursor.fetchall()
    if own > PARTNER_KEYS_MAX or everyones > KEYS_MAX:
        raise PartnerRefused(
            f"{own} keys of {partner_id} and {everyones} of all would be in force, at most {PARTNER_KEYS_MAX} and"
            f" {KEYS_MAX} may be; revoke those not used"
        )
    return [key.kid for key in keys]


def revoke(cursor: Cursor[Any], partner_id: str, kid: str, now: datetime, by: str) -> None:
    """End a key. Raises PartnerRefused."""
    refuse_unknown(cursor, partner_id)
    cursor.execute(
        "UPDATE partner_key SET revoked_at = %(now)s, revoked_by = %(by)s"
        " WHERE partner_id = %(id)s AND kid = %(kid)s AND revoked_at IS NULL AND expires_at > %(now)s",
        {"id": partner_id, "kid": kid, "now": now, "by": by},
    )
    if not cursor.rowcount:
        raise PartnerRefused(f"{partner_id} has no key {kid!r} in force; `dujiang partners keys list` shows all")


def keys(cursor: Cursor[Any], now: datetime) -> list[dict[str, Any]]:
    """Every key there ever was."""
    return rows(
        cursor,
        "SELECT partner_id AS partner, kid, algorithm, CASE WHEN revoked_at IS NOT NULL THEN 'revoked'"
        " WHEN expires_at <= %(now)s THEN 'expired' ELSE 'in force' END AS state,"
        " added_at, added_by, expires_at, revoked_at, revoked_by FROM partner_key ORDER BY 1, added_at, 2",
        now,
    )


@lru_cache(maxsize=KEYS_MAX)
def _parsed(jwk: str) -> PublicKey:
    return public_key(json.loads(jwk))


def _offered(jwk: Mapping[str, Any], name: str) -> Offered:
    if PRIVATE_MEMBERS & jwk.keys():
        raise _private()
    try:
        public = public_key(jwk)
    except ValueError as error:
        raise PartnerRefused(f"{name}: {error}") from None
    algorithm = algorithm_of(public)
    if jwk.get("alg", algorithm) != algorithm:
        raise PartnerRefused(f"{name}: 'alg' is {jwk['alg']!r}, but such a key signs by {algorithm}")
    if jwk.get("use", "sig") != "sig":
        raise PartnerRefused(f"{name}: 'use' is {jwk['use']!r}; a key that signs has 'sig'")
    kept = {member: jwk[member] for member in ("crv", "kty", "x", "y") if member in jwk}
    # A thumbprint may begin with a hyphen, which command lines take for an option.
    kid = jwk.get("kid") or f"k{_thumbprint(kept)}"
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        raise PartnerRefused(f"{name}: 'kid' must be 1 to 128 of A-Z, a-z, 0-9 and . _ ~ -; leave it out for the thumbprint")
    return Offered(kid, algorithm, json.dumps(kept, sort_keys=True))


def _jwk_of_pem(content: bytes) -> dict[str, str]:
    try:
        key = load_pem_public_key(content)
    except (ValueError, TypeError):
        raise PartnerRefused("the PEM cannot be read as a public key") from None
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _text(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"kty": "EC", "crv": "P-256", "x": _text(point[1:33]), "y": _text(point[33:])}
    raise PartnerRefused("only Ed25519 and P-256 keys are taken: openssl genpkey -algorithm ed25519 -out key.pem")


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638: the required members, sorted, without spaces."""
    return _text(sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest())


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _private() -> PartnerRefused:
    return PartnerRefused(
        "this is a private key, which nobody but its owner may have: take it as exposed, make another, and hand in its"
        " public half (openssl pkey -in key.pem -pubout)"
    )
