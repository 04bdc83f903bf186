"""Users and their sessions in PostgreSQL: what `dujiang users` changes and a sign-in asks. Every change is a deed on record."""

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

from psycopg import Cursor
from psycopg.types.json import Jsonb

from engine.database import named
from gateway.console import passwords
from gateway.console.rights import Role, User

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?\Z")
USERS_MAX: Final = 10_000
SESSIONS_MAX: Final = 20  # of one user; the oldest ends when another begins
FAILURES_MAX: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)


class UserRefused(Exception):
    """What was asked for cannot be; the message says what to do."""


class Limits(NamedTuple):
    """How long a session lasts: in all, and without a page or a deed."""

    session: timedelta
    idle: timedelta


def record(cursor: Cursor[Any], by: str, action: str, kind: str, subject: str, detail: Mapping[str, Any] | None = None) -> None:
    """Add a deed."""
    cursor.execute(
        "INSERT INTO console_deed (done_by, action, kind, subject, detail) VALUES (%s, %s, %s, %s, %s)",
        (by, action, kind, subject, Jsonb(dict(detail or {}))),
    )


# --- what the commands do ---------------------------------------------------------------------------------------------------


def add(cursor: Cursor[Any], name: str, role: Role, password: str, by: str, partner_id: str | None = None) -> None:
    """A new user. Raises UserRefused."""
    if not NAME.match(name):
        raise UserRefused(f"{name!r} is no user's name; write 1 to 64 of a-z, 0-9 and . _ -")
    _check_password(password)
    _check_partner(cursor, role, partner_id)
    cursor.execute("SELECT count(*), count(*) FILTER (WHERE name = %s) FROM console_user", (name,))
    count, same = cursor.fetchall()[0]
    if same:
        raise UserRefused(f"{name} is there already; `dujiang users role` and `password` change it")
    if count >= USERS_MAX:
        raise UserRefused(f"{USERS_MAX} users are the most there may be; remove those who left")
    cursor.execute(
        "INSERT INTO console_user (name, role, partner_id, password_hash, changed_by) VALUES (%s, %s, %s, %s, %s)",
        (name, role, partner_id, passwords.hash_of(password), by),
    )
    record(cursor, by, "user_added", "user", name, {"role": role, "partner_id": partner_id})


def give_role(cursor: Cursor[Any], name: str, role: Role, by: str, partner_id: str | None = None) -> None:
    """Another role; sessions follow at their next look. Raises UserRefused."""
    _check_partner(cursor, role, partner_id)
    cursor.execute(
        "UPDATE console_user SET role = %s, partner_id = %s, changed_at = now(), changed_by = %s WHERE name = %s",
        (role, partner_id, by, name),
    )
    _refuse_unknown(cursor, name)
    record(cursor, by, "role_given", "user", name, {"role": role, "partner_id": partner_id})


def give_password(cursor: Cursor[Any], name: str, password: str, by: str) -> None:
    """Another password; unlocks, and ends all sessions. Raises UserRefused."""
    _check_password(password)
    cursor.execute(
        "UPDATE console_user SET password_hash = %s, failures = 0, locked_until = NULL, changed_at = now(), changed_by = %s"
        " WHERE name = %s",
        (passwords.hash_of(password), by, name),
    )
    _refuse_unknown(cursor, name)
    cursor.execute("DELETE FROM console_session WHERE name = %s", (name,))
    record(cursor, by, "password_given", "user", name)


def remove(cursor: Cursor[Any], name: str, by: str) -> None:
    """The user and all sessions; what it did stays on record. Raises UserRefused."""
    cursor.execute("DELETE FROM console_user WHERE name = %s", (name,))
    _refuse_unknown(cursor, name)
    record(cursor, by, "user_removed", "user", name)


def listed(cursor: Cursor[Any], now: datetime) -> list[dict[str, Any]]:
    """Every user; never a password or its hash."""
    cursor.execute(
        "SELECT name AS user, role, partner_id AS partner, locked_until > %(now)s AS is_locked,"
        " (SELECT count(*) FROM console_session s WHERE s.name = u.name AND s.expires_at > %(now)s) AS sessions,"
        " changed_at, changed_by FROM console_user u ORDER BY name",
        {"now": now},
    )
    return named(cursor)


# --- what the console asks --------------------------------------------------------------------------------------------------


class SignedIn(NamedTuple):
    """A session begun; `cookie` is kept nowhere else."""

    user: User
    cookie: str


class Locked(NamedTuple):
    """Too many wrong passwords."""

    until: datetime


def sign_in(
    cursor: Cursor[Any],
    name: str,
    password: str,
    now: datetime,
    limits: Limits,
    is_right: Callable[[str, str], bool] = passwords.is_right,
) -> SignedIn | Locked | None:
    """A session for the right password, None for a wrong one. While locked even the right one opens nothing."""
    cursor.execute(
        "SELECT role, partner_id, password_hash, failures, locked_until FROM console_user WHERE name = %s FOR UPDATE", (name,)
    )
    row = cursor.fetchone()
    if row is None:
        is_right(password, passwords.nobodys())
        return None
    role, partner_id, stored, failures, locked_until = row
    if locked_until is not None and locked_until > now:
        return Locked(locked_until)
    if not is_right(password, stored):
        return _failed(cursor, name, failures + 1, now)
    cursor.execute("UPDATE console_user SET failures = 0, locked_until = NULL WHERE name = %s", (name,))
    record(cursor, name, "sign_in", "user", name)
    return SignedIn(User(name, Role(role), partner_id), _begin(cursor, name, now, limits))


def _failed(cursor: Cursor[Any], name: str, failures: int, now: datetime) -> Locked | None:
    until = now + LOCKED_FOR if failures >= FAILURES_MAX else None
    cursor.execute(
        "UPDATE console_user SET failures = %s, locked_until = %s WHERE name = %s",
        (0 if until else failures, until, name),
    )
    if until is None:
        return None
    record(cursor, name, "locked", "user", name, {"failures": failures})
    return Locked(until)


def _begin(cursor: Cursor[Any], name: str, now: datetime, limits: Limits) -> str:
    cookie = secrets.token_urlsafe(32)
    cursor.execute("DELETE FROM console_session WHERE expires_at <= %s OR seen_at <= %s", (now, now - limits.idle))
    cursor.execute(
        "DELETE FROM console_session WHERE digest IN"
        " (SELECT digest FROM console_session WHERE name = %s ORDER BY begun_at DESC OFFSET %s)",
        (name, SESSIONS_MAX - 1),
    )
    cursor.execute(
        "INSERT INTO console_session (digest, name, begun_at, seen_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
        (_digest(cookie), name, now, now, now + limits.session),
    )
    return cookie


def signed_in(cursor: Cursor[Any], cookie: str, now: datetime, limits: Limits, *, is_seen: bool) -> User | None:
    """Whose session this is, if it lasts. `is_seen`: a person did something, so the idle time begins anew."""
    cursor.execute(
        "SELECT u.name, u.role, u.partner_id FROM console_session s JOIN console_user u USING (name)"
        " WHERE s.digest = %s AND s.expires_at > %s AND s.seen_at > %s",
        (_digest(cookie), now, now - limits.idle),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    if is_seen:
        cursor.execute("UPDATE console_session SET seen_at = %s WHERE digest = %s", (now, _digest(cookie)))
    return User(row[0], Role(row[1]), row[2])


def sign_out(cursor: Cursor[Any], cookie: str) -> None:
    """The session ends; a cookie that is none changes nothing."""
    cursor.execute("DELETE FROM console_session WHERE digest = %s RETURNING name", (_digest(cookie),))
    row = cursor.fetchone()
    if row is not None:
        record(cursor, row[0], "sign_out", "user", row[0])


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()


def _check_password(password: str) -> None:
    if not passwords.CHARS_MIN <= len(password) <= passwords.CHARS_MAX:
        raise UserRefused(f"a password has {passwords.CHARS_MIN} to {passwords.CHARS_MAX} characters; choose another")


def _check_partner(cursor: Cursor[Any], role: Role, partner_id: str | None) -> None:
    if (role is Role.PARTNER) != (partner_id is not None):
        raise UserRefused("the role partner, and no other, belongs to a partner: add --partner ID")
    if partner_id is not None:
        cursor.execute("SELECT 1 FROM partner WHERE partner_id = %s", (partner_id,))
        if cursor.fetchone() is None:
            raise UserRefused(f"no partner {partner_id!r}; `dujiang partners list` shows all")


def _refuse_unknown(cursor: Cursor[Any], name: str) -> None:
    if not cursor.rowcount:
        raise UserRefused(f"no user {name!r}; `dujiang users list` shows all")
