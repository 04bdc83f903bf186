"""What the console counts. `monitoring.metrics.ConsoleMetrics` is the one that Prometheus reads."""

from collections.abc import Callable
from typing import Literal, Protocol

Asked = Literal["views", "own"]
Tried = Literal["let_in", "wrong", "locked", "busy", "away"]


class ConsoleMetrics(Protocol):
    """Pages are the few of the navigation, never addresses: those have ids in them."""

    def page_seconds(self, page: str, seconds: float) -> None: ...

    def query_seconds(self, asked: Asked, seconds: float) -> None: ...

    def sign_in(self, outcome: Tried) -> None: ...

    def open_pages(self, count: Callable[[], int]) -> None: ...
