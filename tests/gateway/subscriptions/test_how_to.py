"""What docs/how-to/subscribe.md shows runs as it stands, block after block."""

import http.client
import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Stage

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "subscribe.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_page_runs(stage: Stage) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stage.gateway(port)
    stage.until(lambda: _answers(port))
    blocks = [block for block in BLOCK.findall(PAGE.read_text()) if "curl" in block]
    script = "\n".join(f"{block}\necho; echo ====" for block in blocks).replace("127.0.0.1:8600", f"127.0.0.1:{port}")
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    made, rehearsed, read, streamed, ended = ran.stdout.split("====")[:5]
    assert json.loads(made)["state"] == "enabled"
    assert json.loads(rehearsed)["looked_at"]["is_complete"] is True
    receipt, second = (json.loads(line) for line in _lines(read))
    assert receipt["receipts"][0]["id"] == "s-1"
    assert [event["id"] for event in json.loads(ran.stderr.splitlines()[-1])["events"]] == ["s-1"]
    assert second["events"] == []
    assert streamed.strip() == "retry: 3000"
    assert [json.loads(line)["state"] for line in _lines(ended)] == ["paused", "enabled"]


def _lines(text: str) -> list[str]:
    """Answers stand one behind the other, without line ends."""
    return text.strip().replace("}{", "}\n{").splitlines()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
