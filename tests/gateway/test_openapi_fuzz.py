"""The gateway tried by its own description: whatever is sent, each answer is one that the OpenAPI has, and never a 500."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.alertmanager.router import router
from connectors.alertmanager.settings import AlertmanagerSettings
from dujiang.gateway import all_or_fault
from engine.clock import FakeClock, SystemClock
from engine.kafka import Publisher
from engine.options import KafkaOptions
from gateway.publisher import AsyncPublisher
from gateway.receipts import Receipts
from gateway.signatures import Signatures
from monitoring.metrics import AlertmanagerMetrics
from schemas.catalogue import default_registry
from tests.gateway.signing import AUDIENCE

RUN_S = 25
RUN_S_MAX = 60
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.parametrize("asks", [False, True], ids=["open", "token"])
def test_every_answer_is_described_and_none_is_a_500(
    asks: bool,
    kafka: Any,
    serve_gateway: Callable[..., Any],
    directory: Any,
    keys: Any,
    replays: Any,
    memory_receipts: Any,
    clock: FakeClock,
    tmp_path: Path,
) -> None:
    publisher = AsyncPublisher(Publisher(KafkaOptions(kafka.bootstrap)))
    hooks = router(
        all_or_fault(publisher),
        default_registry(),
        AlertmanagerSettings(),
        SystemClock(),
        AlertmanagerMetrics(CollectorRegistry()),
    )
    options: dict[str, Any] = {"routers": [hooks], "receipts": Receipts(memory_receipts)}
    headers = []
    if asks:
        options |= {"directory": directory, "signatures": Signatures(keys, replays, clock, AUDIENCE)}
        token = directory.register("institute-7", "publish:*", "subscribe:*", "call:/*")
        headers = ["--header", f"Authorization: Bearer {token}"]
    gateway = serve_gateway(publisher, **options)
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"http://{gateway.host}:{gateway.port}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-time", str(RUN_S), "--generation-database", "none", "--seed", "1"),
            *headers,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    operations = sum(len(item) for item in gateway.get("/openapi.json").json["paths"].values())
    assert f"Tested: {operations}\n" in done.stdout
    # Otherwise only refusals would have been tried.
    if not asks:
        counted = re.search(
            r"^dujiang_gateway_accepted_events_total (\S+)$", gateway.get("/metrics").body.decode(), re.MULTILINE
        )
        assert counted is not None
        assert float(counted[1]) > 0
