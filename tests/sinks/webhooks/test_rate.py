"""The rate that an endpoint is asked to grant comes from the subscriber, who may write anything."""

from typing import Any

import pytest

from sinks.webhooks.handshake import rate_of


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
    assert rate_of(config) == rate
