"""AWS Signature Version 4 of a request whose body is at hand, as S3 and the stores that are like it want it. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Only what we send: a path of characters that are
never escaped, and no query.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "s3"
# Unreserved characters (RFC 3986, 2.3) and the path's own: signed and sent alike, whoever encodes.
PLAIN_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]*)+")
_SPACES: Final = re.compile(r" +")


def signed(
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    identifier: str,
    secret: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """`headers`, all of which are signed, and what authorises the request. `host`: with its port, unless the scheme's own.

    Raises ValueError for a path that would be sent otherwise than it is signed.
    """
    if not PLAIN_PATH.fullmatch(path):
        raise ValueError(f"the path {path!r} has characters that must be escaped")
    instant = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = sha256(body).hexdigest()
    sent = {**headers, "x-amz-content-sha256": digest, "x-amz-date": instant}
    canonical = {name.lower(): _SPACES.sub(" ", value.strip()) for name, value in {**sent, "host": host}.items()}
    names = sorted(canonical)
    lines = [method, path, "", *(f"{name}:{canonical[name]}" for name in names), "", ";".join(names), digest]
    scope = f"{instant[:8]}/{region}/{SERVICE}/aws4_request"
    to_sign = "\n".join((ALGORITHM, instant, scope, sha256("\n".join(lines).encode()).hexdigest()))
    signature = hmac.digest(signing_key(secret, instant[:8], region), to_sign.encode(), "sha256").hex()
    sent["Authorization"] = f"{ALGORITHM} Credential={identifier}/{scope},SignedHeaders={';'.join(names)},Signature={signature}"
    return sent


def signing_key(secret: str, day: str, region: str) -> bytes:
    """Of one day (YYYYMMDD, UTC), one region and S3."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
