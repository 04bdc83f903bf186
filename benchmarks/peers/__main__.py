"""Dujiang beside its peers: the same events, interleaved runs, medians, CPU by part, and what each does less.

  python -m benchmarks.peers             all peers, 1,000,000 events, three runs each; writes results and the page
  python -m benchmarks.peers --events 200000 --runs 1 --only floor dujiang quix
  python -m benchmarks.peers --quick     30,000 events, one run, nothing written
  python -m benchmarks.peers --fetch     only fetch what the peers need

Slow peers get fewer events (about twenty seconds); the table says how many. The clock runs from the first commit seen to the
last, see `measure`; each peer's settings stand in its own file. What the peers need goes into the user's cache at first use:
jars from the Maven repositories that jgo knows, an environment of their own for Python packages. A peer that cannot be had
or cannot run here is left out, with the reason; one that stalls is ended after ten minutes, and that run counts as failed.
"""

import argparse
import signal
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.harness import Bench, bench, machine, say
from benchmarks.peers.connect import CONNECT
from benchmarks.peers.kafka_streams import STREAMS
from benchmarks.peers.measure import Run, UnfinishedError, run
from benchmarks.peers.ours import DUJIANG, FLOOR
from benchmarks.peers.peer import Peer, UnavailableError
from benchmarks.peers.quix import QUIX
from benchmarks.peers.traffic import Load, load
from benchmarks.peers.tutorial import EACH, IN_TABLE, TAKE
from dujiang.settings import load as load_settings

PEERS = {peer.name: peer for peer in (FLOOR, DUJIANG, CONNECT, QUIX, TAKE, EACH, IN_TABLE, STREAMS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(PEERS), choices=PEERS, metavar="NAME", help=", ".join(PEERS))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.runs = 30_000, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that every process of ours is ended too
    cache = load_settings().cache_dir
    peers, absent = _prepared([PEERS[name] for name in arguments.only], cache)
    if arguments.fetch:
        print(f"ready: {', '.join(peer.name for peer in peers)}")
    else:
        with bench() as at:
            runs = _measured(at, peers, arguments.events, arguments.runs, cache)
        rows = summaries(peers, runs, arguments.runs)
        measured = {row["peer"] for row in rows}
        absent |= {peer.name: "no run came to its end" for peer in peers if peer.name not in measured}
        print(table(rows))
        if not arguments.quick:
            report.write("peers", machine(), rows)
    for name, reason in absent.items():
        print(f"NOT MEASURED: {name}: {reason}")


def _prepared(peers: list[Peer], cache: Path) -> tuple[list[Peer], dict[str, str]]:
    """Those that can run, and why the others cannot."""
    able, absent = [], {}
    for peer in peers:
        try:
            peer.prepare(cache)
        except UnavailableError as error:
            say(f"{peer.name} is left out: {error}")
            absent[peer.name] = str(error)
        else:
            able.append(peer)
    return able, absent


def _measured(at: Bench, peers: list[Peer], events: int, turns: int, cache: Path) -> list[Run]:
    """Runs by turns; peers that take as many events share a topic."""
    counts = {peer.name: min(events, peer.events_max) for peer in peers}
    loads: dict[int, Load] = {}
    for count in sorted(set(counts.values())):
        flat = any(peer.needs_flat and counts[peer.name] == count for peer in peers)
        loads[count] = load(at, count, flat=flat)
        say(f"{count:,} events loaded")
    runs = []
    for turn in range(turns):
        for peer in peers:
            try:
                found = run(peer, loads[counts[peer.name]], cache)
            except UnfinishedError as error:
                say(f"{peer.name:12} run {turn + 1}: failed: {error}")
                continue
            say(
                f"{found.peer:12} run {turn + 1}: {found.rate:9,.0f}/s"
                f"  CPU us/event worker {found.worker_us:.1f} database {found.database_us:.1f} broker {found.broker_us:.1f}"
                f"  {found.rows_wrong:,} of {found.rows:,} rows wrong"
            )
            runs.append(found)
    return runs


def summaries(peers: Sequence[Peer], runs: Sequence[Run], turns: int) -> list[dict[str, Any]]:
    """A row for each peer of which a run came to its end."""
    finished = {peer: [run for run in runs if run.peer == peer.name] for peer in peers}
    floor = [run.rate for run in runs if run.peer == FLOOR.name]
    floor_rate = statistics.median(floor) if floor else None
    return [_summary(peer, found, turns, floor_rate) for peer, found in finished.items() if found]


def _summary(peer: Peer, runs: list[Run], turns: int, floor_rate: float | None) -> dict[str, Any]:
    """Medians, the range of the rate, and of the end states the worst."""
    rates = [run.rate for run in runs]
    rate = statistics.median(rates)
    return {
        "peer": peer.name,
        "events": runs[0].events,
        "runs": len(runs),
        "runs_failed": turns - len(runs),
        "rate": rate,
        "rate_low": min(rates),
        "rate_high": max(rates),
        "of_floor": round(rate / floor_rate, 3) if floor_rate else None,
        **{name: statistics.median(getattr(run, name) for run in runs) for name in _COSTS},
        "rows": runs[0].rows,
        "rows_wrong": max(run.rows_wrong for run in runs),
        "does_less": peer.less,
        "setup": peer.setup,
    }


_COSTS = ("worker_us", "database_us", "broker_us", "peak_mib")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| peer | events | runs | events/s (range) | of floor | us worker / database / broker | MiB | rows wrong | does less |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        cells = (
            row["peer"],
            f"{row['events']:,}",
            f"{row['runs']} of {row['runs'] + row['runs_failed']}",
            f"{row['rate']:,.0f} ({row['rate_low']:,}-{row['rate_high']:,})",
            "-" if row["of_floor"] is None else f"{row['of_floor']:.2f}",
            f"{row['worker_us']:.1f} / {row['database_us']:.1f} / {row['broker_us']:.1f}",
            f"{row['peak_mib']:,.0f}",
            f"{row['rows_wrong']:,} of {row['rows']:,}",
            row["does_less"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
