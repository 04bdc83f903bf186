"""The official Python SDK's traps (notes, section 7), one test a row: what our codec does instead."""

import pytest

from schemas.cloudevents import ABSENT, CloudEvent, CloudEventError, http_binding, json_format, kafka_binding

HEAD = '"specversion":"1.0","id":"1","source":"/s","type":"t"'
HEADERS = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]


def subject_of(value: str) -> str | None:
    return http_binding.decode([*HEADERS, ("ce-subject", value)], b"").events[0].subject


def reason_of(text: str) -> str:
    with pytest.raises(CloudEventError) as caught:
        json_format.decode(text.encode())
    return caught.value.reason


def test_header_value_is_percent_encoded() -> None:
    headers, _ = http_binding.encode_binary(CloudEvent("1", "/s", "t", subject='Euro € 😀 "q" 100%'))
    assert ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80%20%22q%22%20100%25") in headers


def test_lower_case_hex_is_accepted() -> None:
    assert subject_of("%e2%82%ac") == "€"


def test_invalid_utf8_in_a_header_is_rejected_and_not_replaced() -> None:
    with pytest.raises(CloudEventError) as caught:
        subject_of("%C0%A0")
    assert caught.value.reason == "header_encoding"


def test_double_quoted_header_value_is_unquoted() -> None:
    assert subject_of(r'"a \"b\" c"') == 'a "b" c'


def test_ce_datacontenttype_does_not_override_the_content_type() -> None:
    with pytest.raises(CloudEventError) as caught:
        http_binding.decode([*HEADERS, ("ce-datacontenttype", "a/b"), ("content-type", "application/json")], b"{}")
    assert caught.value.reason == "header_forbidden"


def test_json_attribute_null_is_unset() -> None:
    assert json_format.decode(f'{{{HEAD},"subject":null,"x":null}}'.encode()) == CloudEvent("1", "/s", "t")


def test_batch_content_type_is_a_mode_of_its_own() -> None:
    message = http_binding.decode([("content-type", "application/cloudevents-batch+json")], f"[{{{HEAD}}}]".encode())
    assert (message.mode, message.events) == ("batch", (CloudEvent("1", "/s", "t"),))


def test_event_without_time_stays_without_time() -> None:
    event = json_format.decode(f"{{{HEAD}}}".encode())
    assert event.time is None
    assert b"time" not in json_format.encode(event)
    assert http_binding.decode(HEADERS, b"").events[0].time is None
    record = kafka_binding.encode_binary(event)
    assert kafka_binding.decode(record.headers, record.value).time is None


def test_control_character_in_id_is_refused() -> None:
    assert reason_of('{"specversion":"1.0","id":"a\\u0007","source":"/s","type":"t"}') == "forbidden_character"


def test_integer_of_2_to_the_40_is_out_of_range() -> None:
    assert reason_of(f'{{{HEAD},"x":{2**40}}}') == "integer_range"


def test_relative_dataschema_is_refused() -> None:
    assert reason_of(f'{{{HEAD},"dataschema":"/schemas/a.json"}}') == "not_an_absolute_uri"


def test_no_data_in_kafka_binary_mode_is_a_null_value() -> None:
    record = kafka_binding.encode_binary(CloudEvent("1", "/s", "t"))
    assert record.value is None
    assert kafka_binding.decode(record.headers, record.value).data is ABSENT


def test_duplicate_json_key_is_refused() -> None:
    assert reason_of(f'{{{HEAD},"subject":"a","subject":"b"}}') == "duplicate_key"
