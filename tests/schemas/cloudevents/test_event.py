"""Context attributes: what makes an event, and what is refused (CloudEvents 1.0.2, section 3; notes 6.1)."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest

from schemas.cloudevents import ABSENT, CloudEvent, CloudEventError, Reason, json_format
from schemas.cloudevents.errors import MESSAGES_ZH


def refusal(**changes: Any) -> CloudEventError:
    with pytest.raises(CloudEventError) as caught:
        CloudEvent(**{"id": "1", "source": "/s", "type": "t", **changes})
    return caught.value


def decode(**members: Any) -> CloudEvent:
    return json_format.decode(json.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"} | members).encode())


def test_the_smallest_event_has_four_attributes_and_no_data() -> None:
    event = CloudEvent("1", "/s", "t")
    assert (event.subject, event.time, event.datacontenttype, event.dataschema) == (None, None, None, None)
    assert event.extensions == {}
    assert event.data is ABSENT
    assert repr(ABSENT) == "ABSENT"


def test_absent_data_and_json_null_are_different_events() -> None:
    assert CloudEvent("1", "/s", "t") != CloudEvent("1", "/s", "t", data=None)


@pytest.mark.parametrize("name", ["a", "0", "partitionkey", "x" * 21, "comexampleextension1"])
def test_extension_names_of_lower_case_letters_and_digits_are_taken_at_any_length(name: str) -> None:
    assert CloudEvent("1", "/s", "t", extensions={name: "v"}).extensions == {name: "v"}


@pytest.mark.parametrize(
    "name",
    ["", "data", "Upper", "with_underscore", "with-hyphen", "naïve", "科技", "id", "time", "specversion", "a\n", 7],
)
def test_other_extension_names_are_refused(name: Any) -> None:
    assert refusal(extensions={name: "v"}).reason == "attribute_name"


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "dataschema"])
def test_empty_attribute_is_refused(name: str) -> None:
    error = refusal(**{name: ""})
    assert (error.reason, error.attribute, error.pointer) == ("empty_attribute", name, f"/{name}")


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "dataschema", "datacontenttype"])
def test_attribute_that_is_no_string_is_refused(name: str) -> None:
    assert refusal(**{name: 5}).reason == "attribute_type"


def test_empty_extension_is_a_string_like_any_other() -> None:
    assert CloudEvent("1", "/s", "t", extensions={"note": ""}).extensions["note"] == ""


FORBIDDEN = ["\x00", "\t", "\n", "\x1f", "\x7f", "\x85", "\x9f", "\ud800", "\udfff", "\ufdd0", "\ufdef", "\ufffe",
             "\uffff", "\U0001fffe", "\U0010ffff"]  # fmt: skip


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda character: f"U+{ord(character):04X}")
@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "note"])
def test_control_character_surrogate_and_noncharacter_are_refused(name: str, character: str) -> None:
    text = f"a{character}b"
    error = refusal(extensions={"note": text}) if name == "note" else refusal(**{name: text})
    assert (error.reason, error.attribute) == ("forbidden_character", name)
    assert f"U+{ord(character):04X}" in error.message


@pytest.mark.parametrize("text", ["科技项目", 'Euro € 😀 "q" 100%', "\u00a0", "\ufdcf", "\ufffd", "\U0001fffd", "e\u0301"])
def test_every_other_character_is_taken(text: str) -> None:
    event = CloudEvent(text, "/s", text, subject=text, extensions={"note": text})
    assert (event.id, event.type, event.subject, event.extensions["note"]) == (text, text, text, text)


@pytest.mark.parametrize("value", [-(2**31), 2**31 - 1, 0, True, False, "text"])
def test_extension_takes_string_integer_of_32_bits_and_boolean(value: str | int | bool) -> None:
    assert CloudEvent("1", "/s", "t", extensions={"x": value}).extensions["x"] is value


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40])
def test_integer_beyond_32_bits_is_refused(value: int) -> None:
    assert refusal(extensions={"x": value}).reason == "integer_range"


@pytest.mark.parametrize("value", [1.0, 1.5, [], {}, b"bytes", None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_extension_of_another_type_is_refused(value: Any) -> None:
    assert refusal(extensions={"x": value}).reason == "attribute_type"


@pytest.mark.parametrize(
    "source",
    ["/mycontext", "mailto:cncf@example.org", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "https://[::1]:80/a?b=c#d",
     "1-555-123-4567", "/bureau/%E7%A7%91", "#part", "?q"],
)  # fmt: skip
def test_source_is_any_uri_reference(source: str) -> None:
    assert CloudEvent("1", source, "t").source == source


@pytest.mark.parametrize(
    "source",
    ["/with space", " /s", "/s ", "/科技局", "/a%2", "/a%zz", "/a|b", "/<x>", '/"', "/a\\b", "/{id}", "/a#b#c"],
)
def test_source_that_is_no_uri_reference_is_refused(source: str) -> None:
    assert refusal(source=source).reason == "not_a_uri_reference"


@pytest.mark.parametrize("dataschema", ["https://example.org/s.json", "urn:x:y", "https://example.org/s.json#/$defs/a"])
def test_dataschema_is_an_absolute_uri(dataschema: str) -> None:
    assert CloudEvent("1", "/s", "t", dataschema=dataschema).dataschema == dataschema


@pytest.mark.parametrize("dataschema", ["/schemas/a", "schema.json", "#a", "https:", "//host/a", "https://a b", "9x:y"])
def test_relative_dataschema_is_refused(dataschema: str) -> None:
    assert refusal(dataschema=dataschema).reason == "not_an_absolute_uri"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", 'text/plain;charset="utf-8"', "a/b+json"]
)
def test_datacontenttype_is_a_media_type(content_type: str) -> None:
    assert CloudEvent("1", "/s", "t", datacontenttype=content_type).datacontenttype == content_type


@pytest.mark.parametrize("content_type", ["", "json", "application/", "/json", "a/b/c", "text/纯", "a b/c", "a/b c"])
def test_datacontenttype_of_another_form_is_refused(content_type: str) -> None:
    assert refusal(datacontenttype=content_type).reason == "content_type"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2018-04-05T17:31:00Z", datetime(2018, 4, 5, 17, 31, tzinfo=UTC)),
        ("2018-04-05t17:31:00z", datetime(2018, 4, 5, 17, 31, tzinfo=UTC)),
        ("2018-04-05T17:31:00+08:00", datetime(2018, 4, 5, 9, 31, tzinfo=UTC)),
        ("2018-04-05T17:31:00-00:00", datetime(2018, 4, 5, 17, 31, tzinfo=UTC)),
        ("2018-04-05T17:31:00.5Z", datetime(2018, 4, 5, 17, 31, 0, 500_000, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
    ],
)
def test_time_of_rfc_3339_keeps_its_instant(text: str, instant: datetime) -> None:
    assert decode(time=text).time == instant


def test_nanoseconds_are_cut_off_at_the_microsecond() -> None:
    assert decode(time="2026-01-01T00:00:00.123456999Z").time == datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00Z", "20260101T000000Z",
     "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0800", "2026-01-01T00:00:00+08",
     "2026-01-01T24:00:00Z", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z",
     "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-01:00", "2026-01-01T00:00:00+24:00",
     "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-W01-1T00:00:00Z", "٢٠٢٦-01-01T00:00:00Z",
     "1767225600", " 2026-01-01T00:00:00Z"],
)  # fmt: skip
def test_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(CloudEventError) as caught:
        decode(time=text)
    assert (caught.value.reason, caught.value.attribute) == ("time_format", "time")


def test_leap_second_is_refused_with_its_own_reason() -> None:
    with pytest.raises(CloudEventError, match="send second 59") as caught:
        decode(time="2016-12-31T23:59:60Z")
    assert caught.value.reason == "leap_second"


@pytest.mark.parametrize("time", [1767225600, True, {"at": "now"}])
def test_time_that_is_no_string_is_refused(time: Any) -> None:
    with pytest.raises(CloudEventError) as caught:
        decode(time=time)
    assert caught.value.reason == "attribute_type"


@pytest.mark.parametrize("time", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z"])  # noqa: DTZ001 - naive on purpose
def test_event_takes_only_an_aware_datetime(time: Any) -> None:
    assert refusal(time=time).reason == "attribute_type"


def test_datetime_without_an_equal_in_utc_is_refused() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8)))
    assert refusal(time=first).reason == "time_format"


def test_time_is_written_in_utc_with_z() -> None:
    event = CloudEvent("1", "/s", "t", time=datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=8))))
    assert b'"time":"2026-03-01T00:00:00Z"' in json_format.encode(event)


@pytest.mark.parametrize("data", [{"a": 1}, [1], 5, True, None])
def test_json_value_under_another_content_type_is_refused(data: Any) -> None:
    error = refusal(datacontenttype="text/plain", data=data)
    assert (error.reason, error.pointer) == ("data_type", "/data")


def test_every_reason_has_a_chinese_message() -> None:
    assert set(MESSAGES_ZH) == set(get_args(Reason))
    for reason in get_args(Reason):
        assert CloudEventError(reason, "x", attribute="time").message_zh
        assert "{" not in CloudEventError(reason, "x").message_zh


def test_error_says_what_where_and_what_to_do_in_two_languages() -> None:
    error = refusal(dataschema="/relative")
    assert str(error) == error.message == (
        "attribute 'dataschema' is '/relative', not an absolute URI; send it with its scheme,"
        " for example https://example.org/schema.json"
    )  # fmt: skip
    assert error.message_zh == "属性 dataschema 应为带协议名的绝对 URI，例如 https://example.org/schema.json"


def test_message_bounds_what_it_quotes() -> None:
    assert len(refusal(source=" " * 100_000).message) < 400
    error = refusal(extensions={"X" * 100_000: "v"})
    assert max(map(len, (error.message, error.attribute or "", error.pointer, error.message_zh))) < 400
