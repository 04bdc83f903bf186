"""`dujiang deliveries`: an operator sees what was not delivered, and has it sent again."""

from collections.abc import Callable
from typing import Any

import pytest

from sinks.webhooks.signing import verifier_of
from tests.conftest import Stage
from tests.sinks.webhooks.conftest import Post

Cli = Callable[..., Any]

pytestmark = pytest.mark.services


def test_from_a_dead_letter_to_its_delivery(stage: Stage, on_stage: Cli) -> None:
    post = Post(stage)
    answers = [415, 200]
    endpoint = post.endpoint(lambda _: answers.pop(0))
    subscription = str(post.subscribe(*endpoint.address))
    post.deliverer()
    post.publish(1)
    stage.until(lambda: stage.rows("SELECT count(*) FROM subscription_dead_letter") == [(1,)])
    [row] = on_stage("deliveries", "list", "--json").rows
    assert (row["subscription"], row["last_number"], row["waiting"], row["dead_letters"], row["state"]) == (
        subscription,
        1,
        0,
        1,
        "enabled",
    )
    [letter] = on_stage("deliveries", "letters", subscription, "--json").rows
    assert (letter["event_id"], letter["reason"], letter["status"]) == ("e000000", "unprocessable", 415)
    assert on_stage("deliveries", "redrive", subscription, "--letter", str(letter["id"])).out == "1 sent again\n"
    stage.until(lambda: len(endpoint.acknowledged) == 1)
    stage.until(lambda: stage.rows("SELECT count(*) FROM subscription_delivery") == [(0,)])
    trace = on_stage("deliveries", "trace", subscription, "--event", "e000000", "--json").rows
    assert [attempt["outcome"] for attempt in trace] == ["dead_lettered", "acknowledged"]
    said = on_stage("deliveries", "replay", subscription, "1", "3").out
    assert said == "1 sent again; the other 2 wait already, were not acknowledged, or are too old\n"
    endpoint.close()


def test_a_secret_is_shown_once_and_of_v1a_only_its_public_half(stage: Stage, on_stage: Cli) -> None:
    subscription = str(Post(stage).subscribe("https://a.example.org/", b"s" * 32))
    shared = on_stage("deliveries", "secret", subscription, "--json").rows[0]
    asymmetric = on_stage("deliveries", "secret", subscription, "--kind", "v1a").out.strip()
    assert (shared["version"], shared["key"][:6], asymmetric[:5]) == (2, "whsec_", "whpk_")
    verifier_of(shared["key"])
    verifier_of(asymmetric)
    held = stage.rows("SELECT kind, expires_at IS NULL FROM subscription_secret ORDER BY version")
    assert held == [("v1", False), ("v1", True), ("v1a", True)]
    assert on_stage("deliveries", "secret", subscription, "--kind", "v2").status == 2


def test_an_unknown_subscription_is_told(stage: Stage, on_stage: Cli) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    for command in (
        ("letters", unknown),
        ("trace", unknown),
        ("redrive", unknown),
        ("replay", unknown, "1", "2"),
        ("secret", unknown),
    ):
        said = on_stage("deliveries", *command)
        assert said.status == 1
        assert "dujiang deliveries list" in said.err
    assert on_stage("deliveries", "list").err.strip().endswith("nothing is delivered to anybody")
