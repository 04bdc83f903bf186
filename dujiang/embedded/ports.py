"""Ports on the loopback, chosen once and remembered in a server's home."""

import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from dujiang.embedded.errors import StartError
from dujiang.embedded.files import write_whole

LOOPBACK = "127.0.0.1"
# Below the range that the kernel takes for outgoing connections (32768 on Linux): a client that keeps trying a stopped
# server there would some day be given the server's own port as its source, connect to itself, and so block the restart.
PORTS = range(20_000, 30_000)
TRIES_MAX = 200
CONNECT_TIMEOUT_S = 1.0


def is_free(port: int) -> bool:
    """Whether a server could listen there now; connections still in TIME_WAIT do not count, as for the servers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def require_free(port: int, name: str) -> None:
    """Raise where something else listens on the port."""
    if not is_free(port):
        raise StartError(f"{name}: port {port} on {LOOPBACK} is in use; end what listens there, or set another port")


def settle_port(memory: Path, *, given: int = 0, taken: Iterable[int] = ()) -> int:
    """The given port, else the remembered one while it is free, else a new one; the answer is remembered."""
    port = given or _remembered(memory) or free_port(set(taken))
    write_whole(memory, f"{port}\n")
    return port


def _remembered(memory: Path) -> int | None:
    if not memory.exists():
        return None
    text = memory.read_text().strip()
    return int(text) if text.isdigit() and is_free(int(text)) else None


def free_port(taken: Collection[int] = ()) -> int:
    """A port that nothing listens on now, outside the range of outgoing connections. Raises StartError."""
    for port in random.sample(PORTS, TRIES_MAX):
        if port not in taken and is_free(port):
            return port
    raise StartError(f"no free port on {LOOPBACK} among {TRIES_MAX} tried in {PORTS.start}-{PORTS.stop - 1}; set one")
