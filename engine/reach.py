"""Can the servers be reached that a process depends on? Whoever tries says so, after each try, to whoever counts it."""

from collections.abc import Callable

Reach = Callable[[bool], None]  # from any thread: whether the last try reached the server


def untold(_: bool) -> None:
    """Nobody counts it."""
