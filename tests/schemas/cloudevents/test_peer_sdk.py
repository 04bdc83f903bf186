"""The PyPI `cloudevents` SDK as a peer, both ways, where it follows the specification (its faults: notes, section 7).

Kept clear of: events without `time` (it invents one), JSON strings in binary mode (it writes them bare), typed
extensions in binary mode, batch, `null`, Kafka keys (it turns them into an extension), data-less records.
"""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.bindings import kafka as sdk_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from schemas.cloudevents import CloudEvent, http_binding, json_format, kafka_binding

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "A-1",
    "source": "/registry/%E7%A7%91",
    "type": "gov.stiib.research.project.contracted.v1",
    "subject": '科技项目 "甲" 100% 😀',
    "time": datetime(2026, 3, 1, 8, 0, 0, 250_000, tzinfo=UTC),
    "dataschema": "https://example.org/s.json",
    "partitionkey": "P 1",
}
CASES = {
    "json object": ("application/json", {"名称": "甲", "amount": 12.5, "list": [1, None, True]}),
    "json suffix": ("application/vnd.bureau+json", {"a": {"b": []}}),
    "text": ("text/plain", "正文 text"),
    "xml": ("application/xml", "<much wow='xml'/>"),
    "bytes": ("application/octet-stream", b"\x00\xff\xfe"),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[str, object]:
    return CASES[request.param]


@pytest.fixture
def ours(case: tuple[str, object]) -> CloudEvent:
    return CloudEvent(
        id="A-1",
        source="/registry/%E7%A7%91",
        type="gov.stiib.research.project.contracted.v1",
        subject='科技项目 "甲" 100% 😀',
        time=datetime(2026, 3, 1, 8, 0, 0, 250_000, tzinfo=UTC),
        dataschema="https://example.org/s.json",
        datacontenttype=case[0],
        extensions={"partitionkey": "P 1"},
        data=case[1],
    )


@pytest.fixture
def theirs(case: tuple[str, object]) -> SdkEvent:
    return SdkEvent({**ATTRIBUTES, "datacontenttype": case[0]}, case[1])  # type: ignore[arg-type]


def parts(event: object) -> tuple[object, object]:
    assert isinstance(event, SdkEvent)
    return event.get_attributes(), event.get_data()


def test_sdk_reads_our_json(ours: CloudEvent, theirs: SdkEvent) -> None:
    assert parts(JSONFormat().read(None, json_format.encode(ours))) == parts(theirs)


def test_we_read_the_json_of_the_sdk(ours: CloudEvent, theirs: SdkEvent) -> None:
    assert json_format.decode(JSONFormat().write(theirs)) == ours


def test_extension_types_agree_in_json() -> None:
    event = CloudEvent("1", "/s", "t", time=datetime(2026, 1, 1, tzinfo=UTC), extensions={"n": -5, "f": False})
    attributes, _ = parts(JSONFormat().read(None, json_format.encode(event)))
    assert isinstance(attributes, dict)
    assert (attributes["n"], attributes["f"]) == (-5, False)
    assert json_format.decode(JSONFormat().write(SdkEvent(attributes))) == event


def test_sdk_reads_our_structured_http(ours: CloudEvent, theirs: SdkEvent) -> None:
    headers, body = http_binding.encode_structured(ours)
    assert parts(sdk_http.from_http_event(sdk_http.HTTPMessage(dict(headers), body))) == parts(theirs)


def test_we_read_the_structured_http_of_the_sdk(ours: CloudEvent, theirs: SdkEvent) -> None:
    message = sdk_http.to_structured_event(theirs)
    assert http_binding.decode(message.headers.items(), message.body).events == (ours,)


def test_sdk_reads_our_binary_http(ours: CloudEvent, theirs: SdkEvent) -> None:
    headers, body = http_binding.encode_binary(ours)
    assert parts(sdk_http.from_http_event(sdk_http.HTTPMessage(dict(headers), body))) == parts(theirs)


def test_we_read_the_binary_http_of_the_sdk(ours: CloudEvent, theirs: SdkEvent) -> None:
    message = sdk_http.to_binary_event(theirs)
    assert http_binding.decode(message.headers.items(), message.body).events == (ours,)


def test_header_values_are_the_same_bytes(ours: CloudEvent, theirs: SdkEvent) -> None:
    headers, _ = http_binding.encode_binary(ours)
    theirs_headers = sdk_http.to_binary_event(theirs).headers
    assert {name: value for name, value in headers if name != "ce-time"} == {
        name: value for name, value in theirs_headers.items() if name != "ce-time"
    }


def test_sdk_reads_our_structured_kafka(ours: CloudEvent, theirs: SdkEvent) -> None:
    record = kafka_binding.encode_structured(ours)
    assert record.value is not None
    message = sdk_kafka.KafkaMessage(dict(record.headers), record.key, record.value)
    assert parts(sdk_kafka.from_kafka_event(message)) == parts(theirs)


def test_we_read_the_structured_kafka_of_the_sdk(ours: CloudEvent, theirs: SdkEvent) -> None:
    message = sdk_kafka.to_structured_event(theirs)
    assert kafka_binding.decode(list(message.headers.items()), message.value) == ours


def test_sdk_reads_our_binary_kafka(ours: CloudEvent, theirs: SdkEvent) -> None:
    record = kafka_binding.encode_binary(ours)
    assert record.value is not None
    message = sdk_kafka.KafkaMessage(dict(record.headers), record.key, record.value)
    assert parts(sdk_kafka.from_kafka_event(message)) == parts(theirs)


def test_we_read_the_binary_kafka_of_the_sdk(ours: CloudEvent, theirs: SdkEvent) -> None:
    message = sdk_kafka.to_binary_event(theirs)
    assert kafka_binding.decode(list(message.headers.items()), message.value) == ours
