"""The examples of clients/examples, each run as its reader would."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import AUDIENCE, ROOT

EXAMPLES = ROOT / "clients" / "examples"
CLIENT = ROOT / "clients" / "python" / "src"

pytestmark = pytest.mark.services


def run(command: list[str | Path], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=60, check=False)


def receipt_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    (receipt,) = json.loads(done.stdout)["receipts"]
    return dict(receipt)


def test_curl(live: Any, stage: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    first = receipt_of(run([EXAMPLES / "publish.sh"], **live.environment))
    again = receipt_of(run([EXAMPLES / "publish.sh"], **live.environment))
    assert (first["id"], first["topic"]) == ("curl-1", "research.project.event")
    assert again == first


def test_curl_says_what_is_wrong(live: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    done = run([EXAMPLES / "publish.sh"], **(live.environment | {"PARTNER": "institute-8"}))
    assert done.returncode == 22
    assert json.loads(done.stdout)["errors"][0]["reason"] == "source_not_granted"


@pytest.mark.parametrize("way", ["token", "key"])
def test_python(live: Any, tmp_path: Path, way: str) -> None:
    environment = live.environment | {"PYTHONPATH": str(CLIENT)}
    if way == "key":
        del environment["TOKEN"]
        (tmp_path / "key.pem").write_bytes(live.signer.pem())
        environment |= {"KEY": str(tmp_path / "key.pem"), "KID": live.signer.kid, "AUDIENCE": AUDIENCE}
    done = run([sys.executable, EXAMPLES / "publish_python.py"], **environment)
    assert done.returncode == 0, done.stderr
    assert "topic='research.project.event'" in done.stdout


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_cloudevents_sdk_for_javascript(live: Any, tmp_path: Path, npm: Callable[[str, str], Path], mode: str) -> None:
    package = npm("cloudevents", "10.0.0")
    # Node looks for packages beside the script.
    script = tmp_path / "publish.mjs"
    shutil.copy(EXAMPLES / "publish.mjs", script)
    (tmp_path / "node_modules").symlink_to(package / "node_modules")
    receipt = receipt_of(run(["node", script], **live.environment, MODE=mode))
    assert (receipt["id"], receipt["topic"]) == (f"js-{mode}", "research.project.event")


def test_binary_and_structured_event_of_the_sdk_are_one(live: Any, tmp_path: Path, npm: Callable[[str, str], Path]) -> None:
    """The same event in another mode gets the first receipt: both were read alike, Chinese title and time included."""
    package = npm("cloudevents", "10.0.0")
    script = tmp_path / "publish.mjs"
    script.write_text((EXAMPLES / "publish.mjs").read_text().replace('`js-${MODE ?? "binary"}`', '"js"'))
    (tmp_path / "node_modules").symlink_to(package / "node_modules")
    first, again = (receipt_of(run(["node", script], **live.environment, MODE=mode)) for mode in ("binary", "structured"))
    assert first == again
