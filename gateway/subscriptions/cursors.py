"""Cursors: where a reader stands in every partition, as one opaque word that the reader keeps and sends back. Pure.

A cursor is no secret and gives no right: it can only move a reader within what its subscription lets it see, so one of
another subscription will do as well. Its checksum tells a cut or mistyped one, which could else be read as some other place.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from schemas.subscriptions import Place

Positions = dict[Place, int]

CURSOR_CHARS_MAX: Final = 4096
_CHECK_BYTES: Final = 6
_FORM: Final = b"1"  # of what is inside; another one may follow


class CursorError(ValueError):
    """This is no cursor of ours."""


def encode(positions: Mapping[Place, int]) -> str:
    """The cursor of these next offsets; the same positions always give the same one."""
    topics: dict[str, dict[int, int]] = {}
    for (topic, partition), offset in sorted(positions.items()):
        topics.setdefault(topic, {})[partition] = offset
    body = json.dumps(topics, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_FORM + _check(body) + body).rstrip(b"=").decode()


def decode(cursor: str) -> Positions:
    """The next offset of each partition. Raises CursorError."""
    if len(cursor) > CURSOR_CHARS_MAX:
        raise CursorError
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise CursorError from None
    check, body = raw[len(_FORM) : len(_FORM) + _CHECK_BYTES], raw[len(_FORM) + _CHECK_BYTES :]
    if raw[: len(_FORM)] != _FORM or check != _check(body):
        raise CursorError
    return _positions(json.loads(body))


def _positions(topics: Any) -> Positions:
    """What passed the checksum was written by `encode`."""
    return {Place(topic, int(partition)): offset for topic, offsets in topics.items() for partition, offset in offsets.items()}


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
