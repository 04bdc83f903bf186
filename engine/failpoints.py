"""Named places at which a test may kill or stop the process or raise: proof that a crash between any two steps is harmless.

Set by the environment variable `DUJIANG_FAILPOINT=name[:n[:pause]]` (SIGKILL at the n-th passage; with `pause` SIGSTOP, until
someone sends SIGCONT) or by `arm` in-process. Costs one dictionary look-up a place, which is a few a batch (`copying`: one a
COPY); nothing in production sets it.
"""

import signal
import threading
from collections.abc import Callable

NAMES = ("decided", "published", "copying", "stored", "committed", "kept")
_armed: dict[str, Callable[[], None]] = {}


def arm(name: str, action: Callable[[], None]) -> None:
    """Call `action` whenever the place is passed. Raises ValueError for a name that no place has."""
    if name not in NAMES:
        raise ValueError(f"no fail point {name!r}; there are {', '.join(NAMES)}")
    _armed[name] = action


def disarm() -> None:
    """Forget all."""
    _armed.clear()


def passing(name: str) -> None:
    """Called by the engine between its steps."""
    action = _armed.get(name)
    if action is not None:
        action()


def arm_from(setting: str) -> None:
    """`name[:n[:pause]]`: at the n-th passage (the first by default) end by SIGKILL, or stop by SIGSTOP."""
    name, _, rest = setting.partition(":")
    count, _, action = rest.partition(":")
    number = signal.SIGSTOP if action == "pause" else signal.SIGKILL
    left = int(count or 1)

    def strike() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            signal.pthread_kill(threading.get_ident(), number)  # this thread first: another would let it go on for a while

    arm(name, strike)
