"""What the steps of one worker take at once: memory is the worker's, so those that have a backlog share it."""

from typing import Final

LEAST: Final = 1_000  # records: smaller batches cost more than the memory is worth


class Share:
    """Of `records_max`, for one worker. Its runners' threads may ask at once: each adds or takes away its own name alone."""

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self._busy: set[str] = set()

    def of(self, step: str, *, is_busy: bool) -> int:
        """How many records `step` may take. is_busy: its last batch was at least half as large as it could be."""
        if is_busy:
            self._busy.add(step)
        else:
            self._busy.discard(step)
        sharers = len(self._busy) + (not is_busy)
        return max(min(LEAST, self._records_max), self._records_max // sharers)
