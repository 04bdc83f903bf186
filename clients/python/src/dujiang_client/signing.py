"""A partner's own key in the place of a token: a JWT for each request, EdDSA or ES256. Needs the extra `cryptography`."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

LIFE_S = 60
ES256_BYTES = 32


class Signer:
    """Signs by a private key in PEM (Ed25519 or P-256). `audience` is the gateway's name, as its operator gives it.

    `scopes` narrow what the tokens may; without any they may all that the partner may. Raises ValueError for another kind
    of key, ModuleNotFoundError without the extra.
    """

    def __init__(
        self,
        partner: str,
        kid: str,
        private_key: bytes,
        audience: str,
        *,
        password: bytes | None = None,
        scopes: tuple[str, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._sign, self._algorithm = _signing(private_key, password)
        self._partner, self._kid, self._audience, self._scopes, self._now = partner, kid, audience, scopes, now

    def token(self) -> str:
        """A token for one request: a repeat of the request needs another."""
        now = int(self._now())
        claims: dict[str, Any] = {
            "iss": self._partner,
            "aud": self._audience,
            "iat": now,
            "exp": now + LIFE_S,
            "jti": str(uuid4()),
        }
        if self._scopes:
            claims["scope"] = " ".join(self._scopes)
        head = {"alg": self._algorithm, "kid": self._kid, "typ": "JWT"}
        signed = f"{_part(head)}.{_part(claims)}"
        return f"{signed}.{_encoded(self._sign(signed.encode()))}"


def _signing(private_key: bytes, password: bytes | None) -> tuple[Callable[[bytes], bytes], str]:
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "signing needs a library: pip install 'dujiang-client[cryptography]'", name="cryptography"
        ) from error
    key = load_pem_private_key(private_key, password)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign, "EdDSA"
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        curve_key = key

        def sign(content: bytes) -> bytes:
            # JWTs carry the two numbers side by side (RFC 7518, 3.4), not as DER.
            numbers = decode_dss_signature(curve_key.sign(content, ec.ECDSA(SHA256())))
            return b"".join(number.to_bytes(ES256_BYTES, "big") for number in numbers)

        return sign, "ES256"
    raise ValueError("only Ed25519 and P-256 keys sign here: openssl genpkey -algorithm ed25519 -out key.pem")


def _part(members: dict[str, Any]) -> str:
    return _encoded(json.dumps(members, separators=(",", ":")).encode())


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
