"""The brake on quarantine: a flood of bad records in one partition means a wrong deploy or a wrong contract, not bad records.

Pure. Trips on a run (so many bad in a row) or a share (so many bad of the last window). A trip names the offset to go back to:
the first of the run, so that none of it reaches quarantine.
"""

from collections import deque

from engine.options import BreakerOptions


class Breaker:
    """One partition's. `judge` is asked for every record in order; a trip leaves it ready to judge the same records again."""

    def __init__(self, options: BreakerOptions) -> None:
        self._options = options
        self._window: deque[bool] = deque(maxlen=options.window_records)
        self._bad = 0
        self._run_start = -1
        self._run = 0
        self.allowed_until = -1

    def judge(self, offset: int, is_bad: bool) -> int | None:
        """None: go on. Otherwise the offset at which to pause. Records below `allowed_until` always pass."""
        if not is_bad or offset < self.allowed_until:
            self._run = 0
            if not is_bad:
                self._count(False)
            return None
        if self._run == 0:
            self._run_start = offset
        self._run += 1
        if self._run >= self._options.run_max:
            self._run = 0
            return self._run_start
        full = len(self._window) == self._options.window_records
        if full and self._bad + 1 > self._options.ratio_max * self._options.window_records:
            self._run = 0
            return offset
        self._count(True)
        return None

    def describe(self) -> str:
        """The limits, for the message that people read."""
        options = self._options
        return f"{options.run_max} bad records in a row, or over {options.ratio_max:.0%} of the last {options.window_records}"

    def _count(self, is_bad: bool) -> None:
        if len(self._window) == self._window.maxlen:
            self._bad -= self._window[0]
        self._window.append(is_bad)
        self._bad += is_bad
