"""The secrets of a subscription as deliveries use them: what they are signed with, and what we prove ourselves by.

The latter is the PLAIN sink credential of the CloudEvents Subscriptions API (3.2.3): user name and password of a broker, access
key and secret key of a store.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.subscriptions.secrets import Kind, Secret
from sinks.webhooks.signing import SharedSecret, Signer, SigningKey

SIGNING: Final[frozenset[Kind]] = frozenset(("v1", "v1a"))


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """Stored whole as a secret, shown to nobody."""

    identifier: str
    secret: str

    def __repr__(self) -> str:
        return f"Credential(identifier={self.identifier!r})"


_decode = msgspec.json.Decoder(Credential).decode  # made once: see sinks/storage/objects.py


def stored(credential: Credential) -> bytes:
    """As the table of secrets keeps it."""
    return msgspec.json.encode(credential)


def credential_of(held: Iterable[Secret]) -> Credential | None:
    """The newest, if any."""
    found = next((one.secret for one in held if one.kind == "plain"), None)
    return None if found is None else _decode(found)


def signers_of(held: Iterable[Secret]) -> tuple[Signer, ...]:
    """All that are in force. A token or a credential signs nothing."""
    return tuple(_signer(one) for one in held if one.kind in SIGNING)


def _signer(secret: Secret) -> Signer:
    if secret.kind == "v1a":
        return SigningKey(Ed25519PrivateKey.from_private_bytes(secret.secret))
    return SharedSecret(secret.secret)
