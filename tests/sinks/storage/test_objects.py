"""Keys of objects: the same for the same delivery, other for any other, and nothing in them that leads elsewhere."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.storage.objects import ID_CHARS_MAX, escaped, key_of
from sinks.storage.signature import PLAIN_PATH


def body(number: int = 17, event_id: str = "a-1", time: str | None = "2026-03-02T08:00:00Z") -> bytes:
    members = {"deliverynumber": str(number), "specversion": "1.0", "id": event_id, "data": {"id": "of the data"}}
    return json.dumps(members | ({"time": time} if time else {})).encode()


def test_a_key_is_day_number_and_id() -> None:
    assert key_of(body()) == "2026/03/02/0000000000000000017-a-1.json"


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-03-02T23:30:00-01:00", "2026/03/03"),
        ("2026-03-02T23:30:00.5Z", "2026/03/02"),
        (None, "undated"),
        ("x", "undated"),
    ],
)
def test_the_day_is_the_events_own_in_utc(time: str | None, day: str) -> None:
    assert key_of(body(time=time)) == f"{day}/0000000000000000017-a-1.json"


@pytest.mark.parametrize(
    ("event_id", "text"),
    [
        ("../../etc", "..~2F..~2Fetc"),
        ("a b?c#d%20", "a~20b~3Fc~23d~2520"),
        ("a~2F", "a~7E2F"),
        ("项目", "~E9~A1~B9~E7~9B~AE"),
    ],
)
def test_an_id_leads_nowhere_else(event_id: str, text: str) -> None:
    assert escaped(event_id) == text


@settings(deadline=None)  # the first call loads tables
@given(first=st.text(max_size=400), second=st.text(max_size=400))
def test_other_ids_have_other_names_and_all_can_be_signed(first: str, second: str) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in first + second):
        return  # no event has such an id
    assert (escaped(first) == escaped(second)) == (first == second)
    assert len(escaped(first)) <= ID_CHARS_MAX
    assert PLAIN_PATH.fullmatch(f"/{escaped(first)}")


def test_numbers_are_listed_in_their_order() -> None:
    keys = [key_of(body(number)) for number in (1, 9, 10, 99, 100, 2**62)]
    assert keys == sorted(keys)
