"""The live view: one screen from plain figures. Pure; fits 80 x 24 and uses what is larger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dujiang.demo.figures import Figures

SEVERITY_STYLES = {"critical": "bold red", "high": "red", "warning": "yellow", "low": "cyan", "info": "dim"}
OUTCOMES = ("applied", "duplicate", "superseded", "rejected", "quarantined")
SHORT = ("applied", "dup", "super", "reject", "quar")
MESSAGES_MAX = 4
LAG_RED = 1_000  # records


@dataclass(frozen=True)
class PartnerRow:
    """A partner's line. `rate`: events a second of the last few seconds."""

    label: str
    accepted: int
    refused: int
    straight: int
    rate: float


@dataclass(frozen=True)
class Screen:
    """All that is shown at one moment."""

    run: str
    elapsed_s: float
    partners: Sequence[PartnerRow]
    figures: Figures
    addresses: Mapping[str, str]
    messages: Sequence[str] = field(default_factory=tuple)


def render(screen: Screen) -> RenderableType:
    """From the top: what comes in, what becomes of it, where things stand, where to look further."""
    figures = screen.figures
    return Group(
        _head(screen),
        _beside(
            _titled("伙伴 partners", _partners(screen.partners)), _titled("告警 alerts: open, ack, ended", _alerts(figures))
        ),
        _beside(_titled("结果 outcomes", _outcomes(figures)), _titled("指南与隔离 calls, quarantine", _calls(figures))),
        _titled(Text.assemble(("项目 projects  ", "bold"), _counts(figures.overlays, "yellow")), _projects(figures)),
        _titled("地址 addresses", _addresses(screen.addresses)),
        *(Text(f"! {message}", style="yellow") for message in [*figures.troubles, *screen.messages][-MESSAGES_MAX:]),
    )


def line(screen: Screen) -> str:
    """The same in one line, for an output that is no terminal."""
    figures = screen.figures
    accepted = sum(partner.accepted for partner in screen.partners)
    refused = sum(partner.refused for partner in screen.partners)
    alerts = sum(sum(counts) for counts in figures.alerts.values())
    return (
        f"{screen.elapsed_s:4.0f} s  in {accepted}, refused {refused}, lag {sum(figures.lag.values())},"
        f" projects {sum(figures.projects.values())}, open alerts {alerts}, quarantine {figures.quarantined}"
    )


def _head(screen: Screen) -> RenderableType:
    minutes, seconds = divmod(int(screen.elapsed_s), 60)
    total = sum(partner.accepted for partner in screen.partners)
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True)
    head.add_column(justify="right", no_wrap=True)
    head.add_row(
        Text.assemble(("都江堰 Dujiang", "bold cyan"), f"  run {screen.run}  {minutes:02d}:{seconds:02d}  in {total:,}"),
        Text("Ctrl-C 停止 stop", style="dim"),
    )
    return head


def _titled(title: str | Text, body: RenderableType) -> RenderableType:
    return Group(Rule(Text(title, style="bold") if isinstance(title, str) else title, align="left", style="dim"), body)


def _beside(left: RenderableType, right: RenderableType) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=4)
    grid.add_column(ratio=3)
    grid.add_row(left, right)
    return grid


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", expand=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _partners(partners: Iterable[PartnerRow]) -> Table:
    table = _table("", "in", "refused", "/s")
    for partner in partners:
        told = f"{partner.accepted + partner.straight:,}"
        table.add_row(partner.label, told, f"{partner.refused:,}", f"{partner.rate:.1f}")
    return table


def _alerts(figures: Figures) -> Table:
    table = _table("", "open", "ack", "ended")
    table.show_header = False
    for severity, (fresh, taken, ended) in figures.alerts.items():
        table.add_row(Text(severity, style=SEVERITY_STYLES.get(severity, "")), f"{fresh:,}", f"{taken:,}", f"{ended:,}")
    return table


def _outcomes(figures: Figures) -> Table:
    table = _table("", *SHORT, "lag")
    for account in figures.outcomes:
        lag = figures.lag.get(account.step, 0)
        values = [_short(getattr(account, name)) for name in OUTCOMES]
        table.add_row(account.step, *values, Text(_short(lag), style="red" if lag > LAG_RED else ""))
    return table


def _short(count: int) -> str:
    """At most five characters, so that seven columns fit."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count // 1_000}k" if count < 10_000_000 else f"{count // 1_000_000}M"


def _calls(figures: Figures) -> RenderableType:
    calls = " ".join(f"{phase} {count}" for phase, count in figures.calls.items()) or "-"
    rows: list[RenderableType] = [Text(calls)]
    rows += [Text(f"{count:,} {reason}", style="magenta", no_wrap=True) for reason, count in figures.quarantine]
    return Group(*rows)


def _projects(figures: Figures) -> RenderableType:
    return _counts(figures.projects, "") or Text("-")


def _counts(counts: Mapping[str, int], style: str) -> Text:
    return Text("  ").join(Text.assemble((name, style), " ", (f"{count:,}", "bold")) for name, count in counts.items())


def _addresses(addresses: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, address in addresses.items():
        table.add_row(name, escape(address))
    return table
