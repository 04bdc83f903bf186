"""The demo as its user starts it: it balances, survives what it should, and leaves nothing running."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.services, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LINE = re.compile(
    r"published=(\d+) applied=(\d+) duplicate=(\d+) superseded=(\d+) rejected=(\d+) quarantined=(\d+) lag=0 balanced=yes"
)
START_S_MAX = 90
STOP_S_MAX = 30  # said to be 15; the machine is shared
WHOLE_S_MAX = 180


class Demo:
    """`dujiang demo` on a folder of its own, in a process group of its own."""

    def __init__(self, data: Path, out: Path, *arguments: str, **settings: str) -> None:
        self.data = data
        self._out, self._err = out / "out", out / "err"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DUJIANG_")}
        environment |= {"DUJIANG_GATEWAY__PORT": "0", "DUJIANG_WORKER__HTTP_PORT": "0", **settings}
        with self._out.open("w") as stdout, self._err.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dujiang", "demo", "--data", str(data), *arguments],
                cwd=ROOT,
                env=environment,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def end(self, seconds_max: float = WHOLE_S_MAX) -> int:
        return self.process.wait(seconds_max)

    def until(self, text: str) -> None:
        """Until it has said so, on either output."""
        end = time.monotonic() + START_S_MAX
        while text not in self.out + self.err:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < end, f"it never said {text!r}: {self.out}{self.err}"
            time.sleep(0.05)

    def published(self) -> int:
        """From the last line, which must balance and add up."""
        found = LINE.fullmatch(self.out.splitlines()[-1])
        assert found, self.out + self.err
        published, *outcomes = map(int, found.groups())
        assert published == sum(outcomes)
        return published


def processes_of(data: Path) -> dict[int, str]:
    """Pid and command of every process, the demo's own included, that has this folder in its command or environment."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if int(entry.name) != os.getpid() and str(data).encode() in command + environment:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def assert_nothing_runs(data: Path) -> None:
    end = time.monotonic() + 10
    while (left := processes_of(data)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder whose processes end with the test."""
    folder = tmp_path / "demo-data"
    yield folder
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)


def test_check_balances_and_a_second_start_goes_on(data: Path, tmp_path: Path) -> None:
    first = Demo(data, tmp_path, "--for", "12s", "--check")
    assert first.end() == 0
    published = first.published()
    assert "not balanced" not in first.err
    assert published > 100
    assert_nothing_runs(data)
    second = Demo(data, tmp_path, "--for", "5s", "--check")
    assert second.end() == 0
    assert second.published() > published
    assert_nothing_runs(data)


def test_ctrl_c_stops_everything_and_the_next_start_goes_on(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path)
    demo.until("  5 s  in ")
    demo.process.send_signal(signal.SIGINT)
    assert demo.end(STOP_S_MAX) == 0
    published = demo.published()
    assert "Traceback" not in demo.out + demo.err
    assert_nothing_runs(data)
    again = Demo(data, tmp_path, "--for", "4s", "--check")
    assert again.end() == 0
    assert again.published() > published


def test_second_ctrl_c_kills_at_once(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path)
    demo.until("gateway    http")
    demo.process.send_signal(signal.SIGINT)
    demo.until("partners have stopped")
    demo.process.send_signal(signal.SIGINT)
    assert demo.end(STOP_S_MAX) == 130
    assert "Traceback" not in demo.out + demo.err
    assert_nothing_runs(data)


def test_ended_kafka_ends_the_demo(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path, "--for", "60s", "--check")
    demo.until("gateway    http")
    (kafka,) = (pid for pid, command in processes_of(data).items() if "kafka.Kafka" in command)
    os.kill(kafka, signal.SIGKILL)
    assert demo.end() == 1
    assert "Kafka has ended, see " in demo.err
    assert_nothing_runs(data)


def test_ctrl_c_while_it_starts_stops_everything(data: Path, tmp_path: Path) -> None:
    for moment in ("Kafka: ready", "starting the gateway"):
        demo = Demo(data, tmp_path)
        demo.until(moment)
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(STOP_S_MAX) == 130
        assert "Traceback" not in demo.out + demo.err
        assert_nothing_runs(data)


def test_killed_worker_is_started_again_and_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path, "--for", "14s", "--check", "--rate", "100")
    demo.until("  5 s  in ")
    (worker,) = (pid for pid, command in processes_of(data).items() if command.rstrip().endswith("dujiang worker"))
    os.kill(worker, signal.SIGKILL)
    assert demo.end() == 0
    assert f"worker-1 (pid {worker}) ended; started again" in demo.err
    assert demo.published() > 100


def test_killed_gateway_is_started_again_and_nothing_is_lost(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path, "--for", "14s", "--check", "--rate", "100")
    demo.until("  5 s  in ")
    (gateway,) = (pid for pid, command in processes_of(data).items() if command.rstrip().endswith("dujiang gateway"))
    os.kill(gateway, signal.SIGKILL)
    assert demo.end() == 0
    assert f"gateway (pid {gateway}) ended; started again" in demo.err
    assert demo.published() > 100


def test_worker_that_dies_twice_ends_the_demo_with_its_last_words(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path, "--for", "60s", "--check", DUJIANG_FAILPOINT="published:1")
    assert demo.end() == 1
    assert "worker-1 ended 2 times; the end of" in demo.err
    assert "Traceback" not in demo.out
    assert_nothing_runs(data)


def test_killed_demo_leaves_no_process_and_the_next_start_goes_on(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path)
    demo.until("  5 s  in ")
    demo.process.kill()
    demo.end()
    assert_nothing_runs(data)
    again = Demo(data, tmp_path, "--for", "4s", "--check")
    assert again.end() == 0
    assert again.published() > 100


def test_check_without_an_end_is_refused(data: Path, tmp_path: Path) -> None:
    demo = Demo(data, tmp_path, "--check")
    assert demo.end() == 2
    assert "--check needs an end" in demo.err
