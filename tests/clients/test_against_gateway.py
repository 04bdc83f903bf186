"""The client against a gateway process, and as a partner installs it: into an environment that has nothing else."""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from dujiang_client import Accepted, Client, Event, Refused, Rejected, Retries, Signer

from tests.clients.conftest import AUDIENCE, PARTNER, ROOT

pytestmark = pytest.mark.services

DATA = {"call_id": "C-1", "title": "水泵", "lead": "Institute 7", "budget": 500_000}
SCRIPT = """
import sys
from dujiang_client import Client, Event, SignatureInvalid, verify
client = Client(sys.argv[1], sys.argv[2])
event = Event("gov.stiib.research.application.submitted.v1", "/partners/institute-7", "P-venv",
              {"call_id": "C-1", "title": "t", "lead": "l", "budget": 1})
assert client.publish(event) == client.publish(event)
try:
    verify(b"{}", {}, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
except SignatureInvalid as refused:
    print(refused)
try:
    verify(b"{}", {}, "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
except ModuleNotFoundError as missing:
    print(missing)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"httpx", "cryptography", "pydantic", "dujiang"}))
"""


def event(**changes: Any) -> Event:
    members = {
        "type": "gov.stiib.research.application.submitted.v1",
        "source": f"/partners/{PARTNER}",
        "subject": "P-1",
        "data": DATA,
    }
    return Event(**(members | changes))


def signer_of(live: Any, **changes: Any) -> Signer:
    members = {"partner": PARTNER, "kid": live.signer.kid, "private_key": live.signer.pem(), "audience": AUDIENCE}
    return Signer(**(members | changes))


def test_partner_publishes_by_its_key_until_that_is_revoked(live: Any, stage: Any) -> None:
    client = Client(live.url, signer_of(live))
    one = event()
    assert client.publish(one) == client.publish(one)
    outcomes = client.publish_all([event(subject=f"P-{number}") for number in range(20)])
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    listed = live.dujiang("partners", "keys", "list", "--json").stdout.decode()
    assert '"in force"' in listed
    assert live.dujiang("partners", "keys", "revoke", PARTNER, live.signer.kid).returncode == 0

    def refusal() -> str:
        try:
            client.publish(event())
        except Refused as refused:
            return refused.problem.kind
        return ""

    stage.until(lambda: refusal() == "signed_token_invalid", 10)


def test_narrow_token_and_foreign_audience_are_refused_with_the_reason(live: Any) -> None:
    with pytest.raises(Refused) as narrow:
        Client(live.url, signer_of(live, scopes=("publish:gov.stiib.research.call.*",))).publish(event())
    assert [fault.reason for fault in narrow.value.problem.faults] == ["type_not_granted"]
    with pytest.raises(Refused) as foreign:
        Client(live.url, signer_of(live, audience="https://other.example"), language="zh").publish(event())
    (fault,) = foreign.value.problem.faults
    assert (fault.reason, fault.detail) == ("aud_wrong", f"aud 应为 {AUDIENCE}，且不得另有其他值")


def test_batch_with_faulty_events_tells_each_what_is_wrong(live: Any) -> None:
    faulty = event(data=DATA | {"budget": "much"})
    outcomes = Client(live.url, live.token).publish_all([event(), faulty])
    assert [isinstance(outcome, Rejected) for outcome in outcomes] == [True, True]
    sound, broken = outcomes
    assert isinstance(sound, Rejected)
    assert isinstance(broken, Rejected)
    assert (sound.faults, [fault.pointer for fault in broken.faults]) == ((), ["/data/budget"])


def test_conflicting_event_is_refused_at_once(live: Any) -> None:
    client = Client(live.url, live.token, retries=Retries(attempts=1))
    one = event()
    client.publish(one)
    with pytest.raises(Refused, match="409 event_conflict"):
        client.publish(event(id=one.id, subject="P-2"))


def test_command_signs_a_token_for_curl(live: Any, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(live.signer.pem())
    options = ["--partner", PARTNER, "--kid", live.signer.kid, "--key", str(key), "--audience", AUDIENCE]
    command = [sys.executable, "-m", "dujiang_client", "token", *options]
    environment = {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}
    token = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert Client(live.url, token, retries=Retries(attempts=1)).publish(event()).topic == "research.project.event"
    with pytest.raises(Refused, match="came before"):
        Client(live.url, token, retries=Retries(attempts=1)).publish(event())


def test_client_works_in_an_environment_that_has_nothing_else(live: Any, tmp_path: Path) -> None:
    build = "import hatchling.build as build, sys; print(build.build_wheel(sys.argv[1]))"
    source = ROOT / "clients" / "python"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    built = subprocess.run([sys.executable, "-c", build, str(wheels)], cwd=source, capture_output=True, text=True, check=True)
    wheel = wheels / built.stdout.strip().splitlines()[-1]
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(install, check=True, capture_output=True)
    script = tmp_path / "partner.py"
    script.write_text(SCRIPT)
    done = subprocess.run([python, script, live.url, live.token], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "the header webhook-id is missing",
        "whpk_ keys need a library: pip install 'dujiang-client[cryptography]'",
        "[]",
    ]
    typed = python.parent.parent.glob("lib/python*/site-packages/dujiang_client/py.typed")
    assert len(list(typed)) == 1
