"""Passwords as scrypt hashes (RFC 7914), parameters kept beside each so that they can grow."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from functools import cache
from typing import Final

CHARS_MIN: Final = 12
CHARS_MAX: Final = 256
_LOG_N, _R, _P = 15, 8, 1  # 32 MiB and some 80 ms of one core for each try
_MEMORY_MAX: Final = 64 * 1024 * 1024
_BYTES: Final = 32


def hash_of(password: str) -> str:
    """`scrypt$log2(N)$r$p$salt$hash`."""
    salt = secrets.token_bytes(16)
    return "$".join(("scrypt", str(_LOG_N), str(_R), str(_P), _text(salt), _text(_derived(password, salt, _LOG_N, _R, _P))))


def is_right(password: str, stored: str) -> bool:
    """In the same time whatever is wrong with it."""
    _, log_n, r, p, salt, expected = stored.split("$")
    found = _derived(password, b64decode(salt), int(log_n), int(r), int(p))
    return hmac.compare_digest(found, b64decode(expected))


def new_password() -> str:
    """One to print once: 20 characters, 118 bits."""
    return secrets.token_urlsafe(15)


@cache
def nobodys() -> str:
    """Looked at for a name that nobody has, so that an answer's delay does not say which names there are."""
    return hash_of(new_password())


def _derived(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**log_n, r=r, p=p, maxmem=_MEMORY_MAX, dklen=_BYTES)


def _text(value: bytes) -> str:
    return b64encode(value).decode()
