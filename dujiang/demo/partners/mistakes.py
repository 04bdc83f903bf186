"""Wrong on purpose: requests that the gateway refuses, and records that only quarantine can take."""

from collections.abc import Callable, Iterator
from typing import Any

from dujiang.demo.partners.acts import Stage, Straight, Wrong, bytes_of
from schemas.topics import PROJECT_EVENT

CARELESS = "/partners/careless-erp"


def wrong_events(stage: Stage, source: str) -> Iterator[Wrong]:
    """One mistake after the other, for ever."""
    faults: tuple[tuple[str, Callable[[dict[str, Any]], bytes]], ...] = (
        ("no time", lambda body: bytes_of({name: value for name, value in body.items() if name != "time"})),
        ("a type that nobody knows", lambda body: bytes_of(body | {"type": f"{stage.prefix}.research.project.finished.v1"})),
        ("a budget in words", lambda body: bytes_of(body | {"data": body["data"] | {"budget": "三十万元"}})),
        ("half a JSON object", lambda body: bytes_of(body)[:-20]),
        ("an event that only the platform publishes", lambda body: bytes_of(body | {"type": _timer_type(stage)})),
        ("an instant that is none", lambda body: bytes_of(body | {"time": "2026年3月1日"})),
    )
    while True:
        for why, spoil in faults:
            yield Wrong(why, spoil(_application(stage, source)))


def careless_records(stage: Stage) -> Iterator[Straight]:
    """Bad records for the projects' topic, for ever."""
    while True:
        body = _application(stage, CARELESS)
        for why, value in (
            ("not JSON", "项目编号;金额\n".encode("gb18030")),
            ("no id", bytes_of({name: value for name, value in body.items() if name != "id"})),
            ("data against the contract", bytes_of(body | {"data": {"title": 7}})),
            ("another topic's event", bytes_of(body | {"type": f"{stage.prefix}.research.call.closed.v1", "data": {}})),
        ):
            key = f"ERP-{stage.run}-{stage.draw.randrange(1_000)}"
            yield Straight(why, PROJECT_EVENT.name, key.encode(), value)


def _timer_type(stage: Stage) -> str:
    return f"{stage.prefix}.platform.timer.fired.v1"


def _application(stage: Stage, source: str) -> dict[str, Any]:
    data = {"call_id": "ZXQY-2026-1", "title": "申报书", "lead": "91340600MA2PENCC7K", "budget": 300_000}
    return stage.event(source, "research.application.submitted", f"ERR-{stage.run}", stage.clock.now(), data).body
