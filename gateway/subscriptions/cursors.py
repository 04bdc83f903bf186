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


class Moving:
    """The cursors of positions that move on, one after another: a stream gives one with every event, so only what moved is
    written anew."""

    def __init__(self, positions: Mapping[Place, int]) -> None:
        self._positions = dict(positions)
        self._pieces: list[bytes] = []  # of the body; an offset is a piece of its own
        self._at: dict[Place, int] = {}
        self._write()

    def move(self, place: Place, offset: int) -> None:
        """To this next offset."""
        self._positions[place] = offset
        at = self._at.get(place)
        if at is None:
            self._write()
        else:
            self._pieces[at] = b"%d" % offset

    def cursor(self) -> bytes:
        """Of where they are now; the same positions always give the same one."""
        body = b"".join(self._pieces)
        return base64.urlsafe_b64encode(_FORM + _check(body) + body).rstrip(b"=")

    def _write(self) -> None:
        """`{"topic":{"0":7,"1":9},"other":{…}}`, in the order of the places."""
        self._pieces = [b"{"]
        last: str | None = None
        for place, offset in sorted(self._positions.items()):
            if place.topic != last:
                closed = b"" if last is None else b"},"
                self._pieces.append(closed + json.dumps(place.topic).encode() + b":{")
            self._pieces.append(b'%s"%d":' % (b"" if place.topic != last else b",", place.partition))
            self._at[place] = len(self._pieces)
            self._pieces.append(b"%d" % offset)
            last = place.topic
        self._pieces.append(b"}" if last is None else b"}}")


def encode(positions: Mapping[Place, int]) -> str:
    """The cursor of these next offsets."""
    return Moving(positions).cursor().decode("ascii")


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
