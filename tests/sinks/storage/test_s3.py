"""Deliveries into a store over real sockets: signed as it wants, sorted as the courier knows answers."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from engine.clock import SystemClock
from engine.subscriptions.secrets import Secret
from schemas.subscriptions import Subscription, begun
from sinks.storage.s3 import S3Transport
from sinks.webhooks.credentials import Credential, stored
from sinks.webhooks.destinations import Rules
from sinks.webhooks.handshake import Granted, Refused
from sinks.webhooks.schedule import Answer
from sinks.webhooks.sender import Sender
from tests.sinks.storage.store import ACCESS_KEY, REGION, SECRET_KEY, Store

T = TypeVar("T")

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
BODY = b'{"deliverynumber":"17","specversion":"1.0","id":"a/1","source":"/p","type":"t","time":"2026-03-02T08:00:00Z"}'
KEY = "events/2026/03/02/0000000000000000017-a~2F1.json"
HEADERS = {
    "webhook-id": "msg_1",
    "webhook-timestamp": "1772438400",
    "webhook-signature": "v1,A= v1a,B=",
    "Authorization": "Bearer x",
}


def held(secret: str = SECRET_KEY) -> list[Secret]:
    return [Secret(1, "plain", stored(Credential(identifier=ACCESS_KEY, secret=secret)))]


def subscription(url: str, **settings: Any) -> Subscription:
    status = begun("S3", "partner", NOW)
    return Subscription(uuid4(), "a", "S3", status, NOW, NOW, sink=url, protocolsettings={"region": REGION} | settings)


def run(store: Store, ask: Callable[[S3Transport], Awaitable[T]], *, networks: tuple[str, ...] = ("127.0.0.0/8",)) -> T:
    async def inside() -> T:
        rules = Rules(tuple(map(ipaddress.ip_network, networks)), is_plain_allowed=True, ports=frozenset({store.port}))
        sender = Sender(rules, SystemClock(), origin="dujiang.example.org")
        try:
            return await ask(S3Transport(sender, SystemClock()))
        finally:
            await sender.close()

    return asyncio.run(inside())


def posted(store: Store, *, secret: str = SECRET_KEY, url: str | None = None, **more: Any) -> Answer:
    made = subscription(url or store.url)
    return run(store, lambda transport: transport.open(made, held(secret)).post(url or store.url, BODY, HEADERS), **more)


def validated(store: Store, secret: str = SECRET_KEY, **settings: Any) -> Granted | Refused:
    made = subscription(store.url, **settings)
    return run(store, lambda transport: transport.validate(made, held(secret), None, None))


def test_an_event_becomes_an_object_with_number_and_signature_beside_it(store: Store) -> None:
    assert posted(store) == Answer("acknowledged", 200)
    assert store.objects == {KEY: BODY}
    assert store.told[KEY] == {name: HEADERS[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    assert store.refused == []


def test_a_repeat_overwrites_itself(store: Store) -> None:
    assert [posted(store).outcome, posted(store).outcome] == ["acknowledged"] * 2
    assert store.puts == [KEY, KEY]
    assert list(store.objects) == [KEY]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/bucket/events/", "HTTP://127.0.0.1:{port}/bucket/events"])
def test_what_is_signed_is_what_is_sent_however_the_sink_is_written(store: Store, url: str) -> None:
    assert posted(store, url=url.format(port=store.port)).outcome == "acknowledged"


def test_a_busy_store_slows_us_down(store: Store) -> None:
    store.answer = lambda _: 503
    assert posted(store) == Answer("throttled", 503, detail="SlowDown")


def test_a_wrong_key_blames_no_event_and_shows_nothing_of_the_answer_but_its_code(store: Store) -> None:
    assert posted(store, secret="wrong") == Answer("unauthorised", 403, detail="SignatureDoesNotMatch")


def test_an_inner_address_gets_nothing(store: Store) -> None:
    assert posted(store, networks=()) == Answer("destination", detail="address_private")
    assert (store.puts, store.refused) == ([], [])


def test_a_trial_object_that_is_taken_is_consent(store: Store) -> None:
    assert validated(store) == Granted(None)
    assert list(store.objects) == ["events/dujiang-trial.json"]
    assert store.refused == ["AccessDenied"]  # the stranger


def test_a_store_that_takes_anything_has_agreed_to_nothing(store: Store) -> None:
    store.is_open = True
    found = validated(store)
    assert isinstance(found, Refused)
    assert (found.reason, found.is_final) == ("anonymous_accepted", True)


@pytest.mark.parametrize(
    ("secret", "settings", "code"),
    [("wrong", {}, "SignatureDoesNotMatch"), (SECRET_KEY, {"region": "eu-central-1"}, "AuthorizationHeaderMalformed")],
)
def test_a_store_that_refuses_the_key_says_why(store: Store, secret: str, settings: dict[str, str], code: str) -> None:
    found = validated(store, secret, **settings)
    assert isinstance(found, Refused)
    assert (found.reason, found.is_final) == ("credential_refused", True)
    assert code in found.message
    assert SECRET_KEY not in found.message


def test_a_store_that_is_busy_is_asked_again(store: Store) -> None:
    store.answer = lambda _: 503
    assert validated(store) == Refused("trial_failed", "a trial message was not taken: HTTP 503, throttled (SlowDown)")
