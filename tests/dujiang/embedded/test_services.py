"""Both services for real: what a start promises, and what a crash must not break."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dujiang.embedded.errors import AlreadyRunningError, StartError
from dujiang.embedded.postgres import PostgresServer
from dujiang.embedded.processes import identity_of, wait_gone, working_in
from dujiang.embedded.services import Services, find_running, up

pytestmark = pytest.mark.services

WAIT_S = 20.0
Start = Callable[..., Services]
StartPostgres = Callable[..., PostgresServer]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[tuple[Path, Services]]:
    """One running pair for the tests that only look at it."""
    data_dir = tmp_path_factory.mktemp("running")
    with up(data_dir, cache, progress=lambda _: None) as services:
        yield data_dir, services


def make_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(WAIT_S)


def publish(bootstrap: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(WAIT_S) == 0


def read(bootstrap: str, topic: str, count: int, **options: object) -> list[bytes]:
    settings = {"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer(settings | {"enable.auto.commit": False} | options)
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + WAIT_S
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


def query(dsn: str, text: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(text).fetchone()  # type: ignore[call-overload]
    return row and row[0]


def execute(dsn: str, text: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(text)  # type: ignore[call-overload]


def write_both(services: Services) -> None:
    make_topic(services.kafka.bootstrap, "kept")
    publish(services.kafka.bootstrap, "kept", b"one")
    execute(services.postgres.dsn, "CREATE TABLE kept AS SELECT 1 AS number")


def assert_both_kept(services: Services) -> None:
    assert read(services.kafka.bootstrap, "kept", 1) == [b"one"]
    assert query(services.postgres.dsn, "SELECT number FROM kept") == 1


def test_second_start_goes_on_with_data_and_addresses(tmp_path: Path, start: Start) -> None:
    with start(tmp_path / "data") as services:
        write_both(services)
        first = services.addresses

    with start(tmp_path / "data") as services:
        assert_both_kept(services)
        assert (services.addresses.bootstrap, services.addresses.dsn) == (first.bootstrap, first.dsn)


def test_kill_of_both_loses_nothing_and_hinders_no_restart(tmp_path: Path, start: Start) -> None:
    services = start(tmp_path)
    write_both(services)
    before = services.addresses
    os.kill(before.kafka.pid, signal.SIGKILL)
    os.kill(before.postgres.pid, signal.SIGKILL)  # its other processes are left to notice by themselves

    services.kafka.restart()
    services.postgres.restart()

    assert_both_kept(services)
    assert (services.addresses.bootstrap, services.addresses.dsn) == (before.bootstrap, before.dsn)


def test_crash_of_the_whole_server_group_is_recovered_from(tmp_path: Path, start_pg: StartPostgres) -> None:
    server = start_pg(tmp_path)
    execute(server.dsn, "CREATE TABLE kept AS SELECT 1 AS number")
    with psycopg.connect(server.dsn) as unfinished:
        unfinished.execute("INSERT INTO kept VALUES (2)")
        server.kill()
        assert working_in(tmp_path / "data") == []
        unfinished.close()

    server.start()

    assert query(server.dsn, "SELECT sum(number) FROM kept") == 1


def test_stopped_server_comes_back_on_its_port_and_the_file_follows(tmp_path: Path, start: Start) -> None:
    services = start(tmp_path)
    before = services.addresses
    services.postgres.stop()
    assert services.postgres.pid is None
    assert find_running(tmp_path) is None

    services.postgres.start()

    assert services.addresses.dsn == before.dsn
    assert services.addresses.postgres != before.postgres
    assert find_running(tmp_path) == services.addresses


def test_addresses_and_passwords_are_for_the_owner_only(running: tuple[Path, Services]) -> None:
    data_dir, _ = running
    secret_files = [data_dir / "addresses.json", data_dir / "postgres" / "passwords.json"]
    assert [oct(file.stat().st_mode & 0o777) for file in secret_files] == ["0o600", "0o600"]


def test_second_up_is_refused_and_names_the_first(running: tuple[Path, Services], start: Start) -> None:
    data_dir, services = running
    with pytest.raises(AlreadyRunningError, match=f"already running, pid {os.getpid()}; use it, or stop it"):
        start(data_dir)
    assert query(services.postgres.dsn, "SELECT 1") == 1


def test_wrong_and_missing_password_are_refused(running: tuple[Path, Services]) -> None:
    _, services = running
    wrong = psycopg.conninfo.make_conninfo(services.postgres.dsn, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    missing = psycopg.conninfo.make_conninfo(services.postgres.dsn, password="")
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(missing)


def test_role_owns_its_database_and_is_no_superuser(running: tuple[Path, Services]) -> None:
    _, services = running
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    assert query(services.postgres.dsn, owner) == "dujiang"
    assert query(services.postgres.dsn, superuser) is False
    assert query(services.postgres.admin_dsn, superuser) is True


def test_database_is_durable_utf8_and_orders_by_code_point(running: tuple[Path, Services]) -> None:
    _, services = running
    assert query(services.postgres.dsn, "SHOW fsync") == "on"
    assert query(services.postgres.dsn, "SHOW synchronous_commit") == "on"
    assert query(services.postgres.dsn, "SHOW server_encoding") == "UTF8"
    assert query(services.postgres.dsn, "SELECT 'a' > 'Z' AND '都' > '堰'") is True


def test_unknown_topic_is_not_made_by_asking(running: tuple[Path, Services]) -> None:
    _, services = running
    admin = AdminClient({"bootstrap.servers": services.kafka.bootstrap})
    assert admin.list_topics("mistyped", timeout=WAIT_S).topics["mistyped"].error is not None
    assert "mistyped" not in admin.list_topics(timeout=WAIT_S).topics


@pytest.mark.parametrize("options", [{"group.protocol": "classic", "session.timeout.ms": 1500}, {"group.protocol": "consumer"}])
def test_both_group_protocols_read(running: tuple[Path, Services], options: dict[str, object]) -> None:
    _, services = running
    topic = f"read-{options['group.protocol']}"
    make_topic(services.kafka.bootstrap, topic)
    publish(services.kafka.bootstrap, topic, b"one")
    assert read(services.kafka.bootstrap, topic, 1, **{"group.id": topic, **options}) == [b"one"]


def test_start_needs_no_network_and_no_resolver_once_the_jars_are_there(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path).stop()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "jgo", None)  # an import of it fails now
    monkeypatch.delitem(sys.modules, "dujiang.embedded.maven", raising=False)

    services = start(tmp_path)

    assert find_running(tmp_path) == services.addresses


def test_services_end_with_a_parent_that_is_killed(tmp_path: Path, cache: Path, start: Start) -> None:
    code = (
        "import sys, time; from pathlib import Path; from dujiang.embedded.services import up\n"
        "services = up(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda _: None)\n"
        "print('up', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        addresses = find_running(tmp_path)
        assert addresses is not None
        write = "CREATE TABLE kept AS SELECT 1 AS number"
        execute(addresses.dsn, write)
        parent.kill()

    assert wait_gone(addresses.kafka, wait_s=WAIT_S)
    assert wait_gone(addresses.postgres, wait_s=WAIT_S)
    assert find_running(tmp_path) is None
    assert query(start(tmp_path).postgres.dsn, "SELECT number FROM kept") == 1


def test_leftover_pid_file_that_names_a_living_stranger_hinders_no_start(tmp_path: Path, start_pg: StartPostgres) -> None:
    server = start_pg(tmp_path)
    pid_file = tmp_path / "data" / "postmaster.pid"
    leftover = pid_file.read_text()
    server.kill()
    account = pid_file.parent.stat()  # PostgreSQL itself is deceived only by a process of its own user
    with subprocess.Popen(["sleep", "60"], user=account.st_uid, group=account.st_gid) as stranger:
        pid_file.write_text(leftover.replace(leftover.split()[0], str(stranger.pid), 1))
        server.start()
        stranger.kill()

    assert query(server.dsn, "SELECT 1") == 1


def test_kafka_that_ends_while_starting_names_the_cause_and_takes_postgres_down(tmp_path: Path, start: Start) -> None:
    with pytest.raises(StartError, match=r"(?s)Kafka.*(heap|OutOfMemory).*start again"):
        start(tmp_path, kafka_heap="2m")

    assert working_in(tmp_path / "kafka") == []
    assert working_in(tmp_path / "postgres" / "data") == []
    start(tmp_path)  # the lock is free and nothing half-made is in the way


def test_given_port_that_is_taken_is_refused(tmp_path: Path, running: tuple[Path, Services], start_pg: StartPostgres) -> None:
    _, services = running
    with pytest.raises(StartError, match=f"PostgreSQL: port {services.postgres.port} on 127.0.0.1 is in use"):
        start_pg(tmp_path, port=services.postgres.port)


def test_stop_leaves_no_process_and_may_be_repeated(tmp_path: Path, start: Start) -> None:
    services = start(tmp_path)
    addresses = services.addresses
    assert find_running(tmp_path) == addresses
    services.stop()
    services.stop()
    assert [identity_of(addresses.kafka.pid), identity_of(addresses.postgres.pid)] == [None, None]
    assert find_running(tmp_path) is None
    assert not (tmp_path / "addresses.json").exists()
