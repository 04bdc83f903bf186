"""A partner from registration to its last token, by command, against a gateway process that others can reach."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
ROOT = Path(__file__).parents[2]
FRESH_S = 5.0
EVENT = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/partners/institute-7",
    "type": "gov.stiib.research.application.submitted.v1",
    "subject": "P-1",
    "time": "2026-01-01T00:00:00Z",
    "data": {"call_id": "C", "title": "水网", "lead": "ORG-1", "budget": 5},
}
ADD = ("partners", "add", "institute-7", "--name", "第七研究所", "--scope", "publish:gov.stiib.research.*")


def test_gateway_that_asks_nobody_does_not_start_where_others_reach_it(dujiang: Cli) -> None:
    addresses = {"kafka__bootstrap": "127.0.0.1:1", "database__dsn": "postgresql://nobody@127.0.0.1:1/none"}
    said = dujiang("gateway", "--port", "0", gateway__host="0.0.0.0", **addresses)
    assert (said.status, said.out) == (1, "")
    assert "without partners' identities it listens on loopback only" in said.err
    assert "set gateway.auth to token" in said.err
    assert "Traceback" not in said.err


def test_auth_is_none_or_token(dujiang: Cli) -> None:
    said = dujiang("settings", gateway__auth="off")
    assert said.status == 2
    assert "gateway.auth" in said.err


@pytest.mark.services
class TestOnServices:
    @pytest.fixture
    def gateway(self, stage: Any) -> Iterator[str]:
        """`dujiang gateway` on all addresses; where this machine reaches it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
        environment |= {
            "DUJIANG_KAFKA__BOOTSTRAP": stage.bootstrap,
            "DUJIANG_DATABASE__DSN": stage.dsn,
            "DUJIANG_GATEWAY__HOST": "0.0.0.0",
            "DUJIANG_GATEWAY__AUTH": "token",
        }
        command = [sys.executable, "-u", "-m", "dujiang", "gateway", "--port", "0"]
        with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            assert line.startswith("gateway  http://0.0.0.0:")
            yield f"http://127.0.0.1:{line.rpartition(':')[2]}"
            process.terminate()
            assert process.wait(20) == 0

    @pytest.fixture
    def refusing(self, stage: Any) -> Iterator[None]:
        """After the gateway has ended, what it refused last is stored."""
        yield
        kinds = stage.rows("SELECT partner, problem, events FROM v_partner_refusal ORDER BY 2")
        assert kinds == [("institute-7", "contract_broken", 1), ("institute-7", "right_missing", 2)]

    @pytest.mark.usefixtures("refusing")
    def test_what_a_partner_is_refused_is_counted_until_the_gateway_ends(self, gateway: str, stage: Any, on_stage: Cli) -> None:
        assert on_stage(*ADD).status == 0
        token = on_stage("partners", "token", "institute-7", "--json").rows[0]["token"]
        assert post(gateway, EVENT | {"source": "/partners/x"}, token)[0] == 403
        stage.until(lambda: stage.rows("SELECT events FROM v_partner_refusal") == [(1,)])
        assert post(gateway, EVENT | {"source": "/partners/x"}, token)[0] == 403
        assert post(gateway, EVENT | {"data": {}}, token)[0] == 422
        assert post(gateway, EVENT | {"data": {}}, None)[0] == 401

    def test_partner_publishes_once_and_is_shut_out_once_revoked(self, gateway: str, stage: Any, on_stage: Cli) -> None:
        assert on_stage(*ADD).status == 0
        token = on_stage("partners", "token", "institute-7", "--json").rows[0]
        before = sum(stage.ends().values())
        first, again = (post(gateway, EVENT, token["token"]) for _ in range(2))
        assert first[0] == 202
        assert again == first
        assert post(gateway, EVENT | {"subject": "P-2"}, token["token"])[0] == 409
        assert post(gateway, EVENT | {"source": "/partners/x"}, token["token"])[0] == 403
        assert post(gateway, EVENT, None)[0] == 401
        assert sum(stage.ends().values()) == before + 1
        stage.until(lambda: stage.rows("SELECT partner_id FROM partner_heard") == [("institute-7",)])
        assert on_stage("partners", "revoke", "institute-7", token["prefix"]).out == (
            f"institute-7: revoked {token['prefix']}\n"
        )
        time.sleep(FRESH_S)  # the gateway's own clock is the one that must be waited for
        assert post(gateway, EVENT, token["token"])[0] == 401

    def test_registering_below_another_partner_says_who_loses_what(self, on_stage: Cli) -> None:
        on_stage(*ADD)
        lab = ("partners", "add", "lab", "--name", "实验室", "--scope", "publish:*", "--source", "/partners/institute-7/lab")
        said = on_stage(*lab)
        assert said.status == 0
        assert "/partners/institute-7/lab of lab stands below /partners/institute-7 of institute-7" in said.err
        assert "institute-7 may not publish as it" in said.err
        twin = on_stage(
            "partners", "add", "twin", "--name", "Twin", "--scope", "publish:*", "--source", "/partners/institute-7"
        )
        assert (twin.status, twin.out) == (1, "")
        assert "is institute-7's already" in twin.err

    def test_token_is_shown_once_and_listed_by_its_beginning(self, on_stage: Cli) -> None:
        on_stage(*ADD)
        issued = on_stage("partners", "token", "institute-7")
        assert "it is shown only now" in issued.err
        listed = on_stage("partners", "list", "--json").rows
        assert [(row["partner"], row["name"], row["tokens"]) for row in listed] == [
            ("institute-7", "第七研究所", [issued.out[:11]])
        ]
        rotated = on_stage("partners", "rotate", "institute-7", issued.out[:11], "--overlap", "0", "--json").rows[0]
        states = {row["prefix"]: row["state"] for row in on_stage("partners", "list", "--tokens", "--json").rows}
        assert states == {issued.out[:11]: "expired", rotated["prefix"]: "in force"}
        shown = on_stage("partners", "list").out + on_stage("partners", "list", "--tokens").out
        assert issued.out[:11] in shown
        assert issued.out.strip() not in shown

    def test_rhythm_is_promised_listed_and_taken_back(self, on_stage: Cli, stage: Any) -> None:
        def listed() -> Any:
            [row] = on_stage("partners", "list", "--json").rows
            return row["promised_s"], row["heard_at"]

        assert "its first token: dujiang partners token institute-7" in on_stage(*ADD, "--every", "7d").out
        assert listed() == (604_800, None)
        stage.execute("INSERT INTO partner_heard VALUES ('institute-7', '2026-03-01T08:00:00Z')")
        assert on_stage(*ADD, "--replace").out == "institute-7 is changed; its tokens and keys stay\n"
        assert listed() == (None, "2026-03-01 08:00:00+00:00")
        assert "is no duration" in on_stage(*ADD, "--every", "daily").err
        assert "from a moment to 8784h" in on_stage(*ADD, "--every", "367d").err

    def test_what_cannot_be_is_refused_with_what_helps(self, on_stage: Cli) -> None:
        said = on_stage("partners", "token", "nobody")
        assert (said.status, said.out) == (1, "")
        assert "dujiang partners list" in said.err
        assert on_stage("partners", "list").err == "no partners; `dujiang partners add` registers one\n"


def post(gateway: str, event: dict[str, Any], token: str | None) -> tuple[int, Any]:
    headers = {"content-type": "application/cloudevents+json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"{gateway}/events", json.dumps(event).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
