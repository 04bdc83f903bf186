"""The quick reader never accepts what the strict codec refuses, and never reads another fact than it."""

import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import StringConstraints, field_validator

from schemas.catalogue import default_registry
from schemas.cloudevents import DATA_DEPTH_MAX, CloudEventError, json_format, kafka_binding
from schemas.contract import Contract, Data
from schemas.registry import ContractError, Registry
from schemas.structs import struct_of
from schemas.topics import PROJECT_EVENT

REGISTRY = default_registry()
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/partners/institute-a",
    "type": "gov.stiib.research.project.contracted.v1",
    "subject": "P-1",
    "time": "2026-01-02T03:04:05Z",
    "datacontenttype": "application/json",
    "data": {
        "contract_no": "C-1",
        "amount": 100,
        "start": "2026-02-01",
        "end": "2027-02-01",
        "milestones": [{"id": "M1", "due": "2026-06-01"}],
        "remark": "进展 as planned",
    },
}


def agree(value: bytes, registry: Registry = REGISTRY) -> bool:
    """Whether the quick reader answered; if so the strict codec must give the same fact."""
    quick = registry.quick(value)
    if quick is None:
        return False
    try:
        strict = registry.fact(json_format.decode(value))
    except (CloudEventError, ContractError) as error:
        pytest.fail(f"the quick reader accepts what the codec refuses: {error}")
    fact, _, members = quick
    assert fact == strict
    assert members.event(fact.time) == json_format.decode(value)
    return True


def text_of(event: dict[str, Any], **json_options: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False, **json_options).encode()


def test_a_plain_event_is_read_quickly() -> None:
    assert agree(text_of(EVENT, separators=(",", ":")))
    assert agree(text_of(EVENT))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": 5},
        {"id": "a\u0007b"},
        {"id": "项目"},
        {"source": "not a uri reference"},
        {"source": ""},
        {"subject": "x" * 600},
        {"subject": None},
        {"time": "2026-01-02 03:04:05Z"},
        {"time": "20260102T030405Z"},
        {"time": "2026-13-02T03:04:05Z"},
        {"time": "2026-W01-1T03:04:05Z"},
        {"time": "2026-01-02T03:04:05+08:00"},
        {"time": "2026-01-02T03:04:60Z"},
        {"time": "2026-01-02T24:00:00Z"},
        {"time": "2026-01-02T03:04:05.5Z"},
        {"time": "2026-01-02T03-04-05Z"},
        {"time": "2026-01-02T03:04:05.123Z"},
        {"time": "2026-01-02T03:04:05,123456Z"},
        {"time": None},
        {"specversion": "0.3"},
        {"datacontenttype": "text/plain"},
        {"dataschema": "/relative"},
        {"Extension": "x"},
        {"sequence": 2**40},
        {"partitionkey": "\u0001"},
        {"partitionkey": 7},
        {"recordedtime": "2026-01-02T03:04:05Z"},
        {"data": None},
        {"data": []},
        {"data": {"contract_no": "a\u0000b"}},
        {"data_base64": "AA=="},
        {"type": "gov.stiib.unknown.v1"},
    ],
)
def test_whatever_is_unusual_is_left_to_the_strict_codec_or_read_alike(change: dict[str, Any]) -> None:
    agree(text_of(EVENT | change, separators=(",", ":")))


@pytest.mark.parametrize(
    "value",
    [
        b'{"specversion":"1.0","id":"e-1","id":"e-2",' + text_of(EVENT, separators=(",", ":"))[25:],
        text_of(EVENT, separators=(",", ":")).replace(b'"amount":100', b'"amount":100,"amount":200'),
        text_of(EVENT, separators=(",", ":")).replace(b'"amount":100', b'"amount" :1,"amount":200'),
        text_of(EVENT, separators=(",", ":")).replace(b'"due":', b'"due":"2026-07-01","due":'),
        text_of(EVENT, separators=(",", ":")).replace(b"100", b"1e400"),
        text_of(EVENT, separators=(",", ":")).replace(b"100", b"9" * 5000),
        text_of(EVENT, separators=(",", ":")).replace(b"100", b"NaN"),
        text_of(EVENT, separators=(",", ":")).replace(b"as planned", b"\xc0\xa0"),
        text_of(EVENT, separators=(",", ":")).replace(b"as planned", b"\\ud800"),
        text_of(EVENT, separators=(",", ":")).replace(b'"C-1"', b"[" * 100 + b"]" * 100),
        b"\xef\xbb\xbf" + text_of(EVENT, separators=(",", ":")),
        b"[]",
        b"null",
        b"",
    ],
)
def test_broken_json_is_never_read_quickly(value: bytes) -> None:
    assert not agree(value)


_names = st.sampled_from([*EVENT, "partitionkey", "causationid", "recordedtime", "extra", "UPPER", "data_base64"])
_scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_names, _values, max_size=3), st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))
def test_mutated_attributes_are_read_alike_or_not_quickly(changes: dict[str, Any], separators: tuple[str, str]) -> None:
    agree(json.dumps(EVENT | changes, separators=separators).encode())


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(text_of(EVENT)) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_mutated_bytes_are_read_alike_or_not_quickly(at: int, inserted: bytes, removed: int) -> None:
    whole = text_of(EVENT, separators=(",", ":"))
    agree(whole[:at] + inserted + whole[at + removed :])


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 200])
def test_deep_data_is_left_to_the_codec(depth: int) -> None:
    """The object of the data is the first level."""
    inner: Any = 1
    for _ in range(depth):
        inner = [inner]
    value = text_of(EVENT | {"data": EVENT["data"] | {"note": inner}}, separators=(",", ":"))
    assert agree(value) == (depth + 1 <= DATA_DEPTH_MAX)


@pytest.mark.parametrize("more", [{}, {"partitionkey": "P-1"}, {"correlationid": "c", "causationid": "d"}])
def test_event_vouched_for_is_the_one_that_the_codec_makes(more: dict[str, str]) -> None:
    assert agree(text_of(EVENT | more))


TYPE = ("content-type", b"application/cloudevents+json")


@pytest.mark.parametrize("headers", [[TYPE], [TYPE, ("traceparent", b"00-1-2-01")], [TYPE, ("ce_id", b"x")]])
@pytest.mark.parametrize(
    "more", [{}, {"unusual": "x"}, {"type": "other.made.v1"}, {"data": {"amount": "much"}}, {"data": None}]
)
def test_event_of_a_record_is_the_codecs_whatever_its_contract_says(
    headers: list[tuple[str, bytes | None]], more: dict[str, Any]
) -> None:
    value = text_of(EVENT | more)
    assert REGISTRY.decode(headers, value) == kafka_binding.decode(headers, value)


@pytest.mark.parametrize("value", [None, b"", b"no event", text_of({**EVENT, "id": ""})])
def test_record_without_an_event_is_refused_as_by_the_codec(value: bytes | None) -> None:
    with pytest.raises(CloudEventError):
        REGISTRY.decode([TYPE], value)


_texts = st.sampled_from(
    ["", "x", "2026-01-02", "2026-02-30", "2026-1-2", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1234567+08:00"]
)


def _of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values near what a field's schema asks for, and now and then far from it."""
    near = st.sampled_from(schema["enum"]) if "enum" in schema else st.integers(-3, 10**16) | _texts | st.booleans() | st.none()
    return near | _values


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_data_of_every_contract_is_read_alike_or_not_quickly(data: st.DataObject) -> None:
    wire = data.draw(st.sampled_from(sorted(REGISTRY.contracts)))
    fields = REGISTRY.contracts[wire].data.model_json_schema().get("properties", {})
    body = {name: data.draw(_of(schema)) for name, schema in fields.items()}
    agree(text_of(EVENT | {"type": wire, "data": body}, separators=(",", ":")))


def test_every_contract_has_a_struct() -> None:
    """Else its events would take the slow way unseen."""
    assert [wire for wire, contract in REGISTRY.contracts.items() if struct_of(contract.data) is None] == []


class _Doubled(Data):
    word: str

    @field_validator("word")
    @classmethod
    def _doubled(cls, word: str) -> str:
        return word * 2


class _Defaulted(Data):
    word: str = "x"


class _Grown(Data):
    """As a later revision of a contract: what was not there before may be left out."""

    word: str | None = None
    number: int


class _Patterned(Data):
    word: Annotated[str, StringConstraints(pattern="^a$")]


@pytest.mark.parametrize("model", [_Doubled, _Defaulted, _Patterned])
def test_a_model_with_more_than_types_and_bounds_keeps_the_slow_way(model: type[Data]) -> None:
    assert struct_of(model) is None


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional={"word": _values, "number": _values}))
def test_a_field_that_may_be_left_out_is_read_as_the_model_reads_it(data: dict[str, Any]) -> None:
    contract = Contract("test.grown", 1, _Grown, (PROJECT_EVENT,))
    agree(text_of(EVENT | {"type": "gov.stiib.test.grown.v1", "data": data}, separators=(",", ":")), Registry([contract]))


@pytest.mark.parametrize(("data", "word"), [({"number": 1}, None), ({"number": 1, "word": "x"}, "x")])
def test_a_field_that_was_left_out_is_null(data: dict[str, Any], word: str | None) -> None:
    form = struct_of(_Grown)
    assert form is not None
    assert msgspec.convert(data, form) == form(number=1, word=word)
