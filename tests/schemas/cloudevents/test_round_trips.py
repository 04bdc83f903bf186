"""What is written is read back the same, in every mode; whatever bytes come, the answer is an event or a refusal."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import ABSENT, CloudEvent, CloudEventError, http_binding, json_format, kafka_binding
from schemas.cloudevents.event import attribute_texts

NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
NONCHARACTERS += "".join(map(chr, range(0xFDD0, 0xFDF0)))
CHARACTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=NONCHARACTERS)
TEXTS = st.text(CHARACTERS)
FILLED = st.text(CHARACTERS, min_size=1)
SOURCES = st.from_regex(r"[A-Za-z0-9/:._~\-%?]+", fullmatch=True).map(lambda text: text.replace("%", "%2B"))
NAMES = st.from_regex(r"[a-z0-9]{1,25}", fullmatch=True).filter(
    lambda name: name not in ("id", "source", "type", "subject", "time", "data", "datacontenttype", "dataschema")
)
EXTENSIONS = st.dictionaries(NAMES, TEXTS | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=4)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])
TIMES = st.datetimes(timezones=ZONES).filter(lambda instant: 1 < instant.year < 9999)
JSON_TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | JSON_TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXTS, inner, max_size=4),
    max_leaves=10,
)
PLAIN = ("text/plain", "application/xml", "text/csv; charset=UTF-8")
CONTENT = (
    st.tuples(st.none(), JSON | st.just(ABSENT))
    | st.tuples(st.sampled_from(["application/json", "text/json; charset=utf-8", "a/b+json"]), JSON | st.just(ABSENT))
    | st.tuples(st.sampled_from(PLAIN), JSON_TEXTS)
    | st.tuples(st.sampled_from([None, "application/octet-stream", "image/png"]), st.binary())
)


@st.composite
def events(draw: st.DrawFn) -> CloudEvent:
    content_type, data = draw(CONTENT)
    return CloudEvent(
        id=draw(FILLED),
        source=draw(SOURCES),
        type=draw(FILLED),
        subject=draw(st.none() | FILLED),
        time=draw(st.none() | TIMES),
        datacontenttype=content_type,
        dataschema=draw(st.none() | SOURCES.map(lambda text: f"https:{text}")),
        extensions=draw(EXTENSIONS),
        data=data,
    )


def as_binary(event: CloudEvent) -> CloudEvent:
    """What binary mode can hold: extensions as strings, implied JSON written out."""
    texts = dict(attribute_texts(event))
    is_implied = event.datacontenttype is None and event.data is not ABSENT and not isinstance(event.data, bytes)
    return replace(
        event,
        extensions={name: texts[name] for name in event.extensions},
        datacontenttype="application/json" if is_implied else event.datacontenttype,
    )


@given(events())
def test_json_gives_the_event_back(event: CloudEvent) -> None:
    decoded = json_format.decode(json_format.encode(event))
    assert decoded == event
    assert [type(value) for value in decoded.extensions.values()] == [
        type(value) for _, value in sorted(event.extensions.items())
    ]


@given(events())
def test_encoding_again_gives_the_same_bytes(event: CloudEvent) -> None:
    body = json_format.encode(event)
    assert json_format.encode(json_format.decode(body)) == body


@given(st.lists(events(), max_size=3))
def test_batch_gives_the_events_back_in_order(batch: list[CloudEvent]) -> None:
    assert json_format.decode_batch(json_format.encode_batch(batch)) == batch
    assert http_binding.decode(*http_binding.encode_batch(batch)).events == tuple(batch)


@given(events())
def test_http_structured_gives_the_event_back(event: CloudEvent) -> None:
    assert http_binding.decode(*http_binding.encode_structured(event)).events == (event,)


@given(events())
def test_http_binary_gives_the_event_back_as_far_as_headers_can_hold_it(event: CloudEvent) -> None:
    expected = as_binary(event)
    if event.data in ("", b"") and (isinstance(event.data, bytes) or expected.datacontenttype in PLAIN):
        expected = replace(expected, data=ABSENT)  # HTTP has no body that is there and empty
    assert http_binding.decode(*http_binding.encode_binary(event)).events == (expected,)


@given(events(), st.none() | st.binary())
def test_kafka_structured_gives_the_event_back(event: CloudEvent, key: bytes | None) -> None:
    record = kafka_binding.encode_structured(event, key)
    assert record.key == key
    assert kafka_binding.decode(record.headers, record.value) == event


@given(events())
def test_kafka_binary_gives_the_event_back_as_far_as_headers_can_hold_it(event: CloudEvent) -> None:
    record = kafka_binding.encode_binary(event)
    assert (record.value is None) is (event.data is ABSENT)
    assert kafka_binding.decode(record.headers, record.value) == as_binary(event)


@given(TEXTS)
def test_header_value_is_printable_ascii_and_comes_back(text: str) -> None:
    value = http_binding.encode_value(text)
    assert all("!" <= character <= "~" for character in value)
    assert http_binding.decode_value("x", value) == text


@given(st.binary() | JSON_TEXTS.map(lambda text: text.encode()))
def test_any_bytes_are_answered_with_an_event_or_a_refusal(body: bytes) -> None:
    for decode in (json_format.decode, json_format.decode_batch):
        with contextlib.suppress(CloudEventError):
            decode(body)


@given(st.dictionaries(st.sampled_from(["id", "source", "type", "time", "data", "x", "data_base64"]) | TEXTS, JSON))
def test_any_json_object_is_answered_with_an_event_or_a_refusal(members: dict[str, object]) -> None:
    with contextlib.suppress(CloudEventError):
        json_format.decode(json.dumps({"specversion": "1.0", "id": "1", "source": "/", "type": "t"} | members).encode())


HEADER_NAMES = st.sampled_from(["ce-id", "CE-Time", "content-type", "ce_id", "ce_time", "Content-Type"]) | st.text()


@given(st.lists(st.tuples(HEADER_NAMES, st.text())), st.binary())
def test_any_http_message_is_answered_with_events_or_a_refusal(headers: list[tuple[str, str]], body: bytes) -> None:
    required = [("ce-specversion", "1.0"), ("ce-source", "/"), ("ce-type", "t")]
    with contextlib.suppress(CloudEventError):
        http_binding.decode(required + headers, body)


@given(st.lists(st.tuples(HEADER_NAMES, st.none() | st.binary())), st.none() | st.binary())
def test_any_kafka_record_is_answered_with_an_event_or_a_refusal(
    headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    required: list[tuple[str, bytes | None]] = [("ce_specversion", b"1.0"), ("ce_source", b"/"), ("ce_type", b"t")]
    with contextlib.suppress(CloudEventError):
        kafka_binding.decode(required + headers, value)
