"""Agencies at a gateway, as they speak to it."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

BASIS = {"purpose": "年度统计", "legal_basis": "科技进步法第一百条", "approver": "科技局办公室"}


@dataclass
class Streamed:
    """What came over a stream: frames by their fields."""

    frames: list[dict[str, str]] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [json.loads(frame["data"])["id"] for frame in self.events()]

    def events(self) -> list[dict[str, str]]:
        return [frame for frame in self.frames if "event" not in frame and "data" in frame]

    def named(self, name: str) -> list[dict[str, str]]:
        return [frame for frame in self.frames if frame.get("event") == name]

    @property
    def cursor(self) -> str:
        return next(frame["id"] for frame in reversed(self.frames) if "id" in frame)


class StreamReader:
    """Reads a stream in a thread, as an EventSource would."""

    def __init__(self, host: str, port: int, path: str, headers: Mapping[str, str]) -> None:
        self.connection = http.client.HTTPConnection(host, port, timeout=30)
        self.connection.request("GET", path, headers=dict(headers))
        self.response = self.connection.getresponse()
        self.came = Streamed()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        frame: dict[str, str] = {}
        try:
            for line in self.response:
                text = line.decode().rstrip("\n")
                if not text:
                    self.came.frames.append(frame)
                    frame = {}
                else:
                    name, _, value = text.partition(": ")
                    frame[name] = value
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return  # cut, by us or by the gateway's end

    def ended(self, seconds_max: float = 10) -> bool:
        self.thread.join(seconds_max)
        return not self.thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.connection.sock is not None:
            with suppress(OSError):  # it may be at its end already
                self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()


@dataclass
class Partner:
    """One agency at a gateway, by its token."""

    gateway: Any
    token: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    @property
    def raw_headers(self) -> str:
        """As they stand on the wire."""
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())

    def send(self, method: str, path: str, content: Any = None, **headers: str) -> Any:
        named = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if content is None:
            return self.gateway.request(method, path, None, named)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.gateway.request(method, path, body, {"content-type": "application/json"} | named)

    def subscribe(self, *types: str, **members: Any) -> Any:
        return self.send("POST", "/subscriptions", {"protocol": "PULL", "types": list(types)} | BASIS | members)

    def pull(self, subscription_id: str, cursor: str | None = None, **query: Any) -> Any:
        asked = "&".join(f"{name}={value}" for name, value in {"cursor": cursor, **query}.items() if value is not None)
        return self.send("GET", f"/subscriptions/{subscription_id}/events?{asked}")

    def pull_all(self, subscription_id: str, cursor: str | None = None, **query: Any) -> tuple[list[str], str]:
        """Until a page is empty: the events' ids, and the last cursor. The tail needs a moment to see what was written."""
        ids: list[str] = []
        query = {"wait": 0.6} | query
        while True:
            page = self.pull(subscription_id, cursor, **query)
            assert page.status == 200, page.body
            ids += [event["id"] for event in page.json["events"]]
            cursor = page.json["cursor"]
            if not page.json["events"] and not page.json["has_more"]:
                return ids, str(cursor)

    def stream(self, subscription_id: str, last_event_id: str | None = None) -> StreamReader:
        headers = self.headers | ({} if last_event_id is None else {"last-event-id": last_event_id})
        return StreamReader(self.gateway.host, self.gateway.port, f"/subscriptions/{subscription_id}/stream", headers)
