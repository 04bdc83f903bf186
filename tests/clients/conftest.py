"""A gateway process that asks for tokens, a partner with token, key and subscription, and the clients in other languages."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.drivers import Driver, driver_of
from tests.gateway.signing import Signer

ROOT = Path(__file__).parents[2]
PARTNER = "institute-7"
AUDIENCE = "https://gateway.bureau.example"
CALL = "gov.stiib.research.call.announced.v1"


@dataclass
class Live:
    """Where the gateway answers, and what the partner proves itself by."""

    url: str
    token: str
    signer: Signer
    dujiang: Callable[..., subprocess.CompletedProcess[bytes]]
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def live(stage: Any, tmp_path: Path) -> Iterator[Live]:
    """`dujiang gateway` on the stage; the key `k-1` is registered."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
    environment |= {
        "DUJIANG_KAFKA__BOOTSTRAP": stage.bootstrap,
        "DUJIANG_DATABASE__DSN": stage.dsn,
        "DUJIANG_GATEWAY__AUTH": "token",
        "DUJIANG_GATEWAY__AUDIENCE": AUDIENCE,
    }

    def dujiang(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "dujiang", *arguments]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False)

    dujiang("partners", "add", PARTNER, "--name", "Institute 7", "--scope", "publish:gov.stiib.research.*")
    token = dujiang("partners", "token", PARTNER).stdout.decode().strip()
    signer = Signer(PARTNER)
    public = tmp_path / "public.pem"
    public.write_bytes(signer.public_pem())
    signer.kid = dujiang("partners", "keys", "add", PARTNER, str(public)).stdout.decode().strip()
    command = [sys.executable, "-u", "-m", "dujiang", "gateway", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().split()[-1]
        yield Live(
            url, token, signer, dujiang, {"GATEWAY": url, "TOKEN": token, "PARTNER": PARTNER, "PATH": os.environ["PATH"]}
        )
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture
def subscription(live: Live) -> str:
    """Of all announced calls, from now on."""
    scopes = ["--scope", "publish:gov.stiib.research.*", "--scope", "subscribe:gov.stiib.research.call.*"]
    live.dujiang("partners", "add", PARTNER, "--name", "Institute 7", *scopes, "--replace")
    body = json.dumps({"protocol": "PULL", "types": [CALL]}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {live.token}"}
    request = urllib.request.Request(f"{live.url}/subscriptions", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return str(json.load(answer)["id"])


@pytest.fixture(scope="session", params=["javascript", "java"])
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Each of the clients in another language; one process for all tests."""
    with driver_of(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running
