"""Commands that bring events in, or judge them without services."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dujiang.cli.context import AsJson, AsOf, instant_of, services_of, settings_with_logging
from dujiang.cli.output import fail, line, speaks

_PUBLISH_ON = "what is published stays so; run the same command again: an event that comes twice counts once"


def _refused(place: int, why: str) -> None:
    from dujiang.cli.progress import say

    say(f"line {place}: refused: {why}")


@speaks
def publish(
    file: Annotated[Path, typer.Argument(help="CloudEvents: JSON lines, or one JSON array.")],
    as_json: AsJson = False,
) -> None:
    """Publish a file of CloudEvents to their topics. Ends with status 1 if any was refused; the others are published.

    A file of more than a batch is long work: Ctrl-C, `dujiang works cancel` or the console ends it after the batch under way.
    """
    from dujiang.cli.progress import lines_of, shown_if_long
    from dujiang.publish import AT_ONCE_MAX, is_array, publish_file
    from dujiang.wiring import registry_of
    from engine.kafka import BatchPublisher

    settings = settings_with_logging()
    with services_of(settings) as services:
        publisher = BatchPublisher(settings.kafka_options(services.bootstrap))
        total = None if is_array(file) else lines_of(file)
        with shown_if_long(services.dsn, "publish", file.name, total, AT_ONCE_MAX, _PUBLISH_ON) as reached:
            published, refused = publish_file(file, publisher, registry_of(settings), _refused, reached)
    typer.echo(line({"published": published, "refused": refused}) if as_json else f"published {published}, refused {refused}")
    if refused:
        raise typer.Exit(1)


@speaks
def replay(
    subject: Annotated[str, typer.Argument(help="projects, calls or alerts")],
    file: Annotated[Path, typer.Argument(help="Structured CloudEvents, one a line, in order of arrival.")],
    as_of: AsOf = None,
) -> None:
    """Run the worker's rules over a file, without services, and print each entity as a reader at an instant sees it.

    Nothing is kept, so Ctrl-C may end it anywhere, and the console does not know of it.
    """
    from dujiang.cli.progress import lines_of, shown_here
    from dujiang.replay import replay as run
    from dujiang.wiring import STEPS, registry_of

    step = STEPS.get(subject)
    if step is None:
        fail(f"no subject {subject!r}; there are {', '.join(STEPS)}", 2)
    instant = instant_of(as_of)
    settings = settings_with_logging()
    write = sys.stdout.buffer.write
    with file.open("rb") as raw, shown_here("replay", f"{subject} {file.name}", raw, lines_of(file)) as lines:
        for row in run(step, lines, registry_of(settings), instant, _refused):
            write(line(row).encode() + b"\n")
    sys.stdout.flush()


@speaks
def check_id(
    kind: Annotated[str, typer.Argument(help="uscc, ror or orcid")],
    file: Annotated[Path | None, typer.Argument(help="One id a line; default: standard input.")] = None,
) -> None:
    """Check identifiers, one a line: prints `ID valid` or `ID invalid REASON`."""
    from schemas.identifiers import KINDS, check

    if kind not in KINDS:
        fail(f"no kind {kind!r}; there are {', '.join(KINDS)}", 2)
    source = file.open("rb") if file else sys.stdin.buffer
    for raw in source:
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        sys.stdout.buffer.write(check(kind, text).encode("utf-8", "replace") + b"\n")
    sys.stdout.flush()


_GO_ON = "what is published and booked stays so; run the same command again to go on from there"


@speaks
def ingest(
    connector: Annotated[str, typer.Argument(help="gtr, eu_calls or alertmanager")],
    path: Annotated[Path, typer.Argument(help="File, or folder of files.")],
    as_json: AsJson = False,
    name: Annotated[str | None, typer.Option(help="alertmanager: the monitor's name.")] = None,
    as_of: AsOf = None,
    report: Annotated[Path | None, typer.Option(help="Write every refused row and finding here, JSON lines.")] = None,
) -> None:
    """Run a connector over a file or folder: read, publish what is new, say what was refused and why.

    Ctrl-C, `dujiang works cancel` or the console ends it after the batch under way; run it again to go on.
    """
    from dujiang.cli.progress import lines_of, shown
    from dujiang.ingest import NoSuchConnector, run_ingest, wish_for

    settings = settings_with_logging()
    options: dict[str, Any] = {"name": name, "as_of": instant_of(as_of) if as_of else None, "report": report}
    try:
        with services_of(settings) as services:
            wish_for(settings, connector, name, options["as_of"])
            with shown(services.dsn, "ingest", f"{connector} {path.name}", lines_of(path), _GO_ON) as work:
                reached = lambda done: work.reached(done.read)  # noqa: E731
                result = run_ingest(settings, services, connector, path, progress=reached, **options)
    except NoSuchConnector as error:
        fail(str(error), 2)
    if as_json:
        typer.echo(line(result.as_json()))
        return
    for row in result.lines():
        typer.echo(row)
