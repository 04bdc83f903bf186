"""Ctrl-C and SIGTERM: the first asks for the end, the second does not ask."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

STATUS_INTERRUPTED = 130
_LEAVE_SCREEN = "\x1b[?1049l\x1b[?25h"  # the normal screen again, with its cursor


class Interrupts:
    """While nothing is set with `on_first`, the first one raises KeyboardInterrupt, so that whatever starts is undone.

    The second ends the process at once, after killing what `at_last` names.
    """

    def __init__(self) -> None:
        self.count = 0
        self._on_first: Callable[[], object] | None = None
        self._at_last: list[Callable[[], None]] = []

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def on_first(self, action: Callable[[], object]) -> None:
        """From now on call this; at once when it was asked already."""
        self._on_first = action
        if self.count:
            action()

    def at_last(self, action: Callable[[], None]) -> None:
        """Call this too before the process ends at once."""
        self._at_last.append(action)

    def _handle(self, _: int, __: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), _LEAVE_SCREEN.encode())
            for action in self._at_last:
                with suppress(Exception):  # the next one is to be killed all the same
                    action()
            os._exit(STATUS_INTERRUPTED)
        if self._on_first is None:
            raise KeyboardInterrupt
        self._on_first()
