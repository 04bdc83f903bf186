"""Start and end child processes, by pid only."""

import ctypes
import os
import pwd
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from dujiang.embedded.errors import AlreadyRunningError
from dujiang.embedded.files import write_whole

KILL_WAIT_S = 10.0
LEFTOVER_WAIT_S = 2.0
POLL_S = 0.05
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Identity:
    """A pid together with when it started, since pids come round again; 0 where the system does not tell."""

    pid: int
    started_ticks: int

    def is_alive(self) -> bool:
        return identity_of(self.pid) == self


def identity_of(pid: int) -> Identity | None:
    """Who has this pid now; None for nobody, and for a zombie that only waits to be collected."""
    if sys.platform == "linux":
        fields = _stat_fields(pid)
        return None if fields is None or fields[0] == "Z" else Identity(pid, int(fields[19]))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return Identity(pid, 0)


def can_see_processes() -> bool:
    return Path("/proc/self/stat").exists()


def working_in(folder: Path) -> list[int]:
    """Processes whose working folder this is; empty where the system has no /proc."""
    return [int(link.parent.name) for link in Path("/proc").glob("[0-9]*/cwd") if _leads_to(link, folder)]


def _leads_to(link: Path, folder: Path) -> bool:
    try:
        return link.readlink() == folder.resolve()
    except OSError:  # ended meanwhile, a zombie, or somebody else's
        return False


def children_of(pid: int) -> list[int]:
    """Direct children; empty where the system has no /proc."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    parents = {child: fields[1] for child in pids if (fields := _stat_fields(child)) is not None}
    return [child for child, parent in parents.items() if parent == str(pid)]


def _stat_fields(pid: int) -> list[str] | None:
    """The fields after the command's name: state, parent, ... with the start time as number 19 (proc(5), field 22)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def spawn(
    command: Sequence[str],
    *,
    log: Path | None,
    cwd: Path,
    env: Mapping[str, str],
    account: str | None = None,
    death_signal: signal.Signals | None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C in our terminal does not reach it.

    With a death_signal the kernel sends it that signal when we end, even by SIGKILL (Linux only). `account` is the user
    to run as, for a caller that is root. Output is appended to `log`; without one it goes where ours goes.
    """

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") if log else nullcontext() as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
                preexec_fn=_dying_with(os.getpid(), death_signal),
                user=account,
                group=group_of(account),
                extra_groups=None if account is None else (),
                umask=0o077,
            )

    return _keeper.run(start)


def keep_to_core(process: subprocess.Popen[bytes], number: int, processes: int) -> None:
    """Give the process with this number, from 0, a core of its own, where `processes` are as many as the cores we may use.

    So none waits for a core while another is free, or moves away from what its core's cache holds of it (docs/adr/0035).
    Fewer or more processes than cores are left to the system, and so are all where it has no such call.
    Call it at once after the start: threads begin where their process is. Raises OSError.
    """
    if sys.platform == "linux":
        cores = sorted(os.sched_getaffinity(0))
        if 1 < processes == len(cores):
            os.sched_setaffinity(process.pid, {cores[number]})


def group_of(account: str | None) -> int | None:
    """The account's own group; None for None, which leaves ours."""
    return None if account is None else pwd.getpwnam(account).pw_gid


def end(process: subprocess.Popen[bytes], how: signal.Signals, *, wait_s: float) -> None:
    """Signal and wait; SIGKILL once wait_s have passed."""
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(KILL_WAIT_S)


def wait_gone(identity: Identity, *, wait_s: float) -> bool:
    """Whether the process, not a child of ours, has ended within wait_s."""
    deadline = time.monotonic() + wait_s
    while identity.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def remember(memory: Path, pid: int) -> None:
    """Write who runs, for `refuse_running` of a later start."""
    identity = identity_of(pid)
    if identity is not None:
        write_whole(memory, f"{identity.pid} {identity.started_ticks}\n")


def refuse_running(memory: Path, name: str) -> None:
    """Raise where the remembered process still runs; one that is just ending is waited for."""
    if not memory.exists():
        return
    numbers = memory.read_text().split()
    identity = Identity(int(numbers[0]), int(numbers[1]))
    if not wait_gone(identity, wait_s=LEFTOVER_WAIT_S):
        raise AlreadyRunningError(
            f"{name} of {memory.parent} already runs, pid {identity.pid}; use it, or stop it with: kill {identity.pid}",
            identity.pid,
        )


def _dying_with(parent: int, death_signal: signal.Signals | None) -> Callable[[], None] | None:
    """What the child runs between fork and exec. One system call, no import, no lock: safe beside other threads.

    Must run after the change of user, which clears the setting; subprocess does so in that order.
    """
    libc = _libc
    if libc is None or death_signal is None:
        return None
    number = int(death_signal)

    def ask_for_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended before the call, so no signal will come
            os._exit(1)

    return ask_for_signal


class _Keeper:
    """One thread that forks every child and lives as long as the process.

    The kernel ties the death signal to the thread that forked, not to the process: a child started by a passing worker
    thread would be ended with that thread.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._jobs = queue.SimpleQueue()
        self._pid = 0
        self._lock = threading.Lock()

    def run(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():  # first use, or we are a fork and the thread stayed with our parent
                self._pid = os.getpid()
                threading.Thread(target=self._work, name="embedded-keeper", daemon=True).start()
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            job, answer = self._jobs.get()
            try:
                answer.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                answer.set_exception(error)


_keeper = _Keeper()
