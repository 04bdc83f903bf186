"""Small files that survive a kill at any moment: locks between processes, whole-or-absent writes, log tails."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dujiang.embedded.errors import EmbeddedError

LOCK_POLL_S = 0.2
TAIL_BYTES_MAX = 16_384


def try_lock(path: Path) -> IO[str] | None:
    """Take the lock for as long as the returned file stays open, or None where another process has it.

    The kernel gives it back when the process ends, however it ends, so no stale lock can stay behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


@contextmanager
def locked(path: Path, *, timeout_s: float, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock, waiting up to timeout_s for another process; `waiting` is called once if there is a wait."""
    deadline = time.monotonic() + timeout_s
    file = try_lock(path)
    if file is None:
        waiting()
    while file is None:
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"{path}: another process has held this lock for {timeout_s:.0f} s; wait for it or end it, then start again"
            )
        time.sleep(LOCK_POLL_S)
        file = try_lock(path)
    with file:
        yield


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace the file in one step; a reader or a crash sees the old text or the new, never a part."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def build_folder(final: Path, build: Callable[[Path], None]) -> None:
    """Have `build` fill a folder that becomes `final` only when whole; does nothing where `final` exists."""
    if final.exists():
        return
    part = final.with_name(f"{final.name}.part")
    if part.exists():  # an earlier build was killed
        shutil.rmtree(part)
    part.mkdir(parents=True)
    build(part)
    part.rename(final)


def rotate(log: Path, *, bytes_max: int) -> None:
    """Put a log that has grown too long aside as `.1`, for which an older one is dropped."""
    if log.exists() and log.stat().st_size > bytes_max:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(path: Path, *, lines: int = 15) -> str:
    """The last lines of a log, indented; empty where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES_MAX))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-lines:])
