"""Our AsyncAPI document in the eyes of AsyncAPI's own parser."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from schemas.catalogue import default_registry
from schemas.cloudevents import json_format
from schemas.subscriptions import Place, Subscription, begun
from schemas.subscriptions.snapshot import Snapshot, watermark
from schemas.topics import TOPICS

NOW = datetime(2026, 3, 2, tzinfo=UTC)

# The parser answers with what it found: severity 0 is an error, 1 a warning.
SCRIPT = """
const { Parser } = require("@asyncapi/parser");
const text = require("fs").readFileSync(0, "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
  const found = diagnostics.map((one) => [one.severity, String(one.code), one.path.join("/"), one.message]);
  const channels = document ? document.channels().all().map((channel) => channel.address()) : null;
  console.log(JSON.stringify({ found, channels, version: document && document.version() }));
});
"""


def parsed(folder: Path, document: Any) -> Any:
    done = subprocess.run(
        ["node", "-e", SCRIPT],
        input=json.dumps(document),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_asyncapis_own_parser_finds_no_fault_and_every_topic(gateway: Any, npm: Callable[[str, str], Path]) -> None:
    answer = gateway.get("/asyncapi.json")
    result = parsed(npm("@asyncapi/parser", "3.6.3"), answer.json)
    assert [one for one in result["found"] if one[0] <= 1] == []
    subscribed = {None, "/subscriptions/{subscriptionId}/stream"}
    assert set(result["channels"]) == {topic.name for topic in TOPICS.values()} | subscribed


def test_every_message_of_a_channel_is_there_and_the_watermark_is_as_it_is_sent(gateway: Any) -> None:
    document = gateway.get("/asyncapi.json").json
    messages = document["components"]["messages"]
    for name in ("webhook", "mqtt", "stream"):
        refs = [one["$ref"].rpartition("/")[2] for one in document["channels"][name]["messages"].values()]
        assert set(refs) <= set(messages)
        assert len(refs) == len(default_registry().contracts) + 1
    made = Subscription(uuid4(), "a", "PULL", begun("PULL", "partner", NOW), NOW, NOW)
    event = watermark(made, Snapshot({Place("research.call.event", 0): 7}, {}), "gov.stiib")
    numbered_event = json.loads(json_format.encode(event)) | {"deliverynumber": "3"}
    schema = messages[f"{event.type}.webhook"]["payload"] | {"components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(numbered_event)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(numbered_event | {"data": {}})


def test_parser_does_find_faults(gateway: Any, npm: Callable[[str, str], Path]) -> None:
    broken = gateway.get("/asyncapi.json").json
    del broken["info"]["version"]
    result = parsed(npm("@asyncapi/parser", "3.6.3"), broken)
    assert [one for one in result["found"] if one[0] == 0] != []
