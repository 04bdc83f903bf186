"""Subscriptions API, 3.2.4: the filter dialects, and what a refused filter list hears."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import CloudEvent, CloudEventError
from schemas.filters import FilterError, attributes_as_written, attributes_of, compile_filters
from schemas.filters.limits import FILTER_NESTING_MAX, FILTER_PAIRS_MAX, FILTER_VALUE_CHARS_MAX, FILTERS_MAX

EVENT = CloudEvent(
    "7",
    "/partners/ustc",
    "gov.stiib.innovation.project.accepted.v1",
    subject="P-1",
    time=datetime(2026, 3, 1, 16, 0, tzinfo=timezone(timedelta(hours=8))),
    datacontenttype="application/json",
    dataschema="https://example.org/s.json",
    extensions={"sequence": 5, "open": True, "dataclassification": "internal", "empty": ""},
    data={"type": "inside"},
)


def passes(*filters: Any) -> bool:
    compiled = compile_filters(list(filters))
    assert compiled.matches(EVENT) is compiled.passes(attributes_of(EVENT), lambda: EVENT.data)
    return compiled.matches(EVENT)


def test_an_empty_list_passes_everything() -> None:
    assert passes()


@pytest.mark.parametrize(
    "member",
    [
        {"exact": {"type": "gov.stiib.innovation.project.accepted.v1"}},
        {"exact": {"id": "7", "source": "/partners/ustc", "specversion": "1.0", "subject": "P-1"}},
        {"exact": {"datacontenttype": "application/json", "dataschema": "https://example.org/s.json"}},
        {"exact": {"time": "2026-03-01T08:00:00Z"}},
        {"exact": {"sequence": "5"}},
        {"exact": {"open": "true"}},
        {"prefix": {"type": "gov.stiib.", "source": "/"}},
        {"prefix": {"type": "gov.stiib.innovation.project.accepted.v1"}},
        {"suffix": {"type": ".v1", "subject": "1"}},
        {"prefix": {"time": "2026-03-01"}},
        {"all": [{"prefix": {"type": "gov."}}, {"suffix": {"type": ".v1"}}]},
        {"any": [{"exact": {"type": "x"}}, {"exact": {"id": "7"}}]},
        {"not": {"exact": {"id": "8"}}},
        {"not": {"exact": {"nosuch": "x"}}},
        {"not": {"not": {"exact": {"id": "7"}}}},
        {"not": {"any": [{"exact": {"id": "8"}}, {"all": [{"exact": {"id": "7"}}, {"exact": {"open": "false"}}]}]}},
        {"sql": "sequence = 5 AND open"},
        {"sql": "dataclassification IN ('open', 'internal') AND subject LIKE 'P-_'"},
        {"not": {"sql": "missing = 1"}},
    ],
)
def test_passes(member: Any) -> None:
    assert passes(member)


@pytest.mark.parametrize(
    "member",
    [
        {"exact": {"type": "GOV.stiib.innovation.project.accepted.v1"}},
        {"exact": {"id": "7", "subject": "P-2"}},
        {"exact": {"nosuch": "x"}},
        {"exact": {"open": "True"}},
        {"exact": {"time": "2026-03-01T16:00:00+08:00"}},
        {"prefix": {"type": "Gov"}},
        {"prefix": {"nosuch": "x"}},
        {"prefix": {"subject": "P-12"}},
        {"suffix": {"type": "V1"}},
        {"suffix": {"nosuch": "x"}},
        {"suffix": {"empty": "x"}},
        {"all": [{"exact": {"id": "7"}}, {"exact": {"id": "8"}}]},
        {"any": [{"exact": {"id": "9"}}, {"exact": {"id": "8"}}]},
        {"not": {"exact": {"id": "7"}}},
        {"sql": "missing = 1"},
        {"sql": "sequence"},
        {"sql": "'true'"},
        {"sql": "1 / 0 = 0 OR TRUE"},
        {"sql": "EXISTS data"},
    ],
)
def test_does_not_pass(member: Any) -> None:
    assert not passes(member)


def test_a_list_is_anded() -> None:
    yes, no = {"exact": {"id": "7"}}, {"exact": {"id": "8"}}
    assert passes(yes, yes)
    assert not passes(yes, no)
    assert not passes(no, yes)


@pytest.mark.parametrize(
    ("filters", "reason", "pointer"),
    [
        (None, "not_an_array", ""),
        ({"exact": {"id": "7"}}, "not_an_array", ""),
        (["x"], "not_an_object", "/0"),
        ([None], "not_an_object", "/0"),
        ([{}], "not_one_dialect", "/0"),
        ([{"exact": {"id": "7"}, "prefix": {"id": "7"}}], "not_one_dialect", "/0"),
        ([{"exact": {"id": "7"}}, {"Exact": {"id": "7"}}], "unknown_dialect", "/1/Exact"),
        ([{"a/b~": {}}], "unknown_dialect", "/0/a~1b~0"),
        ([{"exact": {"id": "7"}, "regex": "x"}], "unknown_dialect", "/0/regex"),
        ([{"exact": {}}], "no_pairs", "/0/exact"),
        ([{"exact": {f"a{i}": "x" for i in range(FILTER_PAIRS_MAX + 1)}}], "too_many", "/0/exact"),
        ([{"exact": []}], "value_type", "/0/exact"),
        ([{"prefix": "gov."}], "value_type", "/0/prefix"),
        ([{"exact": {"sequence": 5}}], "value_type", "/0/exact/sequence"),
        ([{"exact": {"id": None}}], "value_type", "/0/exact/id"),
        ([{"exact": {"id": ""}}], "empty_value", "/0/exact/id"),
        ([{"suffix": {"id": "x", "type": ""}}], "empty_value", "/0/suffix/type"),
        ([{"prefix": {"id": "x" * (FILTER_VALUE_CHARS_MAX + 1)}}], "value_too_long", "/0/prefix/id"),
        ([{"exact": {"": "x"}}], "attribute_name", "/0/exact/"),
        ([{"exact": {"Type": "x"}}], "attribute_name", "/0/exact/Type"),
        ([{"exact": {"data": "x"}}], "attribute_name", "/0/exact/data"),
        ([{"all": []}], "no_members", "/0/all"),
        ([{"any": []}], "no_members", "/0/any"),
        ([{"any": {"exact": {"id": "7"}}}], "not_an_array", "/0/any"),
        ([{"not": [{"exact": {"id": "7"}}]}], "not_an_object", "/0/not"),
        ([{"all": [{"exact": {"id": "7"}}, {"not": {"exact": {"id": ""}}}]}], "empty_value", "/0/all/1/not/exact/id"),
        ([{"sql": 5}], "value_type", "/0/sql"),
        ([{"sql": ""}], "expression", "/0/sql"),
        ([{"sql": "type ="}], "expression", "/0/sql"),
        ([{"exact": {"id": "7"}}] * (FILTERS_MAX + 1), "too_many", f"/{FILTERS_MAX}"),
    ],
)
def test_a_faulty_list_is_refused_at_its_place(filters: Any, reason: str, pointer: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filters(filters, pointer="/filters")
    error = caught.value
    assert (error.reason, error.pointer) == (reason, f"/filters{pointer}")
    assert any("\u4e00" <= character <= "\u9fff" for character in error.message_zh)


def test_an_expression_that_does_not_parse_is_refused_with_its_position() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filters([{"not": {"sql": "type = 'x' AND"}}])
    error = caught.value
    assert (error.pointer, error.position) == ("/0/not/sql", 14)
    assert error.message.startswith("the expression ends at character 14, where a value")


def test_nesting_is_limited() -> None:
    member: Any = {"exact": {"id": "7"}}
    for _ in range(FILTER_NESTING_MAX):
        member = {"not": member}
    assert passes(member)
    with pytest.raises(FilterError) as caught:
        compile_filters([{"any": [member]}])
    assert caught.value.reason == "too_deep"


def test_the_time_as_written_keeps_its_offset() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"%s","data":{"a":1},"nothing":null}'
    plain = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    for written in (b"2018-04-26T14:48:09+02:00", b"2018-04-26 14:48:09+02:00", b"2018-04-26T14:48:09.120Z"):
        assert attributes_as_written(body % written) == plain | {"time": written.decode()}
    for wrong in (b"yesterday", b"2018-04-26  14:48:09Z"):
        with pytest.raises(CloudEventError):
            attributes_as_written(body % wrong)


def test_attributes_are_text_integers_and_booleans() -> None:
    event = CloudEvent("1", "/s", "t", time=datetime(2026, 3, 1, tzinfo=UTC), extensions={"n": 5, "b": False})
    assert attributes_of(event) == {
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": "2026-03-01T00:00:00Z", "n": 5, "b": False,
    }  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["exact", "prefix", "suffix", "all", "any", "not", "sql", "id", "x"]), inner, max_size=2
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_compiles_or_is_refused(filters: Any) -> None:
    try:
        compiled = compile_filters(filters)
    except FilterError as error:
        refused = error
    else:
        assert compiled.matches(EVENT) in (True, False)
        return
    assert refused.message
    assert refused.message_zh
