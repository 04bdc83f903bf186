"""HTTP binding: three modes and header values (notes 6.2)."""

import json
from datetime import UTC, datetime

import pytest

from schemas.cloudevents import ABSENT, CloudEvent, CloudEventError, http_binding
from schemas.cloudevents.http_binding import Message, Mode

EVENT = CloudEvent("1", "/s", "t", datacontenttype="application/json", data={"a": "科"})
STRUCTURED = (
    '{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":{"a":"科"}}'
).encode()
BINARY = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]


def binary(*headers: tuple[str, str], body: bytes = b"") -> CloudEvent:
    message = http_binding.decode([*BINARY, *headers], body)
    assert message.mode is Mode.BINARY
    (event,) = message.events
    return event


def refusal(headers: list[tuple[str, str]], body: bytes = b"", **limits: int) -> CloudEventError:
    with pytest.raises(CloudEventError) as caught:
        http_binding.decode(headers, body, **limits)
    return caught.value


# Choice of the mode


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON; charset=UTF-8",
        ' application/cloudevents+json;charset="utf-8"',
    ],
)
def test_structured_mode_is_told_by_the_content_type_in_any_case(content_type: str) -> None:
    assert http_binding.decode([("CONTENT-TYPE", content_type)], STRUCTURED) == Message(Mode.STRUCTURED, (EVENT,))


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents-batch+json", "APPLICATION/cloudevents-BATCH+json ; charset=utf-8"]
)
def test_batch_is_tested_first_because_it_begins_like_structured(content_type: str) -> None:
    body = b"[" + STRUCTURED + b"," + STRUCTURED + b"]"
    assert http_binding.decode([("Content-Type", content_type)], body) == Message(Mode.BATCH, (EVENT, EVENT))


def test_empty_batch_is_a_message_of_no_events() -> None:
    assert http_binding.decode([("content-type", "application/cloudevents-batch+json")], b"[]") == Message(Mode.BATCH, ())


def test_any_other_content_type_is_binary() -> None:
    assert binary(("Content-Type", "application/json"), body='{"a":"科"}'.encode()) == EVENT


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+avro", "application/cloudevents", "application/cloudevents+xml; charset=utf-8",
     "application/cloudevents-batch", "application/cloudevents-batch+avro", "application/cloudevents-batches+json"],
)  # fmt: skip
def test_unknown_event_format_is_refused_as_unsupported(content_type: str) -> None:
    assert refusal([*BINARY, ("content-type", content_type)], STRUCTURED).reason == "format_unsupported"


def test_event_format_in_another_charset_is_refused() -> None:
    error = refusal([("content-type", "application/cloudevents+json; charset=gbk")], STRUCTURED)
    assert error.reason == "charset_unsupported"


def test_body_wins_over_headers_in_structured_mode() -> None:
    headers = [
        ("content-type", "application/cloudevents+json"),
        ("ce-id", "other"),
        ("ce-id", "twice"),
        ("ce-x", "%C0"),
    ]
    assert http_binding.decode(headers, STRUCTURED).events == (EVENT,)


def test_attribute_only_in_a_header_is_missing_in_structured_mode() -> None:
    headers = [("content-type", "application/cloudevents+json"), *BINARY]
    assert refusal(headers, b'{"specversion":"1.0","source":"/s","type":"t"}').attribute == "id"


def test_request_that_is_no_cloudevent_misses_specversion_before_its_body_is_looked_at() -> None:
    error = refusal([("content-type", "application/json")], b"not json")
    assert (error.reason, error.attribute) == ("missing_attribute", "specversion")


# Binary mode


def test_binary_mode_reads_every_attribute_and_ignores_other_headers() -> None:
    event = binary(
        ("CE-Subject", "P-1"),
        ("Ce-Time", "2026-03-01T08:00:00+08:00"),
        ("ce-dataschema", "https://example.org/s.json"),
        ("ce-partitionkey", "k"),
        ("Host", "example.org"),
        ("x-ce-id", "7"),
        ("content-type", "text/plain"),
        body="正文".encode(),
    )
    assert event == CloudEvent(
        "1",
        "/s",
        "t",
        subject="P-1",
        time=datetime(2026, 3, 1, tzinfo=UTC),
        dataschema="https://example.org/s.json",
        datacontenttype="text/plain",
        extensions={"partitionkey": "k"},
        data="正文",
    )


def test_extension_comes_as_a_string_in_binary_mode() -> None:
    event = CloudEvent("1", "/s", "t", extensions={"count": 5, "flag": True})
    headers, body = http_binding.encode_binary(event)
    assert ("ce-count", "5") in headers
    assert ("ce-flag", "true") in headers
    assert http_binding.decode(headers, body).events[0].extensions == {"count": "5", "flag": "true"}


@pytest.mark.parametrize("header", ["ce-datacontenttype", "CE-DataContentType"])
def test_ce_datacontenttype_is_refused(header: str) -> None:
    error = refusal([*BINARY, (header, "text/plain"), ("content-type", "application/json")], b"{}")
    assert (error.reason, error.attribute) == ("header_forbidden", "datacontenttype")


@pytest.mark.parametrize("header", ["ce-data", "ce-my_extension", "ce-my-extension", "ce-", "ce-data_base64"])
def test_header_that_is_no_attribute_name_is_refused(header: str) -> None:
    assert refusal([*BINARY, (header, "x")]).reason == "attribute_name"


@pytest.mark.parametrize("header", [("CE-ID", "2"), ("ce-id", "1")])
def test_header_that_comes_twice_is_refused(header: tuple[str, str]) -> None:
    error = refusal([*BINARY, header])
    assert (error.reason, error.attribute) == ("duplicate_header", "id")


def test_two_content_types_are_refused() -> None:
    headers = [*BINARY, ("content-type", "application/json"), ("Content-Type", "application/cloudevents+json")]
    assert refusal(headers, b"{}").reason == "duplicate_header"


def test_empty_body_is_no_data_in_binary_mode() -> None:
    assert binary(("content-type", "application/json")).data is ABSENT
    assert binary().data is ABSENT


def test_body_without_content_type_stays_bytes() -> None:
    assert binary(body=b'{"a":1}').data == b'{"a":1}'


@pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "text/JSON", "application/vnd.x+Json"])
def test_json_body_is_a_json_value(content_type: str) -> None:
    assert binary(("content-type", content_type), body=b'"text"').data == "text"


def test_body_that_is_no_json_under_json_content_is_refused_at_data() -> None:
    error = refusal([*BINARY, ("content-type", "application/json")], b'{"a":{"b":1,"b":2}}')
    assert (error.reason, error.pointer) == ("duplicate_key", "/data/a/b")


def test_json_body_in_another_charset_is_refused() -> None:
    error = refusal([*BINARY, ("content-type", "application/json; charset=GB18030")], b"{}")
    assert (error.reason, error.attribute) == ("charset_unsupported", "datacontenttype")


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/xml", b"<a/>", "<a/>"),
        ("text/csv; charset=utf-8", "科,技".encode(), "科,技"),
        ("text/csv", "科".encode("gbk"), "科".encode("gbk")),
        ("text/csv; charset=gbk", "科".encode("gbk"), "科".encode("gbk")),
        ("application/octet-stream", b"abc", b"abc"),
    ],
)
def test_text_in_utf8_is_a_string_and_anything_else_stays_bytes(content_type: str, body: bytes, data: object) -> None:
    assert binary(("content-type", content_type), body=body).data == data


def test_json_string_is_written_as_json_and_not_bare() -> None:
    event = CloudEvent("1", "/s", "t", datacontenttype="application/json", data="I'm just a string")
    assert http_binding.encode_binary(event)[1] == b'"I\'m just a string"'


def test_implied_json_is_written_out_in_binary_mode() -> None:
    headers, body = http_binding.encode_binary(CloudEvent("1", "/s", "t", data={"a": 1}))
    assert (headers[-1], body) == (("content-type", "application/json"), b'{"a":1}')


def test_bytes_without_a_type_and_no_data_get_no_content_type() -> None:
    for data in (b"x", ABSENT):
        headers, _ = http_binding.encode_binary(CloudEvent("1", "/s", "t", data=data))
        assert [name for name, _ in headers] == ["ce-specversion", "ce-id", "ce-source", "ce-type"]


def test_event_whose_data_is_an_event_is_not_written_in_binary_mode() -> None:
    event = CloudEvent("1", "/s", "t", datacontenttype="application/cloudevents+json", data={})
    with pytest.raises(CloudEventError, match="send it structured"):
        http_binding.encode_binary(event)
    assert http_binding.decode(*http_binding.encode_structured(event)).events == (event,)


def test_text_under_another_charset_is_not_written() -> None:
    event = CloudEvent("1", "/s", "t", datacontenttype="text/plain; charset=gbk", data="科")
    with pytest.raises(CloudEventError) as caught:
        http_binding.encode_binary(event)
    assert caught.value.reason == "charset_unsupported"


def test_limits_hold_in_every_mode() -> None:
    structured, batch = (
        ("content-type", "application/cloudevents+json"),
        ("content-type", "application/cloudevents-batch+json"),
    )
    assert refusal([structured], STRUCTURED, event_bytes_max=20).reason == "too_large"
    assert refusal([batch], b"[" + STRUCTURED + b"]", batch_bytes_max=20).reason == "too_large"
    assert refusal([batch], b"[" + STRUCTURED + b"," + STRUCTURED + b"]", batch_events_max=1).reason == "too_many_events"
    assert refusal(BINARY, b"x" * 21, event_bytes_max=20).reason == "too_large"
    assert refusal([*BINARY, ("ce-note", "x" * 21)], event_bytes_max=20).reason == "too_large"


# Header values


def test_vector_of_the_specification_is_encoded_and_decoded() -> None:
    assert http_binding.encode_value("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert http_binding.decode_value("x", "Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀"


def test_only_space_quote_percent_and_characters_outside_printable_ascii_are_encoded() -> None:
    printable = "".join(map(chr, range(0x21, 0x7F)))
    expected = printable.replace("%", "%25").replace('"', "%22")
    assert http_binding.encode_value(printable) == expected
    assert http_binding.encode_value(" \x7f\x80") == "%20%7F%C2%80"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("%e7%a7%91", "科"),  # lower-case digits
        ("%41%2d", "A-"),  # needless encoding
        ("%2541", "%41"),  # one round only
        ('"a b"', "a b"),  # quotes of older senders
        (r'"say \"hi\" \\ \x"', 'say "hi" \\ x'),
        ('"%E7%A7%91"', "科"),  # unquoted first, then decoded
        ('"\\%41"', "A"),
        ('""', None),
        ('a"b"', 'a"b"'),  # not a quoted string
        ('"a', '"a'),
        ('"a"b"', '"a"b"'),
        ('"a\\"', '"a\\"'),
        (" padded\t", "padded"),
        ("a+b", "a+b"),  # no form encoding
    ],
)
def test_header_value_is_unquoted_then_decoded_once(value: str, text: str | None) -> None:
    if text is None:
        assert refusal([*BINARY, ("ce-subject", value)]).reason == "empty_attribute"
    else:
        assert binary(("ce-subject", value)).subject == text


@pytest.mark.parametrize("value", ["%C0%A0", "%ff", "%ED%A0%80", "%E7%A7", "a%", "100%", "%zz", "%4", "科", "é"])
def test_header_value_that_is_not_percent_encoded_utf8_is_refused(value: str) -> None:
    error = refusal([*BINARY, ("ce-subject", value)])
    assert (error.reason, error.attribute) == ("header_encoding", "subject")


def test_control_character_hidden_by_encoding_is_refused() -> None:
    assert refusal([*BINARY, ("ce-subject", "a%0D%0Ab")]).reason == "forbidden_character"


def test_chinese_values_pass_through_headers() -> None:
    event = CloudEvent("编号 1", "/%E7%A7%91", "类型", subject='科技局 "甲" 100%', extensions={"note": "二〇二六"})
    headers, body = http_binding.encode_binary(event)
    assert all(value.isascii() for _, value in headers)
    assert http_binding.decode(headers, body).events == (event,)


def test_source_keeps_its_own_percent_encoding() -> None:
    headers, _ = http_binding.encode_binary(CloudEvent("1", "/%E7", "t"))
    assert ("ce-source", "/%25E7") in headers
    assert binary().source == "/s"


def test_writers_name_the_media_type_of_each_mode() -> None:
    assert http_binding.encode_structured(EVENT) == ([("content-type", "application/cloudevents+json")], STRUCTURED)
    headers, body = http_binding.encode_batch([EVENT])
    assert headers == [("content-type", "application/cloudevents-batch+json")]
    assert json.loads(body) == [json.loads(STRUCTURED)]
