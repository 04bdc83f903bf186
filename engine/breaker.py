"""The brake on quarantine: a flood of bad records in one partition means a wrong deploy or a wrong contract, not bad records.

Pure. Trips on a run (so many bad in a row) or a share (so many bad of the last window). A trip names the offset to go back to:
the first of the run, so that none of it reaches quarantine.
"""

from collections import deque
from itertools import takewhile

from engine.options import BreakerOptions


class Breaker:
    """One partition's. `judge` is asked for every record in order; whoever goes back in the log must `rewind` it first."""

    def __init__(self, options: BreakerOptions) -> None:
        self._options = options
        # (offset, is bad), at least as many as a run is long.
        self._window: deque[tuple[int, bool]] = deque(maxlen=max(options.window_records, options.run_max))
        self._bad = 0
        self._run = 0
        self._run_start = -1
        self.allowed_until = -1

    def judge(self, offset: int, is_bad: bool) -> int | None:
        """None: go on. Otherwise the offset at which to pause; the record is not counted then.

        Records below `allowed_until` always pass and count as good: an operator said so.
        """
        if not is_bad or offset < self.allowed_until:
            self._run = 0
            self._count(offset, False)
            return None
        run_start = self._run_start if self._run else offset
        if self._run + 1 >= self._options.run_max:
            return run_start
        size = self._window.maxlen or 0
        if len(self._window) == size and self._bad + 1 > self._options.ratio_max * size:
            return offset
        self._run, self._run_start = self._run + 1, run_start
        self._count(offset, True)
        return None

    def rewind(self, offset: int) -> None:
        """Records from `offset` on will be judged again: forget them, so that none counts twice."""
        while self._window and self._window[-1][0] >= offset:
            self._bad -= self._window.pop()[1]
        self._run = sum(1 for _ in takewhile(lambda judged: judged[1], reversed(self._window)))
        self._run_start = self._window[-self._run][0] if self._run else -1

    def describe(self) -> str:
        """The limits, for the message that people read."""
        options = self._options
        return f"{options.run_max} bad records in a row, or over {options.ratio_max:.0%} of the last {options.window_records}"

    def _count(self, offset: int, is_bad: bool) -> None:
        if len(self._window) == self._window.maxlen:
            self._bad -= self._window[0][1]
        self._window.append((offset, is_bad))
        self._bad += is_bad
