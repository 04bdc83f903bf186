"""Our AsyncAPI document in the eyes of AsyncAPI's own parser."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.topics import TOPICS

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
    assert set(result["channels"]) == {topic.name for topic in TOPICS.values()}


def test_parser_does_find_faults(gateway: Any, npm: Callable[[str, str], Path]) -> None:
    broken = gateway.get("/asyncapi.json").json
    del broken["info"]["version"]
    result = parsed(npm("@asyncapi/parser", "3.6.3"), broken)
    assert [one for one in result["found"] if one[0] == 0] != []
