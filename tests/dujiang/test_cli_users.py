"""`dujiang users` as its users meet it."""

from typing import Any

import pytest

from tests.dujiang.conftest import Cli

pytestmark = pytest.mark.services


def test_users_come_change_and_go(on_stage: Cli) -> None:
    added = on_stage("users", "add", "li", "--role", "operator", "--generate")
    assert (added.status, len(added.out.strip())) == (0, 20)
    assert on_stage("users", "role", "li", "--role", "steward").out == "li is steward\n"
    again = on_stage("users", "password", "li", "--generate").out
    assert again not in {"", added.out}
    rows: list[Any] = on_stage("users", "list", "--json").rows
    assert [(row["user"], row["role"], row["sessions"]) for row in rows] == [("li", "steward", 0)]
    assert "password" not in rows[0]
    assert on_stage("users", "remove", "li").out == "li is removed\n"
    assert "no users" in on_stage("users", "list").err


def test_what_cannot_be_is_refused_in_a_line(on_stage: Cli) -> None:
    refused = on_stage("users", "remove", "nobody")
    assert (refused.status, "Traceback" in refused.err) == (1, False)
    assert "no user 'nobody'; `dujiang users list` shows all" in refused.err
    assert on_stage("users", "add", "li", "--role", "king", "--generate").status == 2


def test_console_listens_beyond_this_machine_only_where_passwords_are_safe(on_stage: Cli) -> None:
    refused = on_stage("console", console__host="0.0.0.0", console__port="0", console__http_port="0")
    assert refused.status == 1
    assert "console.public_url" in refused.err
