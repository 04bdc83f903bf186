"""The OpenAPI says of subscribers' addresses all that they may answer."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.subscriptions.callbacks import Callbacks
from gateway.subscriptions.deliveries import Deliveries
from gateway.subscriptions.description import schemas
from gateway.subscriptions.kinds import GATEWAY_ENDING, SUBSCRIPTION_KINDS
from gateway.subscriptions.requests import READ_ONLY, SubscriptionBody
from gateway.subscriptions.service import SubscriptionService


@pytest.fixture
def document(serve_gateway: Callable[..., Any], fake_publisher: Any, memory_log: Any, registry: Any, directory: Any) -> Any:
    service = SubscriptionService(log=memory_log, subscriptions=None, registry=registry, clock=directory.clock)  # type: ignore[arg-type]
    deliveries = Deliveries(None, directory.clock)  # type: ignore[arg-type]
    callbacks = Callbacks(None, directory.clock)  # type: ignore[arg-type]
    served = serve_gateway(fake_publisher, subscriptions=service, deliveries=deliveries, callbacks=callbacks)
    return served.get("/openapi.json").json


def test_every_address_is_described_with_its_token(document: Any) -> None:
    operations = {
        (method, path): operation
        for path, item in document["paths"].items()
        if path.startswith("/subscriptions")
        for method, operation in item.items()
    }
    assert sorted(operations) == [
        ("delete", "/subscriptions/{subscription_id}"),
        ("delete", "/subscriptions/{subscription_id}/oauth2"),
        ("get", "/subscriptions"),
        ("get", "/subscriptions/notices"),
        ("get", "/subscriptions/{subscription_id}"),
        ("get", "/subscriptions/{subscription_id}/attempts"),
        ("get", "/subscriptions/{subscription_id}/dead-letters"),
        ("get", "/subscriptions/{subscription_id}/events"),
        ("get", "/subscriptions/{subscription_id}/secrets"),
        ("get", "/subscriptions/{subscription_id}/stream"),
        ("post", "/subscriptions"),
        ("post", "/subscriptions/rehearse"),
        ("post", "/subscriptions/{subscription_id}/pause"),
        ("post", "/subscriptions/{subscription_id}/redrive"),
        ("post", "/subscriptions/{subscription_id}/replay"),
        ("post", "/subscriptions/{subscription_id}/resume"),
        ("post", "/subscriptions/{subscription_id}/secrets"),
        ("put", "/subscriptions/{subscription_id}"),
        ("put", "/subscriptions/{subscription_id}/credential"),
        ("put", "/subscriptions/{subscription_id}/oauth2"),
    ]
    assert all(operation["security"] == [{"token": []}, {"signed": []}, {}] for operation in operations.values())


def test_every_reference_leads_somewhere(document: Any) -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert named - document["components"]["schemas"].keys() == set()


def test_every_kind_of_problem_is_named_where_it_may_be_met(document: Any) -> None:
    told = json.dumps(document["paths"])
    assert [kind.slug for kind in SUBSCRIPTION_KINDS if f"`{kind.slug}`" not in told] == [GATEWAY_ENDING.slug]


def test_what_is_ours_in_an_answer_may_be_sent_back() -> None:
    shown = schemas()["Subscription"]["properties"].keys()
    assert shown - SubscriptionBody.model_fields.keys() == READ_ONLY
