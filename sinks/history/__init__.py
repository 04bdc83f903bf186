"""The event history: every event once, as it came, for evidence, replay and questions about the past."""

from sinks.history.writer import HistorySink

__all__ = ["HistorySink"]
