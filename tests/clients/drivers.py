"""The clients in JavaScript and Java, driven from here: a process for each that takes an order as a line of JSON, does it with
its client and answers in a line. So all are held to the same tests.

An order names what to `do`, its arguments and the `client` to do it with. The answer has a `value` or an `error`, and what the
client would have waited.
"""

import json
import os
import re
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import ROOT, ended

HERE = Path(__file__).parent
JAVASCRIPT = ROOT / "clients" / "javascript"
JAVA = ROOT / "clients" / "java"
NODE = 20
JDK = 17
SHORT_RUN = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # what a JVM prepares for long ones would only take time
ANSWER_S = 60
COMPILE_S = 120


class Failure(Exception):
    """What the client threw. `name` is its class, Argument for whatever the language has for wrong arguments."""

    def __init__(self, told: dict[str, Any], waited_s: list[float]) -> None:
        super().__init__(f"{told['name']}: {told['message']}")
        self.waited_s = waited_s
        self.name = told["name"]
        self.problem = told.get("problem") or {}
        self.retry_after_s = told.get("retry_after_s")
        self.earliest = told.get("earliest")

    @property
    def faults(self) -> list[dict[str, str]]:
        return list(self.problem.get("faults", ()))


class Done(NamedTuple):
    value: Any
    waited_s: list[float]


class Driver:
    """One client's process. What it says on standard error is the test's own."""

    def __init__(self, language: str, command: list[str], folder: Path) -> None:
        self.language, self.folder = language, folder
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._read = b""

    def ask(self, do: str, **order: Any) -> Done:
        """Raises Failure."""
        return self.say(json.dumps({"do": do, **order}))

    def say(self, line: str) -> Done:
        """An order as it stands. Raises Failure."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        answer = json.loads(self._line())
        if "error" in answer:
            raise Failure(answer["error"], answer["waited_s"])
        return Done(answer["value"], answer["waited_s"])

    def _line(self) -> bytes:
        """Of the answer. A client that says nothing fails its test and does not hold it up."""
        assert self.process.stdout is not None
        while b"\n" not in self._read:
            if not select.select([self.process.stdout], [], [], ANSWER_S)[0]:
                self.process.kill()
                pytest.fail(f"the client in {self.language} gave no answer for {ANSWER_S} s")
            part = self.process.stdout.read(65536)
            if not part:
                pytest.fail(f"the driver in {self.language} ended with status {self.process.wait(10)}")
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return line

    def close(self) -> None:
        assert self.process.stdin is not None
        with self.process, ended(self.process):
            self.process.stdin.close()
            self.process.wait(10)


@contextmanager
def driver_of(language: str, folder: Path) -> Iterator[Driver]:
    """The client of that language, in a folder of its own. Skips where the language is not there."""
    command = javascript(folder) if language == "javascript" else java(folder)
    running = Driver(language, command, folder)
    try:
        yield running
    finally:
        running.close()


def javascript(folder: Path) -> list[str]:
    """As a partner has it: a package beside the script."""
    if _version("node", "--version") < NODE:
        pytest.skip(f"no node {NODE} or newer on this machine, so the client in JavaScript cannot be tried")
    shutil.copy(HERE / "javascript" / "driver.mjs", folder)
    (folder / "node_modules").mkdir()
    shutil.copytree(JAVASCRIPT, folder / "node_modules" / "dujiang-client")
    return ["node", "driver.mjs"]


def java(folder: Path) -> list[str]:
    """Compiled for Java 17 without a warning."""
    if _version("javac", "-version") < JDK or _version("java", "-version") < JDK:
        pytest.skip(f"no JDK {JDK} or newer on this machine, so the client in Java cannot be tried")
    compiled(folder, *JAVA.glob("src/main/java/**/*.java"), HERE / "java" / "Driver.java")
    return ["java", *SHORT_RUN, "-Xmx256m", "-cp", str(folder), "Driver"]


def compiled(folder: Path, *sources: Path) -> None:
    """Into the folder, beside the classes that are there."""
    options = ["--release", str(JDK), "-encoding", "UTF-8", "-proc:none", "-Xlint:all,-options", "-Werror"]
    places = ["-cp", str(folder), "-d", str(folder)]
    command = ["javac", *(f"-J{option}" for option in SHORT_RUN), *options, *places, *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _version(program: str, option: str) -> int:
    """The first number that the program says of itself; 0 where it is not there."""
    if shutil.which(program) is None:
        return 0
    said = subprocess.run([program, option], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"\d+", said.stdout + said.stderr)
    return int(found[0]) if found else 0
