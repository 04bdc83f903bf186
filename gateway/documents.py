"""Documents that stay the same for as long as the process runs: made once, told apart by their content."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

# A new version of the gateway may bring new contracts; five minutes of the old ones do no harm, since they stay valid.
CACHE_CONTROL: Final = "public, max-age=300"
# A published revision never changes.
IMMUTABLE: Final = "public, max-age=31536000, immutable"
_DIGEST_BYTES: Final = 16


class Document:
    """JSON with its ETag (RFC 9110, 8.8.3)."""

    def __init__(
        self,
        content: Any,
        media_type: str = "application/json",
        *,
        cache_control: str = CACHE_CONTROL,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        self._media_type = media_type
        self._tag = f'"{blake2b(self._body, digest_size=_DIGEST_BYTES).hexdigest()}"'
        self._headers = {"etag": self._tag, "cache-control": cache_control, **(headers or {})}

    def answer(self, request: Request) -> Response:
        """304 when the reader has it already (If-None-Match), else all of it."""
        if _names(request.headers.get("if-none-match", ""), self._tag):
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, 200, self._headers, self._media_type)


def _names(if_none_match: str, tag: str) -> bool:
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in known or known == ["*"]
