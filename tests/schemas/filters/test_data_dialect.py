"""The dialect `data`: what stands in an event's JSON data, and what a faulty filter on it hears."""

from typing import Any

import pytest

from schemas.cloudevents import ABSENT, CloudEvent
from schemas.filters import FilterError, attributes_of, compile_filters
from schemas.filters.limits import FILTER_PAIRS_MAX, FILTER_VALUE_CHARS_MAX, IN_MEMBERS_MAX, POINTER_CHARS_MAX

DATA = {
    "call_id": "C-1",
    "budget": 5_000_000,
    "share": 0.5,
    "open": True,
    "closes": "2026-12-01",
    "title": "静音泵",
    "nothing": None,
    "milestones": [{"id": "M-1", "status": "planned"}, {"id": "M-2", "status": "accepted"}],
    "a/b": {"~": "odd"},
    "": "unnamed",
}


def event(data: Any = DATA, content_type: str | None = "application/json") -> CloudEvent:
    return CloudEvent("7", "/partners/ustc", "t", datacontenttype=content_type, data=data)


def passes(wanted: Any, data: Any = DATA) -> bool:
    return compile_filters([{"data": wanted}]).matches(event(data))


@pytest.mark.parametrize(
    "wanted",
    [
        {"/call_id": "C-1"},
        {"/budget": 5_000_000},
        {"/budget": 5_000_000.0},
        {"/open": True},
        {"/call_id": "C-1", "/open": True},
        {"/title": {"prefix": "静音"}},
        {"/title": {"suffix": "泵"}},
        {"/title": {"prefix": "静", "suffix": "泵"}},
        {"/budget": {"at_least": 5_000_000}},
        {"/budget": {"at_least": 1, "at_most": 5_000_000.5}},
        {"/share": {"at_most": 1}},
        {"/closes": {"at_least": "2026-11-28", "at_most": "2026-12-31"}},
        {"/call_id": {"in": ["C-0", "C-1"]}},
        {"/budget": {"in": [True, 5_000_000]}},
        {"/milestones/1/status": "accepted"},
        {"/a~1b/~0": "odd"},
        {"/": "unnamed"},
    ],
)
def test_passes(wanted: Any) -> None:
    assert passes(wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"/call_id": "C-2"},
        {"/call_id": "c-1"},
        {"/call_id": "C-1", "/open": False},
        {"/missing": "x"},
        {"/call_id/0": "C"},
        {"/budget": "5000000"},
        {"/budget": {"prefix": "5"}},
        {"/budget": {"at_least": "1"}},
        {"/budget": {"at_least": 5_000_001}},
        {"/open": 1},
        {"/open": {"in": [1]}},
        {"/nothing": "x"},
        {"/nothing": {"at_most": 9}},
        {"/closes": {"at_most": "2026-11-30"}},
        {"/milestones": {"in": ["M-1"]}},
        {"/milestones/2/id": "M-3"},
        {"/milestones/01/id": "M-2"},
        {"/milestones/-1/id": "M-2"},
        {"/milestones/id": "M-1"},
    ],
)
def test_does_not_pass(wanted: Any) -> None:
    assert not passes(wanted)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [(ABSENT, None), (None, None), ("C-1", "application/json"), ([], "application/json"), (b"\0", "application/octet-stream")],
)
def test_an_event_without_such_data_is_no_match_and_no_error(data: Any, content_type: str | None) -> None:
    one = event(data, content_type)
    assert not compile_filters([{"data": {"/call_id": "C-1"}}]).matches(one)
    assert compile_filters([{"not": {"data": {"/call_id": "C-1"}}}]).matches(one)


def test_it_joins_with_the_other_dialects() -> None:
    rich = {"data": {"/budget": {"at_least": 1_000_000}}}
    assert compile_filters([{"exact": {"id": "7"}}, rich]).matches(event())
    assert compile_filters([{"any": [{"exact": {"id": "8"}}, rich]}]).matches(event())
    assert not compile_filters([{"all": [{"exact": {"id": "8"}}, rich]}]).matches(event())


def test_data_is_asked_for_only_when_the_attributes_pass() -> None:
    asked = []

    def data() -> object:
        asked.append(1)
        return DATA

    filters = compile_filters([{"exact": {"id": "8"}}, {"data": {"/call_id": "C-1", "/open": True}}])
    assert not filters.passes(attributes_of(event()), data)
    assert asked == []
    assert filters.passes({**attributes_of(event()), "id": "8"}, data)
    assert asked == [1]


@pytest.mark.parametrize(
    ("content", "reason", "pointer"),
    [
        ([], "value_type", ""),
        ({}, "no_pairs", ""),
        ({f"/{number}": "x" for number in range(FILTER_PAIRS_MAX + 1)}, "too_many", ""),
        ({"call_id": "C-1"}, "data_pointer", "/call_id"),
        ({"": "C-1"}, "data_pointer", "/"),
        ({"/a~2": "x"}, "data_pointer", "/~1a~02"),
        ({"/" + "a" * POINTER_CHARS_MAX: "x"}, "data_pointer", "/~1" + "a" * POINTER_CHARS_MAX),
        ({"/a": None}, "value_type", "/~1a"),
        ({"/a": ["x"]}, "value_type", "/~1a"),
        ({"/a": ""}, "empty_value", "/~1a"),
        ({"/a": "x" * (FILTER_VALUE_CHARS_MAX + 1)}, "value_too_long", "/~1a"),
        ({"/a": {}}, "no_pairs", "/~1a"),
        ({"/a": {"regex": "x"}}, "unknown_test", "/~1a/regex"),
        ({"/a": {"prefix": 5}}, "value_type", "/~1a/prefix"),
        ({"/a": {"suffix": ""}}, "empty_value", "/~1a/suffix"),
        ({"/a": {"at_least": True}}, "value_type", "/~1a/at_least"),
        ({"/a": {"at_most": None}}, "value_type", "/~1a/at_most"),
        ({"/a": {"in": "x"}}, "value_type", "/~1a/in"),
        ({"/a": {"in": []}}, "value_type", "/~1a/in"),
        ({"/a": {"in": ["x"] * (IN_MEMBERS_MAX + 1)}}, "value_type", "/~1a/in"),
        ({"/a": {"in": ["x", None]}}, "value_type", "/~1a/in/1"),
    ],
)
def test_a_faulty_filter_is_refused_at_its_place(content: Any, reason: str, pointer: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filters([{"data": content}], pointer="/filters")
    error = caught.value
    assert (error.reason, error.pointer) == (reason, f"/filters/0/data{pointer}")
    assert any("\u4e00" <= character <= "\u9fff" for character in error.message_zh)
