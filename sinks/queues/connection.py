"""One connection to an MQTT 5 broker, over a socket that stands already. Of paho-mqtt, which speaks the protocol.

aiomqtt, which wraps paho for asyncio, opens sockets by name and drops the reason of a PUBACK; both matter here. All calls come
from the loop that made it; there are no threads.
"""

import asyncio
import socket
from typing import Any, Final, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sinks.queues.reasons import PACKET_TOO_LARGE, answer_of, too_large
from sinks.webhooks.credentials import Credential
from sinks.webhooks.schedule import Answer

HEARD_BYTES_MAX: Final = 16 * 1024  # between two packets of ours; a broker has nothing longer to say to who only publishes
KEEPALIVE_S: Final = 60
TEND_S: Final = 10.0
IDLE_S: Final = 300.0  # unused so long, it is closed
IN_FLIGHT_MAX: Final = 32
FIXED_HEADER_BYTES_MAX: Final = 5

_LOST: Final = Answer("unreachable", detail="the connection was lost")
_BROKEN: Final = Answer("broken", detail="what was answered is no MQTT 5")
_NO_MQTT: Final = frozenset((0x81, 0x82))  # paho's own words for it: malformed packet, protocol error


class Message(NamedTuple):
    """What is published, at least once."""

    topic: str
    body: bytes
    content_type: str
    user_properties: list[tuple[str, str]]
    retain: bool = False
    expiry_s: int | None = None

    @property
    def properties(self) -> Properties:
        """Text (1), so that brokers and consoles may show it."""
        made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        made.PayloadFormatIndicator = 1
        made.ContentType = self.content_type
        made.UserProperty = self.user_properties
        if self.expiry_s is not None:
            made.MessageExpiryInterval = self.expiry_s
        return made


class Connection:
    """Made by `opened`. Whoever opens it closes it; it also closes by itself when it is lost, silent or idle."""

    def __init__(self, sock: socket.socket, client_id: str, credential: Credential | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = _Heard(sock)
        self._accepted: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting: dict[int, tuple[int, asyncio.Future[Answer]]] = {}  # by packet identifier: size, what becomes of it
        self._packet_bytes_max: int | None = None
        self._places = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._used_s = self._loop.time()
        self._tending: asyncio.Task[None] | None = None
        self.is_open = True
        self._client = client = _Client(self._sock, client_id)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_socket_open = lambda *_: self._loop.add_reader(self._sock.fileno(), self._read)
        client.on_socket_close = lambda *_: self._forget_reading()
        client.on_socket_register_write = lambda *_: self._loop.add_writer(self._sock.fileno(), client.loop_write)
        client.on_socket_unregister_write = lambda *_: self._forget_writing()
        if credential is not None:
            client.username_pw_set(credential.identifier, credential.secret)

    @classmethod
    async def opened(cls, sock: socket.socket, client_id: str, credential: Credential | None) -> "Connection | Answer":
        """A connection that the broker accepted, or what it said instead. The socket is closed if not. Waits without limit."""
        made = cls(sock, client_id, credential)
        try:
            answer = await made._accept()
        except BaseException:
            made.close()
            raise
        if answer.outcome == "acknowledged":
            return made
        made.close()
        return answer

    async def publish(self, message: Message, timeout_s: float) -> Answer:
        """Until the broker acknowledged it. One that does not within `timeout_s` has lost the connection."""
        properties = message.properties
        packed = properties.pack()  # type: ignore[no-untyped-call]
        size = FIXED_HEADER_BYTES_MAX + len(message.topic.encode()) + 4 + len(packed) + len(message.body)
        if self._packet_bytes_max is not None and size > self._packet_bytes_max:
            return too_large(self._packet_bytes_max)
        try:
            async with asyncio.timeout(timeout_s), self._places:
                return await self._published(message, properties, size)
        except TimeoutError:
            self.close()
            return Answer("timeout")

    def close(self) -> None:
        """At once; what waits for the broker's word is lost."""
        if not self.is_open:
            return
        self.is_open = False
        self._client.disconnect()
        self._client.loop_write()  # says good-bye and closes
        if self._client.socket() is not None:  # unless the broker takes nothing more
            self._client.on_socket_close = self._client.on_socket_unregister_write = None
            self._forget_reading()
            self._forget_writing()
            self._sock.close()
        self._end(_LOST)

    async def _accept(self) -> Answer:
        asked = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        asked.RequestProblemInformation = 0  # codes say enough; a stranger's words would go nowhere
        asked.MaximumPacketSize = HEARD_BYTES_MAX
        # A new session each time, which ends with the connection: what is outstanding the courier knows.
        self._client.connect("-", keepalive=KEEPALIVE_S, clean_start=True, properties=asked)
        answer = await self._accepted
        self._tending = asyncio.create_task(self._tend())
        return answer

    async def _published(self, message: Message, properties: Properties, size: int) -> Answer:
        if not self.is_open:
            return _LOST
        self._used_s = self._loop.time()
        self._sock.forget()
        info = self._client.publish(message.topic, message.body, 1, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return _LOST
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[info.mid] = size, answered
        try:
            return await answered
        finally:
            del self._waiting[info.mid]

    async def _tend(self) -> None:
        while self.is_open:
            await asyncio.sleep(TEND_S)
            self._sock.forget()
            self._client.loop_misc()  # asks for a sign of life, and closes when none comes
            if not self._waiting and self._loop.time() - self._used_s >= IDLE_S:
                self.close()

    def _forget_reading(self) -> None:
        self._loop.remove_reader(self._sock.fileno())

    def _forget_writing(self) -> None:
        self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        """TLS may hold more than the socket shows."""
        self._client.loop_read()
        while self._client.socket() is not None and self._sock.pending():
            self._client.loop_read()

    def _on_connect(
        self, _client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._accepted.done():
            return
        answer = answer_of("CONNACK", code.value)
        if answer.outcome == "acknowledged":
            if getattr(properties, "MaximumQoS", 1) == 0:
                answer = Answer("failed", detail="the broker takes QoS 0 only, which acknowledges nothing")
            self._packet_bytes_max = getattr(properties, "MaximumPacketSize", None)
            self._places = asyncio.Semaphore(min(IN_FLIGHT_MAX, getattr(properties, "ReceiveMaximum", IN_FLIGHT_MAX)))
        self._accepted.set_result(answer)

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, code: ReasonCode, _properties: Properties) -> None:
        _, answered = self._waiting.get(mid, (0, None))
        if answered is not None and not answered.done():
            answered.set_result(answer_of("PUBACK", code.value))

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, flags: paho.DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        """paho has closed the socket."""
        self.is_open = False
        if not flags.is_disconnect_packet_from_server:
            self._end(_BROKEN if code.value in _NO_MQTT else _LOST)
            return
        if code.value == PACKET_TOO_LARGE and self._waiting:
            # Which one it was the broker does not say; if any was too large, the largest was.
            _, answered = max(self._waiting.values(), key=lambda one: one[0])
            if not answered.done():
                answered.set_result(too_large())
        self._end(answer_of("DISCONNECT", code.value) if code.value >= 0x80 else _LOST)

    def _end(self, answer: Answer) -> None:
        if self._tending is not None and self._tending is not asyncio.current_task():
            self._tending.cancel()
        for answered in (self._accepted, *(answered for _, answered in self._waiting.values())):
            if not answered.done():
                answered.set_result(answer)


class _Client(paho.Client):
    """paho over a connection of ours. It would look the name up again, and connect to what it then finds."""

    def __init__(self, sock: "_Heard", client_id: str) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        self._connected_sock = sock
        self.max_inflight_messages = 0  # none: the broker's Receive Maximum, which paho does not know, is ours to keep

    def _create_socket(self) -> "_Heard":
        return self._connected_sock


class _Heard:
    """A socket that takes only so much before we speak again: paho would gather a packet of 256 MB."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._heard_bytes = 0

    def forget(self) -> None:
        self._heard_bytes = 0

    def recv(self, buffer_size: int) -> bytes:
        found = self._sock.recv(min(buffer_size, HEARD_BYTES_MAX))
        self._heard_bytes += len(found)
        if self._heard_bytes > HEARD_BYTES_MAX:
            raise ConnectionAbortedError(f"the broker sent more than {HEARD_BYTES_MAX} bytes unasked")
        return found

    def send(self, buffer: bytes | bytearray) -> int:
        return self._sock.send(buffer)

    def pending(self) -> int:
        """Bytes that TLS has read already."""
        pending = getattr(self._sock, "pending", None)
        return 0 if pending is None else int(pending())

    def close(self) -> None:
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)
