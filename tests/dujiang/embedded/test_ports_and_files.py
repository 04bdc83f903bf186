"""The small parts: ports that are remembered, files that are whole, processes that are who they were."""

import os
import pwd
import socket
import subprocess
from pathlib import Path

import pytest

from dujiang.embedded.accounts import let_pass
from dujiang.embedded.errors import AlreadyRunningError
from dujiang.embedded.files import build_folder, rotate, tail, try_lock, write_whole
from dujiang.embedded.ports import PORTS, is_free, settle_port
from dujiang.embedded.processes import Identity, identity_of, refuse_running, remember


def test_port_is_remembered(tmp_path: Path) -> None:
    port = settle_port(tmp_path / "port")
    assert port in PORTS
    assert settle_port(tmp_path / "port") == port


def test_remembered_port_that_is_taken_gives_way_to_another(tmp_path: Path) -> None:
    port = settle_port(tmp_path / "port")
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        other = settle_port(tmp_path / "port")
    assert other != port
    assert settle_port(tmp_path / "port") == other


def test_given_port_is_taken_over_and_remembered(tmp_path: Path) -> None:
    assert settle_port(tmp_path / "port", given=20_001) == 20_001
    assert (tmp_path / "port").read_text() == "20001\n"


def test_written_file_has_its_rights_from_the_first_byte_on(tmp_path: Path) -> None:
    write_whole(tmp_path / "secret", "old", mode=0o600)
    write_whole(tmp_path / "secret", "new", mode=0o600)
    assert (tmp_path / "secret").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_folder_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    def killed(part: Path) -> None:
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_folder(tmp_path / "data", killed)
    assert not (tmp_path / "data").exists()

    build_folder(tmp_path / "data", lambda part: (part / "whole").touch())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["whole"]


def test_lock_is_free_again_when_its_file_closes(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    assert try_lock(tmp_path / "lock") is None
    first.close()
    second = try_lock(tmp_path / "lock")
    assert second is not None
    second.close()


def test_tail_is_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(9_000)))
    assert tail(tmp_path / "log", lines=2) == "    line 8998\n    line 8999"
    assert tail(tmp_path / "none") == ""


def test_log_is_put_aside_when_it_has_grown_too_long(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("long")
    rotate(tmp_path / "log", bytes_max=4)
    assert (tmp_path / "log").exists()
    rotate(tmp_path / "log", bytes_max=3)
    assert [path.name for path in tmp_path.iterdir()] == ["log.1"]


def test_pid_that_came_round_again_is_not_the_same_process() -> None:
    me = identity_of(os.getpid())
    assert me is not None
    assert me.is_alive()
    assert not Identity(me.pid, me.started_ticks + 1).is_alive()


def test_home_of_a_living_server_is_refused_and_of_a_dead_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dujiang.embedded.processes.LEFTOVER_WAIT_S", 0.1)
    with subprocess.Popen(["sleep", "60"]) as process:
        remember(tmp_path / "pid", process.pid)
        with pytest.raises(AlreadyRunningError, match=f"Kafka of .* already runs, pid {process.pid}; use it, or stop"):
            refuse_running(tmp_path / "pid", "Kafka")
        process.kill()
    refuse_running(tmp_path / "pid", "Kafka")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lets another account through its folders")
def test_account_may_go_through_the_folders_above_but_not_list_them(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "file").write_text("reached")
    (private / "file").chmod(0o644)

    def runs_as_nobody(*command: str) -> bool:
        return subprocess.run(command, user=nobody.pw_uid, group=nobody.pw_gid, capture_output=True).returncode == 0

    assert not runs_as_nobody("cat", str(private / "file"))
    lines: list[str] = []
    let_pass("nobody", [private / "file"], progress=lines.append)

    assert runs_as_nobody("cat", str(private / "file"))
    assert not runs_as_nobody("ls", str(private))
    assert private.stat().st_mode & 0o007 == 0  # nothing for everybody else
    assert lines[-1] == f"PostgreSQL: the account nobody may now go through {private} (ACL entry, nothing else)"
    lines.clear()
    let_pass("nobody", [private / "file"], progress=lines.append)
    assert lines == []
