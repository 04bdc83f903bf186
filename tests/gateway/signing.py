"""A partner that signs: a key, and tokens as good or as forged as a test wants them."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.signed import PartnerKey

AUDIENCE = "https://gateway.bureau.example"
DAY = timedelta(days=1)
PLENTY = Allowance(1_000, 100_000, 1_000_000)
_fresh = count(1)


def new_private(algorithm: str) -> Any:
    return Ed25519PrivateKey.generate() if algorithm == "EdDSA" else ec.generate_private_key(ec.SECP256R1())


@dataclass
class Signer:
    """One key of one partner. `claims` given as None are left out."""

    partner_id: str = "institute-7"
    kid: str = "k-1"
    algorithm: str = "EdDSA"
    scopes: tuple[str, ...] = ("publish:gov.stiib.research.*",)
    private: Any = None

    def __post_init__(self) -> None:
        self.private = self.private or new_private(self.algorithm)

    def key(self, expires_at: datetime) -> PartnerKey:
        """As a gateway knows it."""
        partner = Partner(self.partner_id, self.scopes, (f"/partners/{self.partner_id}",), PLENTY)
        return PartnerKey(partner, self.kid, self.algorithm, self.private.public_key(), expires_at)

    def pem(self) -> bytes:
        """The private key, as its partner keeps it."""
        written: bytes = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return written

    def public_pem(self) -> bytes:
        """The public one, as it is handed in."""
        written: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return written

    def claims(self, now: datetime, **changes: Any) -> dict[str, Any]:
        now_s = int(now.timestamp())
        members = {
            "iss": self.partner_id,
            "aud": AUDIENCE,
            "iat": now_s,
            "exp": now_s + 60,
            "jti": f"j-{next(_fresh)}",
        } | changes
        return {name: value for name, value in members.items() if value is not None}

    def token(self, now: datetime, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Signed by this key, whatever it says."""
        members = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT"} | (header or {})
        return self.sign({name: value for name, value in members.items() if value is not None}, self.claims(now, **changes))

    def sign(self, header: Any, claims: Any) -> str:
        """Any header and claims under a signature that is good."""
        signed = f"{part(header)}.{part(claims)}"
        algorithm = jwt.get_algorithm_by_name(self.algorithm)
        return f"{signed}.{encoded(algorithm.sign(signed.encode(), self.private))}"


def part(value: Any) -> str:
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
