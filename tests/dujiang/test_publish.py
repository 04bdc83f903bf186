"""A file of events goes out batch by batch, and ends between two of them when it is asked to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dujiang import publish
from engine.kafka import Message
from engine.works import WorkStopped
from schemas.catalogue import default_registry


class Taken:
    """What would be on Kafka."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.batches.append([message.key for message in messages])


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(publish, "AT_ONCE_MAX", 2)
    event: dict[str, Any] = {"specversion": "1.0", "source": "/partners/a", "type": "gov.stiib.research.review.started.v1"}
    event |= {"time": "2026-01-01T00:00:00Z", "data": {}}
    return [json.dumps(event | {"id": f"e{number}", "subject": f"P-{number}"}) for number in range(5)]


def _published(path: Path, reached: Any) -> tuple[Taken, Any]:
    taken = Taken()
    refused = list[int]()
    try:
        told: Any = publish.publish_file(path, taken, default_registry(), lambda place, _: refused.append(place), reached)  # type: ignore[arg-type]
    except WorkStopped as stopped:
        told = stopped
    return taken, told


def test_progress_counts_what_was_looked_at_once_it_is_acknowledged(lines: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join((lines[0], "no event", *lines[1:])))
    steps = list[int]()
    taken, told = _published(file, steps.append)
    assert told == (5, 1)
    assert steps == [3, 5, 6]
    assert taken.batches == [[b"P-0", b"P-1"], [b"P-2", b"P-3"], [b"P-4"]]


def test_what_is_stopped_has_published_whole_batches(lines: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(f"[{','.join(lines)}]")
    assert publish.is_array(file)

    def stop(done: int) -> None:
        if done >= 4:
            raise WorkStopped("li", done, None)

    taken, told = _published(file, stop)
    assert (told.by, told.done) == ("li", 4)
    assert taken.batches == [[b"P-0", b"P-1"], [b"P-2", b"P-3"]]
