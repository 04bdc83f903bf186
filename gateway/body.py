"""A request's body, read within limits: bytes, time, and what all requests together may hold in memory."""

import asyncio
from typing import Final

from starlette.types import Receive

from gateway import catalogue
from gateway.kind import Kind
from gateway.languages import Text
from gateway.problems import Problem

BODY_TIMEOUT_S: Final = 30.0
HELD_BYTES_MAX: Final = 128 * 1024 * 1024
# A refused body is read and thrown away up to here, so that the sender gets to read the answer instead of a reset.
DISCARD_BYTES_MAX: Final = 32 * 1024 * 1024
DISCARD_TIMEOUT_S: Final = 5.0


class BodyReader:
    """Reads bodies; one for the whole gateway, since it counts the bytes that all of them hold."""

    def __init__(self, *, held_bytes_max: int = HELD_BYTES_MAX, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._held_bytes = 0
        self._held_bytes_max = held_bytes_max
        self._timeout_s = timeout_s

    async def read(self, receive: Receive, declared_bytes: int | None, bytes_max: int) -> bytes:
        """The whole body. Raises Problem: too large, too slow, incomplete, overloaded.

        `declared_bytes` is the Content-Length, None where there is none; what comes is counted all the same.
        """
        if declared_bytes is not None and declared_bytes > bytes_max:
            await discard(receive, declared_bytes)
            raise _too_large(bytes_max)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._pieces(receive, bytes_max)
        except TimeoutError:
            raise _slow(self._timeout_s) from None

    async def _pieces(self, receive: Receive, bytes_max: int) -> bytes:
        pieces: list[bytes] = []
        size_bytes = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _refused(catalogue.BODY_INCOMPLETE)
                piece = message.get("body", b"")
                pieces.append(piece)
                size_bytes += len(piece)
                self._held_bytes += len(piece)
                if size_bytes > bytes_max:
                    pieces.clear()
                    if message.get("more_body"):
                        await discard(receive, None)
                    raise _too_large(bytes_max)
                if not message.get("more_body"):
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                if self._held_bytes > self._held_bytes_max:
                    raise _refused(catalogue.OVERLOADED)
        finally:
            self._held_bytes -= size_bytes


def declared_length(value: bytes | None) -> int | None:
    """The Content-Length; the server has already refused those that are no number."""
    return int(value) if value is not None and value.isdigit() else None


async def discard(receive: Receive, declared_bytes: int | None) -> None:
    """Read what is left of a refused body and throw it away, within limits."""
    if declared_bytes is not None and declared_bytes > DISCARD_BYTES_MAX:
        return
    size_bytes = 0
    try:
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            while size_bytes <= DISCARD_BYTES_MAX:
                message = await receive()
                size_bytes += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _too_large(bytes_max: int) -> Problem:
    detail = Text(
        f"the body has more than {bytes_max} bytes, the most that is taken in this mode",
        f"正文超过 {bytes_max} 字节，这是该模式的上限",
    )
    return _refused(catalogue.CONTENT_TOO_LARGE, detail)


def _slow(timeout_s: float) -> Problem:
    detail = Text(
        f"the body was not complete after {timeout_s:g} s; nothing was written",
        f"正文在 {timeout_s:g} 秒内未传完，未写入任何内容",
    )
    return _refused(catalogue.BODY_SLOW, detail)


def _refused(kind: Kind, detail: Text | None = None) -> Problem:
    """What is left of the body makes the connection useless."""
    return Problem(kind, detail or kind.meaning, headers={"connection": "close"})
