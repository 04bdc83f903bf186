"""Users of the console: nobody gets in without one, nor with a wrong password, nor for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg import Cursor

from gateway.console import passwords, users
from gateway.console.rights import Right, Role, User
from gateway.console.users import FAILURES_MAX, LOCKED_FOR, SESSIONS_MAX, Limits, Locked, SignedIn, UserRefused

pytestmark = pytest.mark.services

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
LIMITS = Limits(timedelta(hours=12), timedelta(minutes=60))
PASSWORD = "correct horse battery"


@pytest.fixture
def cursor(database: str) -> Iterator[Cursor[Any]]:
    with psycopg.connect(database) as connection, connection.cursor() as found:
        yield found


@pytest.fixture
def li(cursor: Cursor[Any]) -> str:
    users.add(cursor, "li", Role.OPERATOR, PASSWORD, "tests")
    return "li"


def _cookie(cursor: Cursor[Any], now: datetime = NOW) -> str:
    found = users.sign_in(cursor, "li", PASSWORD, now, LIMITS)
    assert isinstance(found, SignedIn)
    return found.cookie


def test_right_password_begins_a_session(cursor: Cursor[Any], li: str) -> None:
    assert users.signed_in(cursor, _cookie(cursor), NOW, LIMITS, is_seen=True) == User("li", Role.OPERATOR)


def test_wrong_password_and_unknown_name_are_told_the_same(cursor: Cursor[Any], li: str) -> None:
    looked_at: list[str] = []

    def is_right(password: str, stored: str) -> bool:
        looked_at.append(stored)
        return False

    assert users.sign_in(cursor, "li", "wrong", NOW, LIMITS, is_right) is None
    assert users.sign_in(cursor, "nobody", "wrong", NOW, LIMITS, is_right) is None
    assert looked_at[1] == passwords.nobodys()  # as long a look as at a real one


def test_fifth_wrong_password_locks_even_the_right_one_for_a_while(cursor: Cursor[Any], li: str) -> None:
    for _ in range(FAILURES_MAX - 1):
        assert users.sign_in(cursor, "li", "wrong", NOW, LIMITS) is None
    locked = Locked(NOW + LOCKED_FOR)
    assert users.sign_in(cursor, "li", "wrong", NOW, LIMITS) == locked
    assert users.sign_in(cursor, "li", PASSWORD, NOW, LIMITS) == locked
    assert isinstance(users.sign_in(cursor, "li", PASSWORD, NOW + LOCKED_FOR, LIMITS), SignedIn)
    cursor.execute("SELECT action FROM console_deed WHERE subject = 'li' ORDER BY id")
    assert cursor.fetchall() == [("user_added",), ("locked",), ("sign_in",)]


def test_right_password_forgets_the_wrong_ones(cursor: Cursor[Any], li: str) -> None:
    for _ in range(2):
        for _ in range(FAILURES_MAX - 1):
            users.sign_in(cursor, "li", "wrong", NOW, LIMITS)
        assert isinstance(users.sign_in(cursor, "li", PASSWORD, NOW, LIMITS), SignedIn)


def test_session_ends_when_idle_and_when_old(cursor: Cursor[Any], li: str) -> None:
    cookie, minute = _cookie(cursor), timedelta(minutes=1)
    assert users.signed_in(cursor, cookie, NOW + LIMITS.idle - minute, LIMITS, is_seen=True) is not None
    assert users.signed_in(cursor, cookie, NOW + 2 * LIMITS.idle - 2 * minute, LIMITS, is_seen=False) is not None
    assert users.signed_in(cursor, cookie, NOW + 2 * LIMITS.idle, LIMITS, is_seen=True) is None
    other = _cookie(cursor)
    cursor.execute("UPDATE console_session SET seen_at = %s", (NOW + LIMITS.session,))
    assert users.signed_in(cursor, other, NOW + LIMITS.session, LIMITS, is_seen=True) is None


def test_signing_out_ends_this_session_alone(cursor: Cursor[Any], li: str) -> None:
    one, other = _cookie(cursor), _cookie(cursor)
    users.sign_out(cursor, one)
    assert users.signed_in(cursor, one, NOW, LIMITS, is_seen=True) is None
    assert users.signed_in(cursor, other, NOW, LIMITS, is_seen=True) is not None


def test_another_password_ends_all_sessions(cursor: Cursor[Any], li: str) -> None:
    cookie = _cookie(cursor)
    users.give_password(cursor, "li", "another good password", "tests")
    assert users.signed_in(cursor, cookie, NOW, LIMITS, is_seen=True) is None
    assert users.sign_in(cursor, "li", PASSWORD, NOW, LIMITS) is None


def test_removed_user_is_out_at_once(cursor: Cursor[Any], li: str) -> None:
    cookie = _cookie(cursor)
    users.remove(cursor, "li", "tests")
    assert users.signed_in(cursor, cookie, NOW, LIMITS, is_seen=True) is None


def test_oldest_session_makes_room(cursor: Cursor[Any], li: str) -> None:
    cookies = [_cookie(cursor, NOW + timedelta(seconds=number)) for number in range(SESSIONS_MAX + 1)]
    found = [users.signed_in(cursor, cookie, NOW, LIMITS, is_seen=False) is not None for cookie in cookies]
    assert found == [False, *[True] * SESSIONS_MAX]


def test_neither_password_nor_cookie_is_kept(cursor: Cursor[Any], li: str) -> None:
    cookie = _cookie(cursor)
    for table in ("console_user", "console_session", "console_deed"):
        cursor.execute(f"SELECT t::text FROM {table} t")  # noqa: S608 - our own names
        kept = " ".join(row[0] for row in cursor.fetchall())
        assert PASSWORD not in kept
        assert cookie not in kept
        assert cookie.encode().hex() not in kept


@pytest.mark.parametrize(
    "order", ["UPDATE console_deed SET done_by = 'x'", "DELETE FROM console_deed", "TRUNCATE console_deed"]
)
def test_no_deed_can_be_altered_or_removed(cursor: Cursor[Any], li: str, order: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="console_deed is only added to"):
        cursor.execute(order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "role", "password", "partner", "why"),
    [
        ("Li", Role.VIEWER, PASSWORD, None, "is no user's name"),
        ("li\n", Role.VIEWER, PASSWORD, None, "is no user's name"),
        ("li", Role.VIEWER, "short", None, "12 to 256 characters"),
        ("li", Role.PARTNER, PASSWORD, None, "add --partner"),
        ("li", Role.VIEWER, PASSWORD, "institute", "add --partner"),
        ("li", Role.PARTNER, PASSWORD, "nobody", "no partner 'nobody'"),
    ],
)
def test_wrong_wish_is_refused_with_what_to_do(
    cursor: Cursor[Any], name: str, role: Role, password: str, partner: str | None, why: str
) -> None:
    with pytest.raises(UserRefused, match=why):
        users.add(cursor, name, role, password, "tests", partner)


def test_user_is_added_once(cursor: Cursor[Any], li: str) -> None:
    with pytest.raises(UserRefused, match="is there already"):
        users.add(cursor, "li", Role.VIEWER, PASSWORD, "tests")


def test_each_role_has_the_rights_of_those_before_it() -> None:
    rights = [{right for right in Right if User("li", role).may(right)} for role in Role]
    assert all(less < more for less, more in pairwise(rights))


def test_same_password_gives_another_hash_each_time() -> None:
    one, other = passwords.hash_of(PASSWORD), passwords.hash_of(PASSWORD)
    assert one != other
    assert passwords.is_right(PASSWORD, one)
    assert not passwords.is_right(PASSWORD + " ", other)
