"""The rate that an endpoint is asked to grant comes from the subscriber, who may write anything."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from schemas.subscriptions import Subscription, begun
from sinks.webhooks.deliverer import _rate_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        ({}, None),
        ({"rate_per_min": 600}, 600),
        ({"rate_per_min": 0}, None),
        ({"rate_per_min": -1}, None),
        ({"rate_per_min": True}, None),
        ({"rate_per_min": "600"}, None),
        ({"rate_per_min": 10**12}, None),
    ],
)
def test_only_a_rate_that_the_rule_allows_is_asked_for(config: dict[str, Any], rate: int | None) -> None:
    made = Subscription(uuid4(), "a", "HTTP", begun("HTTP", "partner", NOW), NOW, NOW, config=config)
    assert _rate_of(made) == rate
