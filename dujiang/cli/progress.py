"""Long work at the terminal: a line that is drawn anew on a terminal, plain lines elsewhere; Ctrl-C ends it after its step."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import typer

from dujiang.cli.output import stderr
from dujiang.user import user_name

if TYPE_CHECKING:
    from engine.works import Step, Work

PLAIN_EVERY_S: Final = 10.0
CANCELLED_STATUS: Final = 130  # as a shell has it for a program that Ctrl-C ended
READ_BYTES: Final = 1 << 20
_ANEW: Final = "\r\x1b[K"


class Line:
    """Says how far a work is."""

    def __init__(self, out: IO[str], *, is_terminal: bool) -> None:
        self._out, self._is_terminal = out, is_terminal
        self._said_s = 0.0
        self._is_drawn = False

    def __call__(self, step: "Step") -> None:
        if self._is_terminal:
            self._out.write(f"{_ANEW}{told(step)}")
            self._is_drawn = True
        elif step.elapsed_s - self._said_s >= PLAIN_EVERY_S:
            self._said_s = step.elapsed_s
            self._out.write(f"{told(step)}\n")
        self._out.flush()

    def end(self) -> None:
        """What comes next begins on a line of its own."""
        if self._is_drawn:
            self._is_drawn = False
            self._out.write("\n")
            self._out.flush()


def say(text: str) -> None:
    """A line of its own on standard error, in the place of one that is drawn there; that comes back with the next step."""
    if sys.stderr.isatty():
        sys.stderr.write(_ANEW)
    stderr.print(text, soft_wrap=True, markup=False)


def told(step: "Step") -> str:
    """`ingest projects.csv: 12,000 of about 30,000, 40%, 3,200 a second`."""
    rate = f", {step.done / step.elapsed_s:,.0f} a second" if step.elapsed_s >= 1 else ""
    return f"{step.kind} {step.title}: {so_far(step.done, step.total)}{rate}"


def so_far(done: int, total: int | None) -> str:
    """A total is an estimate: a row may have several lines."""
    if not total:
        return f"{done:,}"
    return f"{done:,} of about {total:,}, {min(100, 100 * done // total)}%"


@contextmanager
def shown(dsn: str, kind: str, title: str, total: int | None, go_on: str) -> Iterator["Work"]:
    """A work that this terminal shows; Ctrl-C, `works cancel` or the console ends it cleanly. `go_on`: what to do then."""
    from engine.clock import SystemClock
    from engine.works import WorkStopped, working

    line = Line(sys.stderr, is_terminal=sys.stderr.isatty())
    before: Any = None
    try:
        with working(dsn, SystemClock(), kind, title, user_name(), total=total, tell=line) as work:

            def interrupt(*_: object) -> None:
                signal.signal(signal.SIGINT, before)  # a second Ctrl-C ends it as always
                work.interrupt()

            before = signal.signal(signal.SIGINT, interrupt)
            yield work
    except WorkStopped as stopped:
        line.end()
        by = f" by {stopped.by}" if stopped.by else ""
        stderr.print(f"cancelled{by} after {so_far(stopped.done, stopped.total)}; {go_on}", soft_wrap=True)
        raise typer.Exit(CANCELLED_STATUS) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    line.end()


@contextmanager
def shown_if_long(
    dsn: str, kind: str, title: str, total: int | None, at_once: int, go_on: str
) -> Iterator[Callable[[int], None]]:
    """The same, of which `reached` is given; but what one batch of `at_once` does has nothing to show and to end."""
    if total is not None and total <= at_once:
        yield lambda _: None
        return
    with shown(dsn, kind, title, total, go_on) as work:
        yield work.reached


@contextmanager
def shown_here(kind: str, title: str, lines: Iterable[bytes], total: int | None) -> Iterator[Iterator[bytes]]:
    """Lines, read while this terminal alone shows how far. For what keeps nothing: Ctrl-C ends it anywhere."""
    from engine.clock import SystemClock
    from engine.works import EVERY_S, Step

    clock, line = SystemClock(), Line(sys.stderr, is_terminal=sys.stderr.isatty())

    def read() -> Iterator[bytes]:
        begun_s = told_s = clock.monotonic_s()
        for done, one in enumerate(lines, 1):
            yield one
            now_s = clock.monotonic_s()
            if now_s - told_s >= EVERY_S:
                told_s = now_s
                line(Step(kind, title, done, total, now_s - begun_s))
        line.end()

    try:
        yield read()
    except KeyboardInterrupt:
        line.end()
        stderr.print("cancelled; nothing is kept of it", soft_wrap=True)
        raise typer.Exit(CANCELLED_STATUS) from None


def lines_of(path: Path) -> int | None:
    """About how many records a file or a folder's files hold; None where that cannot be read, which the work itself tells."""
    try:
        paths = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")] if path.is_dir() else [path]
        return sum(_newlines(one) for one in paths)
    except OSError:
        return None


def _newlines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b""))
