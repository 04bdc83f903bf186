"""Fetch jars by Maven coordinates with jgo's pure-Python resolver; no Maven needed.

jgo walks the POMs; the transfer itself is ours, because jgo writes straight to the final name (a kill leaves half a jar
that the next run believes) and only warns of a wrong checksum.
"""

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver
from jgo.util import http

from dujiang.embedded.errors import DownloadError
from dujiang.embedded.jars import Progress

ATTEMPTS_MAX = 3
RETRY_DELAY_S = 1.0
TIMEOUT_S = 30
PARALLEL_MAX = 4
CHUNK_BYTES = 65_536
REPORT_EVERY_S = 1.0


def fetch_jars(repository: Path, coordinates: Sequence[str], *, progress: Progress) -> list[Path]:
    """The jars of the coordinates and of all they need at run time, in class path order.

    `repository` is laid out as Maven's. What it holds is whole and not fetched again, so a killed run is gone on with.
    A mirror named in jgo's own configuration (`[repositories]`) is asked first.
    """
    meter = _Meter(progress)
    context = MavenContext(
        resolver=_WholeFileResolver(meter),
        repo_cache=repository,
        remote_repos={**GlobalSettings.load().repositories, **MavenContext().remote_repos},
        timeout=TIMEOUT_S,
    )
    progress("Kafka: reading the list of jars (first start only)")
    try:
        artifacts = _resolve(context, coordinates)
        meter.expect(sum(not artifact.cached_path.exists() for artifact in artifacts))
        with ThreadPoolExecutor(PARALLEL_MAX) as pool:
            paths = [Path(path) for path in pool.map(lambda artifact: artifact.resolve(), artifacts)]
    except (requests.RequestException, OSError, RuntimeError) as error:
        raise DownloadError(
            f"Kafka's jars could not be fetched: {error}; check the network or the proxy (HTTPS_PROXY), or name a "
            f"Maven mirror in jgo's configuration, then start again: what is complete in {repository} is kept"
        ) from error
    meter.report()
    return paths


def _resolve(context: Any, coordinates: Iterable[str]) -> list[Any]:
    # "!" keeps jgo from importing a coordinate's dependency management for all of them: log4j's parent manages
    # kafka-clients 3.9.1, with which a 4.4 broker does not start.
    wanted = [context.create_dependency(f"{coordinate}!") for coordinate in coordinates]
    inputs, needed = context.resolver.resolve(wanted)
    return [found.artifact for found in (*inputs, *needed) if found.scope in (None, "compile", "runtime")]


class _WholeFileResolver(PythonResolver):  # type: ignore[misc]  # jgo is untyped here
    """jgo's resolver with a transfer that leaves whole, checked files or none."""

    def __init__(self, meter: "_Meter") -> None:
        super().__init__()
        self._meter = meter

    def download(self, artifact: Any) -> Path:
        target: Path = artifact.cached_path
        target.parent.mkdir(parents=True, exist_ok=True)
        below = f"{artifact.component.path_prefix.as_posix()}/{artifact.filename}"
        for base in artifact.context.remote_repos.values():
            if self._fetch(f"{base}/{below}", target):
                return target
        raise DownloadError(f"{artifact} is in none of the repositories {', '.join(artifact.context.remote_repos)}")

    def _fetch(self, url: str, target: Path) -> bool:
        """Whether the repository has the file; it is then in place."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return self._fetch_once(url, target)
            except (requests.RequestException, DownloadError):
                if attempt == ATTEMPTS_MAX:
                    raise
                time.sleep(RETRY_DELAY_S * attempt)
        return False

    def _fetch_once(self, url: str, target: Path) -> bool:
        response = http.get(url, stream=True, timeout=TIMEOUT_S)
        if response.status_code == requests.codes.not_found:
            return False
        response.raise_for_status()
        part = target.with_name(f"{target.name}.part")
        digest = hashlib.sha1(usedforsecurity=False)  # what Maven repositories publish; it guards the transfer
        with part.open("wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                self._meter.add_bytes(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        self._check(url, digest.hexdigest())
        part.replace(target)
        self._meter.add_file(target)
        return True

    def _check(self, url: str, sha1: str) -> None:
        answer = http.get(f"{url}.sha1", timeout=TIMEOUT_S)
        answer.raise_for_status()
        expected = answer.text.split()[0].lower()
        if sha1 != expected:
            raise DownloadError(f"{url}: SHA-1 is {sha1}, the repository says {expected}")


class _Meter:
    """Says about once a second how far the fetch has come."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._poms = self._jars = self._bytes = self._jars_expected = 0
        self._reported_at = time.monotonic()

    def expect(self, jars: int) -> None:
        self._jars_expected = jars
        self.report()

    def add_bytes(self, count: int) -> None:
        with self._lock:
            self._bytes += count
            due = time.monotonic() - self._reported_at >= REPORT_EVERY_S
            if due:
                self._reported_at = time.monotonic()
        if due:
            self.report()

    def add_file(self, path: Path) -> None:
        with self._lock:
            if path.suffix == ".jar":
                self._jars += 1
            else:
                self._poms += 1

    def report(self) -> None:
        megabytes = self._bytes / 1e6
        if self._jars_expected:
            self._progress(f"Kafka: {self._jars} of {self._jars_expected} jars, {megabytes:.1f} MB")
        else:
            self._progress(f"Kafka: {self._poms} descriptions of jars read, {megabytes:.1f} MB")
