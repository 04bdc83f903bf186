"""The demo's view: one screen of 80 x 24, nothing that breaks when the terminal is smaller."""

import io

import pytest
from rich.console import Console

from dujiang.demo.figures import Figures
from dujiang.demo.view import PartnerRow, Screen, line, render
from engine.ledger import Account
from schemas.projects import State

ADDRESSES = {
    "gateway": "http://127.0.0.1:8600/events  /health/ready  /metrics  /problems",
    "worker": "http://127.0.0.1:8601/metrics  kafka 127.0.0.1:27738",
    "database": "postgresql://dujiang@127.0.0.1:25413/dujiang (password: addresses.json)",
    "logs": "/home/user/.local/share/dujiang-demo/logs",
    "look": "DUJIANG_DATA_DIR=/home/user/.local/share/dujiang-demo dujiang projects",
}
PARTNERS = [
    PartnerRow(label, 12_345, 67, 8, 11.2)
    for label in ("企业 enterprise", "研究院所 institute", "设施监控 monitor", "局 bureau")
]
FULL = Figures(
    projects={state.value: 1_000 for state in list(State)[:14]},
    overlays={"overdue": 24, "underspent": 11, "at_risk": 7, "silent": 5},
    calls={"open": 18, "closed": 8},
    alerts=dict.fromkeys(("critical", "high", "warning", "low", "info"), (25, 6, 21)),
    outcomes=[Account(step, "*", *[123_456] * 9) for step in ("alerts", "calls", "history", "projects")],
    quarantine=[("invalid_utf8", 3), ("data_invalid", 2), ("missing_attribute", 1)],
    quarantined=6,
    lag={"projects": 3, "history": 4},
)


def drawn(screen: Screen, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(render(screen))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_full_view_fits_80_by_24() -> None:
    lines = drawn(Screen("001", 75, PARTNERS, FULL, ADDRESSES), 80, 24)
    assert len(lines) <= 24
    text = "\n".join(lines)
    for part in ("run 001  01:15", "研究院所 institute", "critical", "123k 123k", "overdue", ":8600/events", "invalid_utf8"):
        assert part in text


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (40, 10), (300, 100)])
@pytest.mark.parametrize("figures", [Figures(), FULL], ids=["empty", "full"])
def test_any_terminal_is_drawn_on(size: tuple[int, int], figures: Figures) -> None:
    assert drawn(Screen("001", 0, PARTNERS, figures, ADDRESSES, ("worker-1 ended [pid 7]",)), *size)


def test_text_of_others_is_no_markup() -> None:
    text = "\n".join(drawn(Screen("001", 0, PARTNERS, FULL, {"logs": "/var/[red]x"}, ("[bold]boo",)), 100, 40))
    assert "/var/[red]x" in text
    assert "[bold]boo" in text


def test_without_a_terminal_a_line_says_the_same() -> None:
    told = line(Screen("001", 5, PARTNERS, FULL, ADDRESSES))
    assert told == "   5 s  in 49380, refused 268, lag 7, projects 14000, open alerts 260, quarantine 6"
