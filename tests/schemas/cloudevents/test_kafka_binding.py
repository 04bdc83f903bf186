"""Kafka binding: structured and binary mode, keys, tombstones, header case (notes 6.3)."""

from datetime import UTC, datetime

import pytest

from schemas.cloudevents import ABSENT, CloudEvent, CloudEventError, kafka_binding

EVENT = CloudEvent("1", "/s", "t", datacontenttype="application/json", data={"a": "科"})
STRUCTURED = (
    '{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"application/json","data":{"a":"科"}}'
).encode()
BINARY: list[tuple[str, bytes | None]] = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/s"),
    ("ce_type", b"t"),
]


def refusal(headers: list[tuple[str, bytes | None]] | None, value: bytes | None, **limits: int) -> CloudEventError:
    with pytest.raises(CloudEventError) as caught:
        kafka_binding.decode(headers, value, **limits)
    return caught.value


@pytest.mark.parametrize("content_type", [b"application/cloudevents+json", b"Application/CloudEvents+JSON; charset=UTF-8"])
def test_structured_mode_is_told_by_the_content_type_header(content_type: bytes) -> None:
    assert kafka_binding.decode([("content-type", content_type)], STRUCTURED) == EVENT


def test_body_wins_over_headers_in_structured_mode() -> None:
    headers = [("content-type", b"application/cloudevents+json"), ("ce_id", b"other")]
    assert kafka_binding.decode(headers, STRUCTURED) == EVENT


@pytest.mark.parametrize(
    "content_type", [b"application/cloudevents-batch+json", b"application/cloudevents+avro", b"application/cloudevents"]
)
def test_batch_and_other_formats_do_not_exist_on_kafka(content_type: bytes) -> None:
    assert refusal([("content-type", content_type)], b"[]").reason == "format_unsupported"


def test_binary_mode_reads_plain_utf8_headers_and_decodes_no_percent() -> None:
    event = kafka_binding.decode(
        [*BINARY, ("ce_subject", "科技 100% %41".encode()), ("ce_time", b"2026-03-01T00:00:00Z"), ("other", b"\xff")],
        b"raw",
    )
    assert event == CloudEvent("1", "/s", "t", subject="科技 100% %41", time=datetime(2026, 3, 1, tzinfo=UTC), data=b"raw")


def test_content_type_header_is_the_datacontenttype_and_carries_no_prefix() -> None:
    record = kafka_binding.encode_binary(EVENT)
    assert record.headers[-1] == ("content-type", b"application/json")
    assert record.value == '{"a":"科"}'.encode()
    assert kafka_binding.decode(record.headers, record.value) == EVENT


def test_values_are_written_as_plain_utf8() -> None:
    record = kafka_binding.encode_binary(CloudEvent("1", "/s", "t", subject='科 "q" 100%'))
    assert ("ce_subject", '科 "q" 100%'.encode()) in record.headers


def test_ce_datacontenttype_is_refused() -> None:
    assert refusal([*BINARY, ("ce_datacontenttype", b"text/plain")], b"x").reason == "header_forbidden"


def test_header_that_is_not_utf8_is_refused() -> None:
    error = refusal([*BINARY, ("ce_subject", b"\xc0\xa0")], None)
    assert (error.reason, error.attribute) == ("header_encoding", "subject")


def test_header_that_comes_twice_is_refused() -> None:
    assert refusal([*BINARY, ("ce_id", b"1")], None).reason == "duplicate_header"


def test_header_with_a_null_value_counts_as_absent() -> None:
    assert kafka_binding.decode([*BINARY, ("ce_subject", None)], None) == CloudEvent("1", "/s", "t")
    assert refusal([("ce_specversion", None)], None).reason == "missing_attribute"


def test_record_without_headers_is_no_event() -> None:
    assert refusal(None, STRUCTURED).reason == "missing_attribute"
    assert refusal([], None).reason == "missing_attribute"


# Tombstones


def test_event_without_data_has_a_null_value_in_binary_mode() -> None:
    event = CloudEvent("1", "/s", "t", datacontenttype="application/json")
    record = kafka_binding.encode_binary(event)
    assert record.value is None
    assert kafka_binding.decode(record.headers, record.value) == event


def test_event_without_data_is_refused_for_a_compacted_topic_in_binary_mode() -> None:
    with pytest.raises(CloudEventError) as caught:
        kafka_binding.encode_binary(CloudEvent("1", "/s", "t"), compacted=True)
    assert caught.value.reason == "tombstone"


def test_json_null_and_empty_bytes_are_data_and_no_tombstones() -> None:
    assert kafka_binding.encode_binary(CloudEvent("1", "/s", "t", data=None), compacted=True).value == b"null"
    assert kafka_binding.encode_binary(CloudEvent("1", "/s", "t", data=b""), compacted=True).value == b""


def test_event_without_data_is_no_tombstone_in_structured_mode() -> None:
    record = kafka_binding.encode_structured(CloudEvent("1", "/s", "t"))
    assert record.value == b'{"specversion":"1.0","id":"1","source":"/s","type":"t"}'


def test_null_value_under_a_structured_content_type_is_refused() -> None:
    assert refusal([("content-type", b"application/cloudevents+json")], None).reason == "tombstone"


def test_empty_value_under_json_content_is_no_data_because_the_sdk_writes_it() -> None:
    assert kafka_binding.decode([*BINARY, ("content-type", b"application/json")], b"").data is ABSENT
    assert kafka_binding.decode([*BINARY, ("content-type", b"text/plain")], b"").data == ""
    assert kafka_binding.decode(BINARY, b"").data == b""


# Keys


def test_key_is_the_callers_and_none_by_default() -> None:
    event = CloudEvent("1", "/s", "t", extensions={"partitionkey": "k"})
    for encode in (kafka_binding.encode_structured, kafka_binding.encode_binary):
        assert encode(event).key is None
        assert encode(event, "项目").key == "项目".encode()
        assert encode(event, b"\xff").key == b"\xff"


def test_partition_key_is_an_opt_in_that_leaves_the_event_as_it_is() -> None:
    event = CloudEvent("1", "/s", "t", extensions={"partitionkey": "k"})
    record = kafka_binding.encode_binary(event, kafka_binding.partition_key(event))
    assert record.key == b"k"
    assert kafka_binding.decode(record.headers, record.value) == event
    assert kafka_binding.partition_key(CloudEvent("1", "/s", "t")) is None


# Header case


@pytest.mark.parametrize(
    ("headers", "attribute", "header"),
    [
        ([(name.upper(), value) for name, value in BINARY], "specversion", "CE_SPECVERSION"),
        ([*BINARY[:1], ("CE_id", b"1"), *BINARY[2:]], "id", "CE_id"),
        ([("Content-Type", b"application/cloudevents+json")], "specversion", "Content-Type"),
    ],
)
def test_required_attribute_lost_to_header_case_says_so(
    headers: list[tuple[str, bytes | None]], attribute: str, header: str
) -> None:
    error = refusal(headers, STRUCTURED)
    assert (error.reason, error.attribute) == ("header_case", attribute)
    assert f"{header!r} is not lower case" in error.message


def test_header_in_another_case_counts_as_not_there() -> None:
    event = kafka_binding.decode([*BINARY, ("CE_SUBJECT", b"x"), ("Content-Type", b"text/plain")], b"x")
    assert (event.subject, event.datacontenttype) == (None, None)


def test_missing_attribute_with_headers_in_order_keeps_its_reason() -> None:
    assert refusal(BINARY[:3], None).reason == "missing_attribute"


# Limits


def test_limit_counts_headers_and_value() -> None:
    assert refusal(BINARY, b"x" * 21, event_bytes_max=20).reason == "too_large"
    assert refusal([*BINARY, ("ce_note", b"x" * 21)], None, event_bytes_max=20).reason == "too_large"
    structured: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json")]
    assert refusal(structured, STRUCTURED, event_bytes_max=20).reason == "too_large"
