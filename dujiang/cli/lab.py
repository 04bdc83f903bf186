"""`dujiang lab`: try a webhook receiver, or be one. Needs no services."""

import asyncio
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from dujiang.cli.context import AsJson
from dujiang.cli.output import fail, line, show, speaks, stderr

if TYPE_CHECKING:
    from dujiang.lab.listener import Heard

app = typer.Typer(no_args_is_help=True, help="For partners: try your webhook receiver, or receive with ours.")


@app.command()
@speaks
def receiver(
    url: Annotated[str, typer.Argument(help="Your receiver's.")],
    secret: Annotated[
        str, typer.Option(envvar="WEBHOOK_SECRET", help="What your receiver verifies with: whsec_…; or our half, whsk_….")
    ],
    origin: Annotated[str, typer.Option(help="The DNS name that is sent as WebHook-Request-Origin.")] = "dujiang.example.org",
    as_json: AsJson = False,
) -> None:
    """Send what real life sends: repeats, wrong order, wrong and rotated keys, old times, large and slow bodies, Chinese.

    Ends with status 1 when a trial fails.
    """
    from dujiang.lab.trials import try_receiver
    from sinks.webhooks.signing import KeyRefused

    try:
        results = asyncio.run(try_receiver(url, secret, origin))
    except (KeyRefused, ValueError) as error:
        fail(str(error), 2)
    rows = [
        asdict(result)
        | {
            "passed": result.passed if as_json else "yes" if result.passed else "NO",
            "statuses": list(result.statuses),
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    show(rows, as_json=as_json)
    failed = [result for result in results if not result.passed]
    for result in failed:
        stderr.print(f"[red]{result.trial}[/red]: {result.advice}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)
    stderr.print(f"all {len(results)} trials passed")


@app.command("listen")
@speaks
def listen_here(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="TCP port; 0: a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        list[str] | None,
        typer.Option(envvar="WEBHOOK_SECRET", help="whsec_… or whpk_… (repeat it while rotating); default: a new one, shown."),
    ] = None,
    answer: Annotated[int, typer.Option(min=200, max=599, help="Status of good deliveries: 200, 410, 429, 500 …")] = 200,
    retry_after: Annotated[int | None, typer.Option(min=0, max=86_400, help="Seconds, with 429 and 503.")] = None,
    slow: Annotated[float, typer.Option(min=0, max=600, help="Seconds before each answer.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Only every so many-th gets that answer, the others 200.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Receive webhooks: verify them, print a line for each, answer as told. Until Ctrl-C."""
    from dujiang.lab.listener import Behaviour, Listener, listen
    from sinks.webhooks.signing import KeyRefused, new_secret, verifier_of

    if not secret:
        secret = [new_secret()]
        stderr.print(f"secret  {secret[0]}", soft_wrap=True)
    try:
        verifiers = [verifier_of(text) for text in secret]
    except KeyRefused as error:
        fail(str(error), 2)

    def on_heard(heard: "Heard") -> None:
        typer.echo(line(heard._asdict()) if as_json else _told(heard))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        listener = Listener(verifiers, Behaviour(answer, retry_after, slow, every), on_heard)
        await listen(listener, host, port, stop, lambda url: stderr.print(f"listening  {url}", soft_wrap=True))

    try:
        asyncio.run(run())
    except OSError as error:
        _refuse_port(host, port, error)


def _refuse_port(host: str, port: int, error: OSError) -> NoReturn:
    fail(f"cannot listen on {host} port {port}: {error.strerror}; end what listens there, or take another --port")


def _told(heard: "Heard") -> str:
    place = f"#{heard.number or '-'} {heard.type or '-'} {heard.subject} {heard.id}"
    return f"{heard.status} {heard.verdict:<14} {place} {heard.bytes} B"
