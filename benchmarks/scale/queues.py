"""What the simulation is made of: a clock, stations with a queue, and the write-ahead log, whose flushes take all that wait."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

Then = Callable[[], None]


class Clock:
    """Simulated time, and what is to happen when. What is busy is counted from `since_s` to `until_s`."""

    def __init__(self, since_s: float, until_s: float) -> None:
        self.now_s = 0.0
        self.since_s = since_s
        self.until_s = until_s
        self._due: list[tuple[float, int, Then]] = []
        self._count = 0

    @property
    def is_counting(self) -> bool:
        return self.now_s >= self.since_s

    def after(self, seconds: float, then: Then) -> None:
        self._count += 1  # of two things due at once, the one that was asked for first comes first
        heapq.heappush(self._due, (self.now_s + seconds, self._count, then))

    def counted_s(self, seconds: float) -> float:
        """The part of a service that begins now and falls into the counted time."""
        return max(0.0, min(self.now_s + seconds, self.until_s) - max(self.now_s, self.since_s))

    def run(self) -> None:
        while self._due and self._due[0][0] <= self.until_s:
            self.now_s, _, then = heapq.heappop(self._due)
            then()


@dataclass
class Station:
    """`servers` alike, one queue: first come, first served."""

    clock: Clock
    servers: int
    busy_s: float = 0.0
    _free: int = field(init=False)
    _waiting: deque[tuple[float, Then]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._free = self.servers

    def serve(self, seconds: float, then: Then) -> None:
        self._waiting.append((seconds, then))
        self._start()

    def _start(self) -> None:
        while self._waiting and self._free:
            seconds, then = self._waiting.popleft()
            self._free -= 1
            self.busy_s += self.clock.counted_s(seconds)
            self.clock.after(seconds, partial(self._served, then))

    def _served(self, then: Then) -> None:
        self._free += 1
        then()
        self._start()


@dataclass
class Log:
    """The write-ahead log: one flush at a time, for all that ask before it begins (group commit)."""

    clock: Clock
    flush_s: float
    bytes_s: float
    busy_s: float = 0.0
    _waiting: list[tuple[float, Then]] = field(default_factory=list)
    _is_flushing: bool = False

    def commit(self, size_bytes: float, then: Then) -> None:
        self._waiting.append((size_bytes, then))
        self._start()

    def _start(self) -> None:
        if self._is_flushing or not self._waiting:
            return
        taken, self._waiting = self._waiting, []
        writing_s = sum(size_bytes for size_bytes, _ in taken) / self.bytes_s
        self._is_flushing = True
        self.busy_s += self.clock.counted_s(writing_s)  # a flush takes more with it when more wait: only bytes fill the disk
        self.clock.after(self.flush_s + writing_s, partial(self._flushed, taken))

    def _flushed(self, taken: list[tuple[float, Then]]) -> None:
        self._is_flushing = False
        for _, then in taken:
            then()
        self._start()
