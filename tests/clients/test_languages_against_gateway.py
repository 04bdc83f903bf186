"""The clients in JavaScript and Java against a gateway process."""

from typing import Any

import pytest

from tests.clients.conftest import AUDIENCE, CALL, PARTNER
from tests.clients.drivers import Driver, Failure
from tests.clients.test_against_gateway import DATA
from tests.clients.test_pull import DATA as CALL_DATA

pytestmark = pytest.mark.services


def event(**changes: Any) -> dict[str, Any]:
    members = {
        "type": "gov.stiib.research.application.submitted.v1",
        "source": f"/partners/{PARTNER}",
        "subject": "P-1",
        "data": DATA,
    }
    return members | changes


def test_partner_publishes_and_is_told_what_is_wrong_and_reads_on(live: Any, driver: Driver, subscription: str) -> None:
    """One gateway for both, since to start one takes longer than all that is asked of it."""
    client = {"gateway": live.url, "token": live.token}
    publishes(live, driver, client)
    reads(driver, client, subscription)


def publishes(live: Any, driver: Driver, client: dict[str, Any]) -> None:
    one = event(id="e-1", time="2026-03-01T08:00:00.25Z")
    receipt = driver.ask("publish", client=client, event=one).value
    assert (receipt["id"], receipt["topic"]) == ("e-1", "research.project.event")
    assert driver.ask("publish", client=client, event=one).value == receipt
    with pytest.raises(Failure, match="Refused: 409 event_conflict"):
        driver.ask("publish", client=client, event=one | {"subject": "P-2"})

    faulty = event(data=DATA | {"budget": "much"})
    with pytest.raises(Failure, match="Refused: 422") as refused:
        driver.ask("publish", client=client | {"language": "zh"}, event=faulty)
    (fault,) = refused.value.faults
    assert fault["pointer"] == "/data/budget"
    assert not fault["detail"].isascii()

    sound, broken = driver.ask("publish_all", client=client, events=[event(id="e-2"), faulty]).value
    assert (sound["id"], sound["faults"]) == ("e-2", [])
    assert [fault["pointer"] for fault in broken["faults"]] == ["/data/budget"]
    outcomes = driver.ask("publish_all", client=client, events=[event(subject=f"P-{number}") for number in range(20)]).value
    assert all("receipt" in outcome for outcome in outcomes)

    signer = {"partner": PARTNER, "kid": live.signer.kid, "pem": live.signer.pem().decode(), "audience": AUDIENCE, "scopes": []}
    assert driver.ask("publish", client={"gateway": live.url, "signer": signer}, event=one).value == receipt
    narrow = signer | {"scopes": ["publish:gov.stiib.research.call.*"]}
    with pytest.raises(Failure, match="Refused: 403") as refused:
        driver.ask("publish", client={"gateway": live.url, "signer": narrow}, event=one)
    assert [fault["reason"] for fault in refused.value.faults] == ["type_not_granted"]


def reads(driver: Driver, client: dict[str, Any], subscription: str) -> None:
    """Every event comes once, and reading goes on from a stored cursor."""

    def publish(*subjects: str) -> None:
        events = [event(type=CALL, subject=subject, data=CALL_DATA) for subject in subjects]
        driver.ask("publish_all", client=client, events=events)

    reading = {"client": client, "subscription": subscription, "wait_s": 5}
    calls = [f"C-{number}" for number in range(5)]
    publish(*calls)
    pages = driver.ask("pages", count=3, limit=2, **reading).value
    assert sorted(one["subject"] for page in pages for one in page["events"]) == calls
    assert {one["data"]["title"] for page in pages for one in page["events"]} == {CALL_DATA["title"]}
    publish("C-9")
    page = driver.ask("pull", cursor=pages[-1]["cursor"], limit=9, **reading).value
    assert [one["subject"] for one in page["events"]] == ["C-9"]
    with pytest.raises(Failure, match="Refused: 400 cursor_invalid"):
        driver.ask("pull", cursor="made-up", limit=9, **reading)
