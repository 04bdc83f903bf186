"""Deliveries to MQTT 5 brokers: the CloudEvents MQTT binding 1.0.2 in structured mode, QoS 1; a PUBACK acknowledges.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/mqtt-protocol-binding.md. The broker is a stranger like any
endpoint: its address is checked and the connection goes there and nowhere else. A subscription keeps one connection.
"""

import asyncio
import secrets
import ssl
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from engine.subscriptions.callbacks import Consent
from engine.subscriptions.secrets import Secret
from schemas.subscriptions import Subscription
from schemas.subscriptions.settings import Mqtt5Settings, mqtt5_settings
from sinks.queues.connection import Connection, Message
from sinks.queues.sockets import connected
from sinks.webhooks.credentials import Credential, credential_of
from sinks.webhooks.destinations import MQTT, DestinationRefused, Rules, parse
from sinks.webhooks.exchange import TimeLimits
from sinks.webhooks.handshake import PROBE_BODY, Granted, Refused, rate_of
from sinks.webhooks.log import NUMBER_EXTENSION
from sinks.webhooks.schedule import Answer
from sinks.webhooks.sender import Lookup, SystemLookup, shown
from sinks.webhooks.transport import CARRIED, CONTENT_TYPE, Channel
from sinks.webhooks.trial import ANONYMOUS_ACCEPTED, agreed


class MqttTransport:
    """`close` it at the end. `tls`: whom to believe; None: the authorities of this machine."""

    takes_callbacks = False

    def __init__(
        self, rules: Rules, *, limits: TimeLimits | None = None, lookup: Lookup | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._limits = limits or TimeLimits()
        self._own_lookup = SystemLookup()
        self._lookup: Lookup = lookup or self._own_lookup
        self._tls = tls or ssl.create_default_context()

    def can_deliver(self, held: Sequence[Secret]) -> bool:
        """A user name and its password. Deliveries are signed if there is a key, too."""
        return credential_of(held) is not None

    async def validate(
        self,
        subscription: Subscription,
        held: Sequence[Secret],
        consent: Consent | None,  # noqa: ARG002 - there is no callback
        callback: str | None,  # noqa: ARG002
    ) -> Granted | Refused:
        """A stranger must be refused, and a trial message taken in the topic that events will go to."""
        sink, settings = subscription.sink or "", mqtt5_settings(subscription.protocolsettings)
        stranger = await self.connect(sink, f"dujiangprobe{secrets.token_hex(5)}", None)
        if isinstance(stranger, Connection):
            stranger.close()
            return ANONYMOUS_ACCEPTED
        connection = await self.connect(sink, client_id(subscription.id), credential_of(held))
        if isinstance(connection, Answer):
            return agreed(connection, None)
        try:
            answer = await connection.publish(message_of(settings, PROBE_BODY, {}), self._limits.headers_s)
        finally:
            connection.close()
        return agreed(answer, rate_of(subscription.config))

    def open(self, subscription: Subscription, held: Sequence[Secret]) -> Channel:
        kept = _Kept(self, subscription, credential_of(held), self._limits.headers_s)
        return Channel(kept.post, kept.close)

    async def connect(self, url: str, name: str, credential: Credential | None) -> Connection | Answer:
        """An accepted connection under this client identifier, or why there is none. Never raises but when it is cancelled."""
        limits = self._limits
        try:
            destination = parse(url, self._rules, MQTT)
            tls = self._tls if destination.scheme == MQTT.secure else None
            async with asyncio.timeout(limits.connect_s + limits.headers_s):
                sock = await connected(destination, self._lookup, self._rules, tls, limits.connect_s)
                return await Connection.opened(sock, name, credential)
        except DestinationRefused as refusal:
            return Answer("destination", detail=refusal.reason)
        except TimeoutError:
            return Answer("timeout", detail="the broker did not accept the connection in time")
        except OSError as error:
            return Answer("unreachable", detail=shown(error.strerror or type(error).__name__))

    async def close(self) -> None:
        """What `open` gave is closed by whoever has it."""
        self._own_lookup.close()


class _Kept:
    """A subscription's connection: made when it is first needed or was lost, once for all attempts that wait for it."""

    def __init__(
        self, transport: MqttTransport, subscription: Subscription, credential: Credential | None, answer_s: float
    ) -> None:
        self._transport = transport
        self._name = client_id(subscription.id)
        self._settings = mqtt5_settings(subscription.protocolsettings)
        self._credential = credential
        self._answer_s = answer_s
        self._connecting: asyncio.Task[Connection | Answer] | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        found = await asyncio.shield(self._connection(url))
        if isinstance(found, Answer):
            return found
        return await found.publish(message_of(self._settings, body, headers), self._answer_s)

    async def close(self) -> None:
        task, self._connecting = self._connecting, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and isinstance(found := task.result(), Connection):
            found.close()

    def _connection(self, url: str) -> "asyncio.Task[Connection | Answer]":
        known = self._connecting
        if known is not None and (not known.done() or _is_open(known.result())):
            return known
        self._connecting = asyncio.create_task(self._transport.connect(url, self._name, self._credential))
        return self._connecting


def _is_open(found: Connection | Answer) -> bool:
    return isinstance(found, Connection) and found.is_open


class _Numbered(msgspec.Struct):
    deliverynumber: str = ""


_decode = msgspec.json.Decoder(_Numbered).decode  # made once: see sinks/storage/objects.py


def message_of(settings: Mqtt5Settings, body: bytes, headers: Mapping[str, str]) -> Message:
    """A delivery as it is published. The number stands in the event, too, where it is signed."""
    number = _decode(body).deliverynumber
    told = [(NUMBER_EXTENSION, number)] if number else []
    told += [(name, headers[name]) for name in CARRIED if name in headers]
    return Message(settings.topicname, body, CONTENT_TYPE, told, settings.retain, settings.expiry)


def client_id(subscription_id: UUID) -> str:
    """Of 23 letters and digits, which every broker takes (MQTT 5, 3.1.3.1)."""
    return f"dujiang{subscription_id.hex[:16]}"
