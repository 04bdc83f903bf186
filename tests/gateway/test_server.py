"""Where the gateway listens, and how it ends."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.errors import EnvironmentFault
from gateway.server import STOP_S, listening_address, serve

ROOT = Path(__file__).parents[2]
# A gateway whose Kafka takes its time for everything.
SLOW_GATEWAY = """
import asyncio, sys
from contextlib import asynccontextmanager
from prometheus_client import CollectorRegistry
from engine.clock import SystemClock
from gateway.app import create_app
from gateway.publisher import Acked
from gateway.server import run
from schemas.catalogue import default_registry

class Slow:
    async def publish(self, messages):
        print("publishing", flush=True)
        await asyncio.sleep(float(sys.argv[1]))
        return [Acked(message.topic, 0, 0) for message in messages]
    def failure(self):
        return None
    def reasons(self):
        return []

@asynccontextmanager
async def open_app():
    yield create_app(registry=default_registry(), publisher=Slow(), clock=SystemClock(), health=Slow())
    print("closed", flush=True)

run(open_app, on_listening=lambda address: print(address, flush=True))
"""


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")]
)
@pytest.mark.parametrize("has_identities", [True, False])
def test_loopback_is_taken(host: str, address: str, has_identities: bool) -> None:
    assert listening_address(host, has_identities=has_identities) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "169.254.169.254"])
def test_address_that_others_reach_is_refused_while_nobody_is_asked(host: str) -> None:
    with pytest.raises(EnvironmentFault, match="without partners' identities it listens on loopback only") as refused:
        listening_address(host, has_identities=False)
    assert "set gateway.auth to token" in refused.value.remedy
    assert "dujiang partners add" in refused.value.remedy


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_address_that_others_reach_is_taken_with_identities(host: str) -> None:
    assert listening_address(host, has_identities=True) == host


@pytest.mark.parametrize("has_identities", [True, False])
@pytest.mark.parametrize("host", ["bureau.example", "", "300.1.1.1"])
def test_what_is_no_address_is_refused(host: str, has_identities: bool) -> None:
    with pytest.raises(EnvironmentFault, match="that is no address"):
        listening_address(host, has_identities=has_identities)


def test_port_in_use_is_refused_although_it_could_be_shared() -> None:
    async def attempt(port: int) -> None:
        await serve(None, host="127.0.0.1", port=port, stop=asyncio.Event())

    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(EnvironmentFault, match="Address already in use"):
        asyncio.run(attempt(other.getsockname()[1]))


def test_open_websocket_does_not_hold_up_the_end() -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await asyncio.Event().wait()

    async def play() -> tuple[bool, float]:
        stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(endless, host="127.0.0.1", port=0, stop=stop, has_websockets=True, on_listening=address.set_result)
        )
        async with aiohttp.ClientSession() as session, session.ws_connect(await address) as socket:
            before_s = time.monotonic()
            stop.set()
            await serving
            took_s = time.monotonic() - before_s
            return (await socket.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, took_s

    was_closed, took_s = asyncio.run(play())
    assert was_closed
    assert took_s < STOP_S / 2


def test_second_gateway_on_the_same_port_is_refused(gateway: Any) -> None:
    async def attempt() -> None:
        await serve(None, host="127.0.0.1", port=gateway.port, stop=asyncio.Event())

    with pytest.raises(EnvironmentFault, match="Address already in use"):
        asyncio.run(attempt())


def test_sigterm_lets_the_request_in_flight_be_answered(event: Any) -> None:
    assert stopped_while_publishing(event(), kafka_takes_s=1) == ([202], 0, "closed\n", "")


@pytest.mark.slow
def test_request_that_takes_too_long_is_told_to_come_again(event: Any) -> None:
    assert stopped_while_publishing(event(), kafka_takes_s=60) == ([503], 0, "closed\n", "")


def stopped_while_publishing(event: dict[str, Any], kafka_takes_s: int) -> tuple[list[int], int, str, str]:
    """What the caller was answered, and how the process ended within ten seconds of SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_GATEWAY, str(kafka_takes_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    address = process.stdout.readline()
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(post(address, event)))
    caller.start()
    assert process.stdout.readline() == "publishing\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    caller.join()
    return answers, process.returncode, out, err


def post(address: str, event: dict[str, Any]) -> int:
    found = re.fullmatch(r"http://(.+):(\d+)\n", address)
    assert found
    connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=10)
    connection.request("POST", "/events", json.dumps(event), {"content-type": "application/cloudevents+json"})
    return connection.getresponse().status
