"""Looking into worker processes: their pages, their waits."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dujiang.embedded.ports import free_port
from tests.conftest import ROOT

QUICK = {"kafka__session_timeout_ms": "1500", "retry__first_s": "0.1", "retry__last_s": "0.5"}


class Worker:
    """A worker process and its pages."""

    def __init__(self, stage: Any, *steps: str, **settings: str) -> None:
        self._port = free_port()
        self.process: subprocess.Popen[bytes] = stage.worker(*steps, worker__http_port=str(self._port), **{**QUICK, **settings})

    def page(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        return self.page("/health/ready")[0] == 200

    def ready(self) -> dict[str, Any]:
        """The first runner's part of the page."""
        body = self.page("/health/ready")[1]
        found: dict[str, Any] = json.loads(body)["runners"][0] if body else {"condition": "", "message": "", "remedy": ""}
        return found

    def metric(self, sample: str) -> float:
        """A sample by its whole name with labels; 0 where there is none."""
        for text in self.page("/metrics")[1].splitlines():
            if text.startswith(sample + " "):
                return float(text.rpartition(" ")[2])
        return 0.0

    def is_stopped(self) -> bool:
        """By SIGSTOP."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def command(stage: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dujiang …` on the stage's services, as a process: in ours it would take the log over."""
    environment = {"DUJIANG_KAFKA__BOOTSTRAP": stage.bootstrap, "DUJIANG_DATABASE__DSN": stage.dsn}
    line = [sys.executable, "-m", "dujiang", *arguments]
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
