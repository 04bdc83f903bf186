"""The lab: our own receiver passes every trial; one that is careless fails those and only those that it deserves."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dujiang.lab import trials
from dujiang.lab.listener import Behaviour, Heard, Listener, listen
from dujiang.lab.trials import Result, try_receiver
from sinks.webhooks.signing import new_secret, new_signing_key, sign, signer_of, verifier_of

ROOT = Path(__file__).parents[2]
Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "SLOW_PAUSE_S", 0.01)
    monkeypatch.setattr(trials, "ANSWER_S_MAX", 0.5)


def _against(app: web.Application, secret: str) -> list[Result]:
    async def run() -> list[Result]:
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return await try_receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", secret, "dujiang.example.org")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def _failed(results: list[Result]) -> set[str]:
    return {result.trial for result in results if not result.passed}


def _careless(answer: Callable[[web.Request], Awaitable[web.Response]], *, consents: bool = True) -> web.Application:
    async def consent(_: web.Request) -> web.Response:
        return web.Response(headers={"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"} if consents else {})

    app = web.Application(client_max_size=10 * 1_048_576)
    app.router.add_route("OPTIONS", "/hook", consent)
    app.router.add_post("/hook", answer)
    return app


def _listener(*texts: str, behaviour: Behaviour | None = None) -> tuple[web.Application, list[Heard]]:
    heard: list[Heard] = []
    return Listener([verifier_of(text) for text in texts], behaviour or Behaviour(), heard.append).app(), heard


def test_our_listener_passes_every_trial() -> None:
    secret = new_secret()
    app, heard = _listener(secret)
    results = _against(app, secret)
    assert _failed(results) == set()
    assert [result.trial for result in results] == ["handshake", *(trial.name for trial in trials.TRIALS), "put off", "in time"]
    assert [one.verdict for one in heard].count("repeat") == 1


def test_our_listener_passes_with_an_asymmetric_key() -> None:
    private = new_signing_key()
    app, _ = _listener(signer_of(private).public.text)  # type: ignore[union-attr]
    assert _failed(_against(app, private)) == set()


def test_a_receiver_that_takes_everything_fails_all_forgeries() -> None:
    async def take(_: web.Request) -> web.Response:
        return web.Response()

    forged = {"unsigned", "wrong signature", "changed body", "old timestamp", "early timestamp"}
    assert _failed(_against(_careless(take), new_secret())) == forged


def test_a_receiver_that_refuses_everything_fails_all_else() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    forged = {"unsigned", "wrong signature", "changed body", "old timestamp", "early timestamp"}
    app = _careless(refuse, consents=False)
    assert _failed(_against(app, new_secret())) == {"handshake", *(trial.name for trial in trials.TRIALS)} - forged


def test_a_receiver_that_only_fails_is_not_taken_for_one_that_refuses() -> None:
    async def fail(_: web.Request) -> web.Response:
        return web.Response(status=500)

    assert _failed(_against(_careless(fail), new_secret())) == {trial.name for trial in trials.TRIALS}


def test_a_receiver_that_works_before_it_answers_is_told() -> None:
    secret = new_secret()
    app, _ = _listener(secret, behaviour=Behaviour(delay_s=0.6))
    results = _against(app, secret)
    assert _failed(results) == {"in time"}
    assert "answer first" in results[-1].advice


def _limiting(rate_per_min: int, status: int, headers: dict[str, str], secret: str) -> tuple[web.Application, list[str]]:
    """Grants a rate, and answers with `status` what comes beyond it of the burst; the trials before are as many as they are."""
    bursts: list[str] = []
    checked, _ = _listener(secret)
    take = next(route.handler for route in checked.router.routes() if route.method == "POST")

    async def consent(_: web.Request) -> web.Response:
        return web.Response(headers={"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": str(rate_per_min)})

    async def answer(request: web.Request) -> web.StreamResponse:
        if b'"trial":"burst"' in await request.read():
            bursts.append(request.headers["webhook-id"])
            if len(bursts) > rate_per_min:
                return web.Response(status=status, headers=headers)
        return await take(request)

    app = web.Application(client_max_size=10 * 1_048_576)
    app.router.add_route("OPTIONS", "/hook", consent)
    app.router.add_post("/hook", answer)
    return app, bursts


@pytest.mark.parametrize(
    ("status", "headers", "failed", "part"),
    [
        (429, {"Retry-After": "5"}, set(), ""),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, set(), ""),
        (429, {}, {"put off"}, "add Retry-After"),
        (429, {"Retry-After": "soon"}, {"put off"}, "add Retry-After"),
        (429, {"Retry-After": "100000"}, {"put off"}, "beyond a day"),
        (500, {}, {"burst"}, ""),
        (410, {}, {"burst", "put off"}, "410 disables"),
    ],
)
def test_a_burst_above_the_granted_rate_may_be_put_off_and_nothing_else(
    status: int, headers: dict[str, str], failed: set[str], part: str
) -> None:
    secret = new_secret()
    app, bursts = _limiting(10, status, headers, secret)
    results = _against(app, secret)
    assert _failed(results) == failed
    assert len(set(bursts)) == 11
    [burst] = [result for result in results if result.trial == "burst"]
    assert burst.statuses == (200, status)
    assert part in next(result.advice for result in results if result.trial == "put off")


def test_nobody_there_fails_all_trials_and_ends() -> None:
    results = asyncio.run(try_receiver("http://127.0.0.1:1/", new_secret(), "dujiang.example.org"))
    assert _failed(results) == {result.trial for result in results} - {"put off", "in time"}


@pytest.mark.parametrize(
    ("behaviour", "statuses", "retry_after"),
    [
        (Behaviour(410), [410, 410], None),
        (Behaviour(429, retry_after_s=7), [429, 429], "7"),
        (Behaviour(500, every=2), [200, 500], None),
    ],
)
def test_the_listener_answers_as_it_is_told(behaviour: Behaviour, statuses: list[int], retry_after: str | None) -> None:
    secret = new_secret()
    body = b'{"specversion":"1.0","id":"1","source":"/a","type":"t"}'
    heard: list[Heard] = []

    async def run() -> list[tuple[int, str | None]]:
        stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
        listener = Listener([verifier_of(secret)], behaviour, heard.append)
        listening = asyncio.create_task(listen(listener, "127.0.0.1", 0, stop, url.set_result))
        found = []
        async with aiohttp.ClientSession() as session:
            for number in range(2):
                headers = sign([signer_of(secret)], f"msg_{number}", int(time.time()), body)
                async with session.post(await url, data=body, headers=headers) as answer:
                    found.append((answer.status, answer.headers.get("Retry-After")))
        stop.set()
        await listening
        return found

    found = asyncio.run(run())
    assert [status for status, _ in found] == statuses
    assert found[-1][1] == retry_after
    assert [one.status for one in heard] == statuses


def test_a_signed_body_that_is_no_event_is_refused() -> None:
    secret = new_secret()
    app, heard = _listener(secret)

    async def run() -> int:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        body = b"[]"
        headers = sign([signer_of(secret)], "msg_1", int(time.time()), body)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{runner.addresses[0][1]}/", data=body, headers=headers) as answer,
        ):
            status = answer.status
        await runner.cleanup()
        return status

    assert asyncio.run(run()) == 400
    assert [one.verdict for one in heard] == ["not_an_object"]


# --- by command ---


@pytest.fixture
def listening() -> Iterator[tuple[str, str]]:
    """`dujiang lab listen` as a process: (its URL, its secret)."""
    command = [sys.executable, "-u", "-m", "dujiang", "lab", "listen", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        secret = process.stderr.readline().split()[1]
        url = process.stderr.readline().split()[1]
        yield url, secret
        process.terminate()


def test_the_commands_meet(dujiang: Cli, listening: tuple[str, str]) -> None:
    url, secret = listening
    said = dujiang("lab", "receiver", url, "--secret", secret, "--json")
    assert said.status == 0, said.err
    rows = [json.loads(row) for row in said.out.splitlines()]
    assert len(rows) == len(trials.TRIALS) + 3
    assert all(row["passed"] is True for row in rows)
    table = dujiang("lab", "receiver", url, "--secret", new_secret())
    assert table.status == 1
    assert "NO" in table.out
    assert "check the secret on both sides" in table.err


def test_a_secret_that_is_none_is_not_repeated(dujiang: Cli) -> None:
    for command in (("receiver", "http://127.0.0.1:1/"), ("listen", "--port", "0")):
        said = dujiang("lab", *command, "--secret", "hunter2")
        assert said.status == 2
        assert "whsec_" in said.err
        assert "hunter2" not in said.err + said.out
