"""What the broker refuses is not taken for done."""

from typing import Any

import pytest

from dujiang.kafka_access import Access
from engine.errors import EnvironmentFault

PREFIX = "dujiang.subscriber."
USER = f"{PREFIX}agency-1.7"


class Admin:
    """Shows a user from the `shown`th question on, if at all; `message` is what it says about a change."""

    def __init__(self, message: str | None, shown: int | None = None) -> None:
        self._message = message
        self._shown = shown
        self._asked = 0

    def alter_user_scram_credentials(self, alterations: list[Any]) -> dict[str, str | None]:
        return {alteration.user: self._message for alteration in alterations}

    def describe_user_scram_credentials(self) -> dict[str, Any]:
        self._asked += 1
        return {USER: {"credential_infos": ["SCRAM-SHA-512"]}} if self._shown and self._asked >= self._shown else {}


@pytest.mark.parametrize(
    ("message", "said"), [("not authorized", "refuses to change the user.*not authorized"), (None, "has not made the user")]
)
def test_a_user_that_was_not_made_is_a_fault(message: str | None, said: str) -> None:
    with pytest.raises(EnvironmentFault, match=said):
        Access(Admin(message), PREFIX, seen_s=0.2).put_user(USER, "secret")


def test_a_broker_that_hears_of_a_user_late_is_asked_again() -> None:
    Access(Admin(None, shown=3), PREFIX).put_user(USER, "secret")
