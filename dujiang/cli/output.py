"""How commands speak: a table for people, JSON lines for programs, errors that say what to do."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

P = ParamSpec("P")
T = TypeVar("T")

CELL_CHARS_MAX = 60
stderr = Console(stderr=True, highlight=False)


def show(
    rows: Iterable[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str] = (), empty: str = "nothing there"
) -> None:
    """Rows as JSON lines (compact, whole) or as a table of the named columns."""
    if as_json:
        for row in rows:
            typer.echo(line(row))
        return
    table: Table | None = None
    names = list(columns)
    for row in rows:
        if table is None:
            names = names or list(row)
            table = Table(*names, box=None, pad_edge=False, header_style="bold")
        table.add_row(*(_cell(row.get(name)) for name in names))
    if table is None:
        stderr.print(empty)
        return
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def line(row: Mapping[str, Any]) -> str:
    """One row as compact JSON; what JSON has no type for is printed as text."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str)


def _cell(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, dict):
        text = " ".join(f"{key}:{inner}" for key, inner in value.items())
    elif isinstance(value, list):
        text = ", ".join(item if isinstance(item, str) else line(item) for item in value)
    else:
        text = str(value)
    text = text.replace("[", "\\[")
    return text if len(text) <= CELL_CHARS_MAX else text[: CELL_CHARS_MAX - 1] + "…"


def fail(message: str, status: int = 1) -> NoReturn:
    """Say it on standard error and end."""
    stderr.print(f"[red]error[/red]: {message}", soft_wrap=True)
    raise typer.Exit(status)


def speaks(command: Callable[P, T]) -> Callable[P, T]:
    """Turn the faults we know into one line that says what to do; a bug keeps its traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.BadParameter):
            raise
        except Exception as error:  # the edge of the program: what we cannot explain goes on as it is
            explained = _explained(error)
            if explained is None:
                raise
            fail(*explained)

    return run


def _explained(error: Exception) -> tuple[str, int] | None:
    """(message, exit status) of an error we know."""
    if isinstance(error, (FileNotFoundError, IsADirectoryError, PermissionError)):
        return f"{error.filename}: {error.strerror}", 1
    import psycopg

    from dujiang.embedded.errors import EmbeddedError
    from dujiang.settings import SettingsError
    from engine.database import fault_of
    from engine.errors import EnvironmentFault, Fault

    if isinstance(error, SettingsError):
        return str(error), 2
    if isinstance(error, psycopg.Error):
        error = fault_of(error)
    if isinstance(error, EnvironmentFault):
        return f"{error}; {error.remedy}", 1
    if isinstance(error, (Fault, EmbeddedError)):
        return str(error), 1
    return None
