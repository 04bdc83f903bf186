"""Structs of contracts' models."""

import subprocess
import sys

# msgspec (0.22) looks into a class when it is first used; a second thread that uses it meanwhile ends the process (SIGSEGV).
_RACE = """
import sys, threading
from msgspec import convert
from schemas.projects import CONTRACTS
from schemas.structs import struct_of

sys.setswitchinterval(1e-6)
model = next(contract.data for contract in CONTRACTS if contract.name == "research.project.contracted")
milestones = [{"id": "M1", "due": "2026-02-01"}]
body = {"contract_no": "C-1", "amount": 1, "start": "2026-01-01", "end": "2027-01-01", "milestones": milestones}
for _ in range(300):
    form = struct_of.__wrapped__(model)
    together = threading.Barrier(2)

    def read():
        together.wait()
        convert(body, form)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_two_threads_may_use_a_struct_first_at_once() -> None:
    ended = subprocess.run([sys.executable, "-c", _RACE], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
