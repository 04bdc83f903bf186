"""What can go wrong with the embedded services.

EmbeddedError
 +-- DownloadError         the jars could not be had
 +-- StartError            a server did not come up
 +-- AlreadyRunningError   this data folder is in use
"""


class EmbeddedError(RuntimeError):
    """The message says what happened, where, and what to do."""


class DownloadError(EmbeddedError):
    """A jar could not be fetched, or came with the wrong checksum."""


class StartError(EmbeddedError):
    """A server ended, or did not answer in time, while it was being started."""


class AlreadyRunningError(EmbeddedError):
    """Another process has this data folder; `pid` is that process where it is known."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid
