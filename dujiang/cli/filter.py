"""Try a filter on an event before a partner subscribes with it, without services."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dujiang.cli.output import fail, speaks, stderr


@speaks
def filter_event(
    event: Annotated[Path, typer.Option(help="One CloudEvent as JSON (structured).")],
    sql: Annotated[str | None, typer.Option(help="A CESQL 1.0 expression.")] = None,
    filters: Annotated[Path | None, typer.Option(help="A JSON list of filters, as a subscription has it.")] = None,
) -> None:
    """Evaluate a filter on an event. `--sql` prints the value as JSON or `error: KIND`; `--filters` prints true or false.

    An explanation of an error goes to standard error. `--sql` sees the time as the file has it, `--filters` as it is
    delivered, in UTC.
    """
    if (sql is None) is (filters is None):
        fail("give either --sql or --filters", 2)
    _write(_evaluated(sql, event) if sql is not None else _filtered(filters or Path(), event))


def _evaluated(text: str, event: Path) -> str:
    from schemas.cloudevents import CloudEventError
    from schemas.filters import attributes_as_written, cesql

    try:
        expression = cesql.parse(text)
    except cesql.ParseError as error:
        return _error(error.kind, error.message)
    try:
        value, errors = expression.evaluate(attributes_as_written(event.read_bytes()))
    except CloudEventError as error:
        _refuse(event, error.pointer, error.message)
    return _error(errors[0].kind, errors[0].message) if errors else json.dumps(value, ensure_ascii=False)


def _filtered(filters: Path, event: Path) -> str:
    from schemas.cloudevents import CloudEventError, json_format, json_text
    from schemas.filters import FilterError, compile_filters

    file = filters
    try:
        compiled = compile_filters(json_text.parse(file.read_bytes()))
        file = event
        passes = compiled.matches(json_format.decode(file.read_bytes()))
    except (CloudEventError, FilterError) as error:
        _refuse(file, error.pointer, error.message)
    return json.dumps(passes)


def _error(kind: str, why: str) -> str:
    stderr.print(why, soft_wrap=True, markup=False)
    return f"error: {kind}"


def _refuse(file: Path, pointer: str, why: str) -> NoReturn:
    stderr.print(f"{file}: {pointer or '/'}: {why}", soft_wrap=True, markup=False)
    raise typer.Exit(1)


def _write(text: str) -> None:
    """UTF-8 whatever the terminal's encoding; a lone surrogate from the command line is no reason to fail."""
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
    sys.stdout.flush()
