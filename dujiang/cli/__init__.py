"""The command line: `dujiang --help`."""

from dujiang.cli.app import main

__all__ = ["main"]
