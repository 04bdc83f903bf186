"""What the broker refuses is not taken for done."""

from typing import Any

import pytest

from dujiang.kafka_access import Access
from engine.errors import EnvironmentFault

PREFIX = "dujiang.subscriber."
USER = f"{PREFIX}agency-1.7"


class RefusingAdmin:
    """Changes no user; `message` is all it says about it."""

    def __init__(self, message: str | None) -> None:
        self._message = message

    def alter_user_scram_credentials(self, alterations: list[Any]) -> dict[str, str | None]:
        return {alteration.user: self._message for alteration in alterations}

    def describe_user_scram_credentials(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("message", "said"), [("not authorized", "refuses to change the user.*not authorized"), (None, "has not made the user")]
)
def test_a_user_that_was_not_made_is_a_fault(message: str | None, said: str) -> None:
    with pytest.raises(EnvironmentFault, match=said):
        Access(RefusingAdmin(message), PREFIX).put_user(USER, "secret")
