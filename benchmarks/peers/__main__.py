"""Dujiang beside its peers: the same events, interleaved runs, medians, CPU by part, and what each does less.

  python -m benchmarks.peers                                  all peers, 1,000,000 events, three runs each
  python -m benchmarks.peers --events 200000 --runs 1 --peers floor dujiang quix

Slow peers get fewer events (about twenty seconds); the table says how many. The clock runs from the first commit seen to the
last, see `measure`; each peer's settings stand in its own file. First use fetches what is missing into the user's cache: jars
from Maven Central, an environment for Quix Streams. A peer that cannot run here is left out with the reason;
one that stalls is ended after three minutes and the run counted as failed.
"""

import argparse
import signal
import statistics
import sys
from dataclasses import asdict
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
    parser.add_argument("--quick", action="store_true", help="30,000 events, one run, nothing written")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.events, arguments.runs = 30_000, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that every process of ours is ended too
    cache = load_settings().cache_dir
    peers, absent = _prepared([PEERS[name] for name in arguments.peers], cache)
    with bench() as at:
        runs = _measured(at, peers, arguments.events, arguments.runs, cache)
    rows = []
    for peer in peers:
        if finished := [run for run in runs if run.peer == peer.name]:
            rows.append(_summary(peer, finished, arguments.runs))
        else:
            absent[peer.name] = "no run came to its end"
    print(table(rows))
    for row in rows:
        print(f"{row['peer']}: {row['setup']}")
    for name, reason in absent.items():
        print(f"not run: {name}: {reason}")
    if not arguments.quick:
        report.write("peers", machine(), [*rows, *({"peer": name, "absent": reason} for name, reason in absent.items())])


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
                f"  CPU us/event client {found.client_us:.1f} database {found.database_us:.1f} broker {found.broker_us:.1f}"
                f"  {found.rows_wrong:,} of {found.rows:,} rows wrong"
            )
            runs.append(found)
    return runs


def _summary(peer: Peer, runs: list[Run], turns: int) -> dict[str, Any]:
    """Medians with the range of the rate."""
    middle = {
        name: statistics.median(getattr(run, name) for run in runs)
        for name in ("events", "rate", "client_us", "database_us", "broker_us", "peak_mib", "rows", "rows_wrong")
    }
    rates = [run.rate for run in runs]
    return {
        "peer": peer.name,
        "setup": peer.setup,
        "does_less": peer.less,
        **middle,
        "rate_low": min(rates),
        "rate_high": max(rates),
        "turns": turns,
        "runs": [asdict(run) for run in runs],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown; the ratio is to the floor's rate, where it ran."""
    floor = next((row["rate"] for row in rows if row["peer"] == "floor"), None)
    lines = [
        "| peer | events | runs | events/s (range) | of floor | us client / database / broker | MiB | rows wrong | does less |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        cells = (
            row["peer"],
            f"{row['events']:,.0f}",
            f"{len(row['runs'])} of {row['turns']}",
            f"{row['rate']:,.0f} ({row['rate_low']:,.0f}-{row['rate_high']:,.0f})",
            f"{row['rate'] / floor:.2f}" if floor else "-",
            f"{row['client_us']:.1f} / {row['database_us']:.1f} / {row['broker_us']:.1f}",
            f"{row['peak_mib']:,.0f}",
            f"{row['rows_wrong']:,.0f} of {row['rows']:,.0f}",
            row["does_less"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
