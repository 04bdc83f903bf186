"""A partner by HTTP alone: subscribes, makes a secret, is delivered to, sees what was given up, has it sent again."""

import base64
import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import psycopg
import pytest

from dujiang.embedded.ports import free_port
from gateway.identity import Partner
from gateway.limits import Allowance
from gateway.partners import issue, put
from sinks.webhooks.signing import verifier_of
from tests.sinks.webhooks.conftest import ANNOUNCED, Post

pytestmark = pytest.mark.services


class Agency:
    """A partner with a token, at the gateway."""

    def __init__(self, post: Post, name: str, port: int) -> None:

        self.port = port
        self.openapi: dict[str, Any] = {}
        now = datetime.now(UTC)
        with psycopg.connect(post.stage.dsn) as connection, connection.cursor() as cursor:
            put(
                cursor,
                Partner(name, ("subscribe:gov.stiib.*",), (f"/partners/{name}",), Allowance(100, 1_000, 10_000)),
                name,
                "test",
                replace=False,
            )
            self.token = issue(cursor, name, [], now, now + timedelta(days=1), "test")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                status, content = answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            status, content = error.code, json.loads(error.read() or b"null")
        self._check(method, path.partition("?")[0], status, content)
        return status, content

    def publish(self, event: dict[str, Any]) -> tuple[int, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/events",
            json.dumps(event).encode(),
            {"authorization": f"Bearer {self.token}", "content-type": "application/cloudevents+json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def _check(self, method: str, path: str, status: int, content: Any) -> None:
        """The answer is one that the gateway's own description has."""
        if not self.openapi:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/openapi.json", timeout=20) as answer:
                self.openapi = json.loads(answer.read())
        [described] = [
            operations[method.lower()]["responses"][str(status)]
            for template, operations in self.openapi["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", template), path) and method.lower() in operations
        ]
        if "content" not in described:
            assert content is None
            return
        [media] = described["content"].values()
        schema = media["schema"] | {"components": self.openapi["components"]}
        jsonschema.Draft202012Validator(schema).validate(content)


def _is_open(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=2).close()
    except OSError:
        return False
    return True


def test_from_a_subscription_to_a_dead_letter_driven_again(post: Post) -> None:
    answers = {"e000001": [415]}
    endpoint = post.endpoint(lambda event: (answers.get(str(event["id"])) or [200]).pop(0))
    port = free_port()
    post.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    owner, stranger = Agency(post, "agency-1", port), Agency(post, "agency-2", port)
    status, made = owner.ask("POST", "/subscriptions", {"protocol": "HTTP", "sink": endpoint.url, "types": [ANNOUNCED]})
    assert (status, made["state"]) == (201, "pending_validation")
    at = f"/subscriptions/{made['id']}"

    status, secret = owner.ask("POST", f"{at}/secrets?kind=v1")
    assert (status, secret["version"], secret["kind"]) == (201, 1, "v1")
    verifier_of(secret["key"])
    endpoint.secret = base64.b64decode(secret["key"].removeprefix("whsec_"))
    status, asymmetric = owner.ask("POST", f"{at}/secrets?kind=v1a&overlap_h=0")
    status, listed = owner.ask("GET", f"{at}/secrets")
    assert [(row["version"], row["kind"], row["public_key"]) for row in listed["secrets"]] == [
        (1, "v1", None),
        (2, "v1a", asymmetric["key"]),
    ]
    assert secret["key"] not in json.dumps(listed)

    post.deliverer(gateway__auth="token")
    post.until(lambda: owner.ask("GET", at)[1]["state"] == "enabled")
    post.publish(3)
    post.until(lambda: len(endpoint.acknowledged) == 2)
    post.until(lambda: len(owner.ask("GET", f"{at}/dead-letters")[1]["dead_letters"]) == 1)
    [letter] = owner.ask("GET", f"{at}/dead-letters")[1]["dead_letters"]
    assert (letter["event_id"], letter["reason"], letter["status"]) == ("e000001", "unprocessable", 415)
    assert letter["first_failed_at"] == letter["last_failed_at"]  # one attempt
    answers.clear()
    assert owner.ask("POST", f"{at}/redrive?letter={letter['id']}") == (202, {"count": 1})
    post.until(lambda: len(endpoint.acknowledged) == 3)
    post.until(lambda: len(owner.ask("GET", f"{at}/attempts?event=e000001")[1]["attempts"]) == 2)
    trace = owner.ask("GET", f"{at}/attempts?event=e000001")[1]["attempts"]
    assert [(row["outcome"], row["number"]) for row in trace] == [
        ("dead_lettered", letter["number"]),
        ("acknowledged", letter["number"]),
    ]
    assert owner.ask("POST", f"{at}/replay?first=1&last=2") == (202, {"count": 2})
    post.until(lambda: len(endpoint.acknowledged) == 5)

    for method, path in (
        ("GET", "attempts"),
        ("GET", "dead-letters"),
        ("GET", "secrets"),
        ("POST", "secrets"),
        ("POST", "redrive"),
        ("POST", "replay?first=1&last=2"),
    ):
        status, problem = stranger.ask(method, f"{at}/{path}")
        assert (status, problem["type"].rpartition(":")[2]) == (404, "subscription_unknown"), path
    status, problem = owner.ask("POST", f"{at}/replay?first=3&last=1")
    assert (status, problem["errors"][0]["pointer"]) == (422, "/last")
    status, problem = owner.ask("POST", f"{at}/replay?first=0&last=x")
    assert (status, problem["type"].rpartition(":")[2]) == (422, "request_invalid")


def test_secrets_are_limited(post: Post) -> None:
    port = free_port()
    post.stage.gateway(port, gateway__auth="token")
    post.until(lambda: _is_open(port))
    owner = Agency(post, "agency-1", port)
    body = {"protocol": "HTTP", "sink": "https://a.example.org/", "types": [ANNOUNCED]}
    at = f"/subscriptions/{owner.ask('POST', '/subscriptions', body)[1]['id']}"
    statuses = [owner.ask("POST", f"{at}/secrets")[0] for _ in range(9)]
    assert statuses == [201] * 8 + [409]
