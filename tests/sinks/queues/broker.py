"""A Mosquitto of a test's own, and a subscriber at it that keeps what comes."""

import base64
import getpass
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dujiang.embedded.ports import free_port

USER, PASSWORD = "dujiang", "密码 s3cret"
READER, READER_PASSWORD = "agency", "reads"
TOPIC = "bureau/projects"


class Broker:
    """Sessions of subscribers outlive its death: it writes them down at once."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "passwords").write_text(
            "".join(f"{user}:{_hashed(word)}\n" for user, word in ((USER, PASSWORD), (READER, READER_PASSWORD)))
        )
        # Whoever publishes may write in one topic alone.
        (folder / "acl").write_text(f"user {USER}\ntopic write {TOPIC}\nuser {READER}\ntopic read #\n")
        self.configure()

    def configure(self, *lines: str, is_open: bool = False, pem: Path | None = None) -> None:
        """As of the next start. `pem`: certificate and key; TLS."""
        told = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if is_open else 'false'}",
            f"password_file {self.folder / 'passwords'}",
            f"acl_file {self.folder / 'acl'}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_on_changes true",
            "autosave_interval 1",
            f"user {getpass.getuser()}",  # as root it would become another, who may read none of this
            *((f"certfile {pem}", f"keyfile {pem}") if pem else ()),
            *lines,
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join(told) + "\n")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log)
        end_s = time.monotonic() + 10
        while not self._answers():
            is_late = time.monotonic() > end_s or self._process.poll() is not None
            assert not is_late, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """At once, as a machine dies."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)
            self._process.wait(10)

    def _answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True)
class Message:
    """As a subscriber gets it."""

    topic: str
    body: bytes
    content_type: str
    user_properties: dict[str, str]
    is_retained: bool

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Subscriber:
    """At a broker, with a session that outlives both."""

    def __init__(self, broker: Broker, user: str = READER, password: str = READER_PASSWORD) -> None:
        self.messages: list[Message] = []
        self.is_subscribed = False
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, "reader", protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=True
        )
        client.username_pw_set(user, password)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda made, *_: made.subscribe("bureau/#", qos=1)
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        asked = Properties(PacketTypes.CONNECT)
        asked.SessionExpiryInterval = 3_600
        client.connect("127.0.0.1", broker.port, clean_start=False, properties=asked)
        client.loop_start()
        end_s = time.monotonic() + 10
        while not self.is_subscribed:
            assert time.monotonic() < end_s
            time.sleep(0.02)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Without trials."""
        return [event for one in self.messages if not (event := one.event)["type"].startswith("dujiang.")]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_subscribe(self, _: Any, __: Any, ___: int, codes: Sequence[Any], ____: Any) -> None:
        self.is_subscribed = all(code.value < 0x80 for code in codes)

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        properties: Any = message.properties
        self.messages.append(
            Message(
                message.topic,
                message.payload,
                getattr(properties, "ContentType", ""),
                dict(getattr(properties, "UserProperty", [])),
                message.retain,
            )
        )


def _hashed(password: str) -> str:
    """As mosquitto_passwd writes it."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101, 64)
    return "$7$101$" + "$".join(base64.b64encode(part).decode() for part in (salt, digest))
