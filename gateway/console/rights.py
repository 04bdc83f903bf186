"""Who may do what in the console. A role has all rights of those before it; a partner sees its own things alone."""

from enum import StrEnum
from typing import NamedTuple


class Role(StrEnum):
    """viewer looks; operator handles alerts; steward also repairs data; partner sees what is its own."""

    PARTNER = "partner"
    VIEWER = "viewer"
    OPERATOR = "operator"
    STEWARD = "steward"


class Right(StrEnum):
    """What a page or a deed asks for."""

    SEE_ALL = "see_all"
    HANDLE_ALERTS = "handle_alerts"
    SEE_RECORDS = "see_records"
    REPAIR_DATA = "repair_data"
    HOLD_SUBSCRIPTIONS = "hold_subscriptions"
    CANCEL_WORKS = "cancel_works"


_RIGHTS: dict[Role, frozenset[Right]] = {
    Role.PARTNER: frozenset(),
    Role.VIEWER: frozenset({Right.SEE_ALL}),
    Role.OPERATOR: frozenset(
        {Right.SEE_ALL, Right.HANDLE_ALERTS, Right.SEE_RECORDS, Right.HOLD_SUBSCRIPTIONS, Right.CANCEL_WORKS}
    ),
    Role.STEWARD: frozenset(Right),
}


class User(NamedTuple):
    """Somebody signed in."""

    name: str
    role: Role
    partner_id: str | None = None

    def may(self, right: Right) -> bool:
        return right in _RIGHTS[self.role]
