"""Signature V4 against the examples that AWS publishes for S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, "Examples: Signature Calculations".
"""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sinks.storage.signature import signed

KEY = {"identifier": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "region": "us-east-1"}
HOST = "examplebucket.s3.amazonaws.com"
NOW = datetime(2013, 5, 24, tzinfo=UTC)


def test_get_object() -> None:
    sent = signed("GET", HOST, "/test.txt", {"Range": "bytes=0-9"}, b"", now=NOW, **KEY)
    assert sent == {
        "Range": "bytes=0-9",
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    }


def test_put_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is already escaped, which ours never is."""
    monkeypatch.setattr("sinks.storage.signature.PLAIN_PATH", re.compile(r"/test%24file\.text"))
    headers = {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    sent = signed("PUT", HOST, "/test%24file.text", headers, b"Welcome to Amazon S3.", now=NOW, **KEY)
    assert sent["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


def test_the_instant_is_told_in_utc() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=8)))
    assert signed("GET", HOST, "/test.txt", {}, b"", now=here, **KEY) == signed(
        "GET", HOST, "/test.txt", {}, b"", now=NOW, **KEY
    )


@pytest.mark.parametrize("path", ["", "test.txt", "/a b", "/%24", "/a?b", "/鱼", "/a+b"])
def test_a_path_that_might_be_sent_otherwise_is_not_signed(path: str) -> None:
    with pytest.raises(ValueError, match="escaped"):
        signed("PUT", HOST, path, {}, b"", now=NOW, **KEY)
