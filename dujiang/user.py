"""Who runs a command: what the log of changes and the records that people settle are told."""

import getpass
import os


def user_name() -> str:
    """The name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
