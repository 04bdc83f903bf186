"""The run of a file connector on a real PostgreSQL; what is published is kept in memory."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psycopg
import pytest

from engine import failpoints, filedrop
from engine.errors import TransientFault
from engine.filedrop import Finding, Mapped, Refused, Report, Taken, event_id, run_file
from engine.filedrop.report import REPORT_ROWS_MAX
from engine.kafka import Message
from schemas import platform
from schemas.cloudevents import CloudEvent, kafka_binding
from schemas.contract import Contract, Data, Fact, Key, instant_text
from schemas.registry import Registry
from schemas.topics import CALL_EVENT

pytestmark = pytest.mark.services


class Seen(Data):
    word: Key


REGISTRY = Registry([Contract("test.thing.seen", 1, Seen, (CALL_EVENT,)), *platform.CONTRACTS])


class Things:
    """A connector of the test's own: lines `key word`; a `!` is refused, the file's name ends with its day."""

    source = "/connectors/things"
    account = "things"
    suffixes = (".txt",)

    def time_of(self, path: Path) -> datetime:
        return datetime.fromisoformat(path.stem[-10:]).replace(tzinfo=UTC)

    def open(self, path: Path) -> "ThingsDrop":
        if path.read_text().startswith("#"):
            raise filedrop.FileRefused("columns_missing", "no columns")
        return ThingsDrop(path, self.time_of(path))


class ThingsDrop:
    def __init__(self, path: Path, time: datetime) -> None:
        self._path, self._time = path, time

    def taken(self) -> Iterator[Taken]:
        for row, line in enumerate(self._path.read_text().splitlines(), start=1):
            key, _, word = line.partition(" ")
            yield Taken(row, self._time, self._outcome(key, word), line)

    def closing(self) -> Sequence[Finding]:
        return (Finding("file_seen", "info", "the file was seen"),)

    def _outcome(self, key: str, word: str) -> Mapped | Refused:
        if word == "!":
            return Refused("word_bad", "the word is bad", "/word", word, key)
        digest = event_id(key, word)
        identity = event_id(digest, instant_text(self._time))
        return Mapped(key, digest, (Fact("test.thing.seen", identity, Things.source, key, self._time, {"word": word}),))


class Memory:
    """An outbox that keeps all."""

    def __init__(self) -> None:
        self.events: list[CloudEvent] = []

    def publish(self, messages: Sequence[Message]) -> None:
        self.events += [kafka_binding.decode(message.headers, message.value) for message in messages]

    def of(self, name: str) -> list[CloudEvent]:
        return [event for event in self.events if event.type == REGISTRY.wire_type(name)]

    def told(self, name: str, member: str) -> list[str]:
        return [cast(dict[str, str], event.data)[member] for event in self.of(name)]

    @property
    def words(self) -> list[str]:
        return self.told("test.thing.seen", "word")

    @property
    def rules(self) -> list[str]:
        return self.told("platform.finding.reported", "rule")


class Bench:
    """A connector with books of its own, run on files that the test writes."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn, self.folder, self.things = dsn, folder, Things()
        self.lines: list[dict[str, object]] = []

    def file(self, text: str, day: str = "2024-01-01", name: str = "things") -> Path:
        path = self.folder / f"{name}-{day}.txt"
        path.write_text(text)
        return path

    def run(self, path: Path, outbox: Memory | None = None, rows: int = 2, *, again: bool = False) -> Report:
        return run_file(
            self.things,
            path,
            publisher=outbox or Memory(),
            connect=lambda: psycopg.connect(self.dsn),
            registry=REGISTRY,
            options=filedrop.Options(batch_rows_max=rows, again=again),
            refused_to=self.lines.append if self.lines else None,
        )


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    return Bench(database, tmp_path)


def counts(report: Report) -> tuple[int, int, int, dict[str, int]]:
    assert report.read == report.published + report.unchanged + report.refused.total()
    return report.read, report.published, report.unchanged, dict(report.refused)


def test_every_row_is_published_and_every_refused_one_told(bench: Bench) -> None:
    outbox = Memory()
    report = bench.run(bench.file("a one\nb !\nc three\n"), outbox)
    assert counts(report) == (3, 2, 0, {"word_bad": 1})
    assert outbox.words == ["one", "three"]
    assert outbox.rules == ["word_bad", "file_seen"]
    places = [(row["row"], row["key"], row["reason"], row["pointer"]) for row in report.rows]
    assert places == [(2, "b", "word_bad", "/word")]


def test_refused_row_is_a_finding_about_its_entity(bench: Bench) -> None:
    outbox = Memory()
    bench.run(bench.file("b !\n"), outbox)
    finding = outbox.of("platform.finding.reported")[0]
    assert (finding.subject, finding.source) == ("b", "/connectors/things")
    assert finding.data == {
        "rule": "word_bad",
        "severity": "error",
        "message": "the word is bad",
        "pointer": "/word",
        "value": "!",
    }


def test_same_content_under_another_name_publishes_nothing(bench: Bench) -> None:
    text = "a one\nb !\nc three\n"
    bench.run(bench.file(text))
    outbox = Memory()
    report = bench.run(bench.file(text, day="2024-02-01"), outbox)
    assert counts(report) == (3, 0, 2, {"word_bad": 1})
    assert outbox.events == []
    assert "taken before" in report.notes[0]


class Killed(BaseException):
    """Nobody catches it, as nobody catches a SIGKILL."""


@pytest.fixture
def kill_at_second() -> Iterator[Callable[[str], None]]:
    """The run dies when it passes a place for the second time."""
    passed = 0

    def die() -> None:
        nonlocal passed
        passed += 1
        if passed == 2:
            raise Killed

    yield lambda name: failpoints.arm(name, die)
    failpoints.disarm()


def test_kill_between_acks_and_books_publishes_the_batch_again_under_the_same_ids(
    bench: Bench, kill_at_second: Callable[[str], None]
) -> None:
    path, killed, second = bench.file("a 1\nb 2\nc 3\nd 4\ne 5\n"), Memory(), Memory()
    kill_at_second("published")
    with pytest.raises(Killed):
        bench.run(path, killed)
    report = bench.run(path, second)
    assert counts(report) == (5, 3, 2, {})
    assert killed.words == ["1", "2", "3", "4"]
    assert second.words == ["3", "4", "5"]
    assert [event.id for event in killed.events[2:]] == [event.id for event in second.events[:2]]
    assert counts(bench.run(path)) == (5, 0, 5, {})


def test_kill_after_the_books_resumes_with_the_next_batch(bench: Bench, kill_at_second: Callable[[str], None]) -> None:
    path, second = bench.file("a 1\nb !\nc 3\nd 4\ne 5\n"), Memory()
    kill_at_second("stored")
    with pytest.raises(Killed):
        bench.run(path)
    assert counts(bench.run(path, second)) == (5, 1, 3, {"word_bad": 1})
    assert second.words == ["5"]
    assert second.rules == ["file_seen"]


def test_database_that_is_away_is_a_transient_fault(bench: Bench) -> None:
    bench.dsn = "host=127.0.0.1 port=1 dbname=none connect_timeout=2"
    with pytest.raises(TransientFault, match="PostgreSQL"):
        bench.run(bench.file("a 1\n"))


def test_unchanged_rows_of_a_later_file_are_not_published(bench: Bench) -> None:
    bench.run(bench.file("a one\nb two\n"))
    outbox = Memory()
    assert counts(bench.run(bench.file("a one\nb other\n", day="2024-02-01"), outbox)) == (2, 1, 1, {})
    assert outbox.words == ["other"]


def test_value_that_comes_back_is_news_under_another_id(bench: Bench) -> None:
    first, third = Memory(), Memory()
    bench.run(bench.file("a one\n", day="2024-01-01"), first)
    bench.run(bench.file("a two\n", day="2024-02-01"))
    bench.run(bench.file("a one\n\n", day="2024-03-01", name="back"), third)
    assert third.words[0] == "one"
    assert first.events[0].id != third.events[0].id


def test_row_older_than_what_is_known_is_refused(bench: Bench) -> None:
    bench.run(bench.file("a one\nb two\n", day="2024-02-01"))
    outbox = Memory()
    report = bench.run(bench.file("a one\nb old\n", day="2024-01-01"), outbox)
    assert counts(report) == (2, 0, 1, {"older_than_known": 1})
    assert outbox.words == []


def test_second_row_with_a_key_and_other_content_is_refused_across_batches(bench: Bench) -> None:
    report = bench.run(bench.file("a one\nb two\nc three\na other\na one\n"))
    assert counts(report) == (5, 3, 1, {"key_repeated": 1})
    assert "row 1 has the same key" in report.rows[0]["message"]


def test_row_that_breaks_its_contract_is_refused_with_the_place(bench: Bench) -> None:
    report = bench.run(bench.file("a one\nb \n"))
    assert counts(report) == (2, 1, 0, {"contract_invalid": 1})
    assert report.rows[0]["pointer"] == "/data/word"


def test_file_refused_as_a_whole_counts_as_one_and_may_be_tried_again(bench: Bench) -> None:
    outbox = Memory()
    path = bench.file("# not ours\n")
    assert counts(bench.run(path, outbox)) == (1, 0, 0, {"columns_missing": 1})
    assert outbox.rules == ["columns_missing"]
    assert counts(bench.run(path, outbox)) == (1, 0, 0, {"columns_missing": 1})


def test_refused_rows_beyond_the_limit_are_counted_not_kept(bench: Bench) -> None:
    text = "".join(f"k{n} !\n" for n in range(REPORT_ROWS_MAX + 5))
    report = bench.run(bench.file(text), rows=500)
    assert counts(report) == (REPORT_ROWS_MAX + 5, 0, 0, {"word_bad": REPORT_ROWS_MAX + 5})
    assert len(report.rows) == REPORT_ROWS_MAX


def test_finished_file_tells_its_refused_rows_again_on_request(bench: Bench) -> None:
    path = bench.file("a one\nb !\n")
    bench.run(path)
    bench.lines.append({})
    outbox = Memory()
    assert counts(bench.run(path, outbox)) == (2, 0, 1, {"word_bad": 1})
    assert outbox.events == []
    assert [(line["row"], line["record"]) for line in bench.lines[1:]] == [(2, "b !")]


def test_finished_file_read_again_publishes_only_what_changed(bench: Bench) -> None:
    path = bench.file("a one\nb !\n")
    bench.run(path)
    assert counts(bench.run(path, again=True)) == (2, 0, 1, {"word_bad": 1})


def test_second_run_at_the_same_time_says_so(bench: Bench) -> None:
    path = bench.file("a one\n")

    class Meanwhile(Memory):
        def publish(self, messages: Sequence[Message]) -> None:
            with pytest.raises(filedrop.AlreadyRunning, match="another run"):
                bench.run(path)
            super().publish(messages)

    assert counts(bench.run(path, Meanwhile())) == (1, 1, 0, {})


def test_file_that_grows_while_it_is_read_is_not_finished(bench: Bench) -> None:
    path = bench.file("a one\n")

    class Grower(Memory):
        def publish(self, messages: Sequence[Message]) -> None:
            with path.open("a") as file:
                file.write("b two\n")
            super().publish(messages)

    with pytest.raises(TransientFault, match="changed while it was read"):
        bench.run(path, Grower())
    assert counts(bench.run(path)) == (2, 1, 1, {})


def test_texts_that_postgresql_cannot_hold_do_not_stop_the_run(bench: Bench) -> None:
    report = bench.run(bench.file("a\x00b !\n\x00 word\nc three\n"))
    assert counts(report) == (3, 1, 0, {"word_bad": 1, "contract_invalid": 1})


def test_growing_files_are_left_and_the_rest_come_oldest_first(tmp_path: Path) -> None:
    new, old, growing = (tmp_path / f"x-{day}.txt" for day in ("2024-03-01", "2024-01-01", "2024-02-01"))
    for path in (new, old, growing, tmp_path / ".hidden-2024-01-01.txt", tmp_path / "other-2024-01-01.csv"):
        path.write_text("a one\n")

    def sleep(_: float) -> None:
        growing.write_text("a one\nb two\n")
        os.utime(growing, (1, 1))

    waiting = filedrop.waiting(Things(), tmp_path)
    assert waiting == [old, growing, new]
    assert filedrop.settled(waiting, sleep, 1.0) == [old, new]
