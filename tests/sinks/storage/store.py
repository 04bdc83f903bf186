"""A small S3: verifies each signature by computing it anew, from what came over the wire and not by our own module."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

ACCESS_KEY, SECRET_KEY, REGION = "AKDUJIANG", "s3cret/Key+word", "cn-east-3"
BUCKET: Final = "/bucket/"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


class Store:
    """`answer` is asked for the status of each good request; 200 keeps the object. `is_open`: nobody is asked who he is."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.told: dict[str, dict[str, str]] = {}  # metadata, by key
        self.puts: list[str] = []
        self.refused: list[str] = []
        self.answer: Callable[[str], int] = lambda _: 200
        self.is_open = False
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                code = store._refusal(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                status = 403 if code else store.answer(self.path)
                if code:
                    store.refused.append(code)
                elif self.path.startswith(BUCKET):
                    key = self.path.removeprefix(BUCKET)
                    store.puts.append(key)
                    if status == 200:
                        store.objects[key] = body
                        store.told[key] = {
                            name.lower().removeprefix("x-amz-meta-"): value
                            for name, value in self.headers.items()
                            if name.lower().startswith("x-amz-meta-")
                        }
                error = f"<?xml version='1.0'?><Error><Code>{code or 'SlowDown'}</Code><Key>{SECRET_KEY}</Key></Error>".encode()
                content = b"" if status == 200 else error
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bucket/events"

    @property
    def events(self) -> list[dict[str, Any]]:
        """In the order of their keys, without trials."""
        return [json.loads(body) for key, body in sorted(self.objects.items()) if not key.endswith("dujiang-trial.json")]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _refusal(self, method: str, path: str, headers: dict[str, str], body: bytes) -> str | None:
        """The store's word for what is wrong; None: nothing."""
        if self.is_open:
            return None
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            return "AccessDenied"
        identifier, day, region, names, signature = found.groups()
        if identifier != ACCESS_KEY:
            return "InvalidAccessKeyId"
        if region != REGION:
            return "AuthorizationHeaderMalformed"
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        unsigned = [name for name in headers if name.startswith("x-amz-") and name not in names.split(";")]
        if unsigned or "host" not in names.split(";"):
            return "AccessDenied"
        request = f"{method}\n{path}\n\n"
        request += "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
        request += f"\n{names}\n{headers['x-amz-content-sha256']}"
        scope = f"{day}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = b"AWS4" + SECRET_KEY.encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        computed = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return None if hmac.compare_digest(computed, signature) else "SignatureDoesNotMatch"
