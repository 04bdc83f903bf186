"""What can go wrong, sorted by what helps.

    Fault
    ├── RecordFault        this record can never work: quarantine it, go on with the rest
    ├── TransientFault     time-out, deadlock, broker away: back off, try the same batch again
    │   └── Fenced         another worker owns the partition: drop the cache, read the ledger anew
    └── EnvironmentFault   privilege, disk, password, missing table: pause, say which and why, resume by itself

Anything else is a bug: it is not caught but at the edge of a worker, which logs it with its place, counts it and re-raises.
"""

from dataclasses import dataclass


class Fault(Exception):
    """Base of all faults that the engine knows how to treat. `remedy`: what a person must do; None: it goes on by itself."""

    remedy: str | None = None


class TransientFault(Fault):
    """Waiting helps."""


class Fenced(TransientFault):
    """The ledger moved under us: a zombie's commit was refused."""


class EnvironmentFault(Fault):
    """A person must act; nothing is wrong with the records. `remedy` says what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class RecordFault:
    """Why one record can never work. A value, not an exception: a batch may hold thousands."""

    reason: str
    pointer: str
    message: str
