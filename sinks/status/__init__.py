"""The state tables: where each project, call and alert stands now. One file a subject, one writer for all."""

from sinks.status.writer import StatusStore

__all__ = ["StatusStore"]
