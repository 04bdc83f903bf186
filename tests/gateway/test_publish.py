"""POST /events: what is accepted, what is refused, and what stands in Kafka afterwards."""

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.errors import EnvironmentFault, TransientFault
from gateway.attributes import DOCUMENTED
from gateway.body import BodyReader
from schemas.cloudevents import json_format, kafka_binding
from schemas.contract import instant_text

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
Event = Callable[..., dict[str, Any]]
BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "e-1",
    "ce_source": "/partners/institute-7",
    "ce_type": "gov.stiib.research.project.suspended.v1",
    "ce_subject": "P-2026-001",
    "ce_time": "2026-02-28T10:00:00Z",
}


def written(gateway: Any) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in gateway.publisher.records]


class TestAccepted:
    def test_structured_event_is_in_its_topic_under_its_subject_before_the_answer(self, gateway: Any, event: Event) -> None:
        answer = gateway.post(event())
        assert answer.status == 202
        (record,) = gateway.publisher.records
        assert (record.topic, record.key) == ("research.project.event", b"P-2026-001")
        assert record.headers == [("content-type", b"application/cloudevents+json")]
        assert json.loads(record.value) == event(recordedtime="2026-03-01T08:00:00Z")

    def test_receipt_names_the_event_and_its_place(self, gateway: Any, event: Event) -> None:
        (receipt,) = gateway.post(event()).json["receipts"]
        assert len(receipt.pop("receipt")) == 32
        assert receipt == {
            "id": "e-1",
            "source": "/partners/institute-7",
            "topic": "research.project.event",
            "partition": receipt["partition"],
            "offset": 0,
        }

    def test_same_place_has_the_same_receipt_and_another_place_another(self, gateway: Any, event: Event) -> None:
        first = gateway.post(event()).json["receipts"][0]["receipt"]
        second = gateway.post(event()).json["receipts"][0]["receipt"]
        gateway.publisher.records.clear()
        assert gateway.post(event()).json["receipts"][0]["receipt"] == first != second

    def test_binary_event_is_written_structured(self, gateway: Any, event: Event) -> None:
        answer = gateway.post({"reason": "设备故障"}, "application/json", **BINARY)
        assert answer.status == 202
        assert written(gateway) == [event(recordedtime="2026-03-01T08:00:00Z")]

    def test_binary_header_values_are_percent_decoded(self, gateway: Any) -> None:
        answer = gateway.post({"reason": "x"}, "application/json", **BINARY | {"ce_subject": "%E9%A1%B9%E7%9B%AE%201"})
        assert answer.status == 202
        assert gateway.publisher.records[0].key == "项目 1".encode()

    def test_binary_event_without_data_needs_no_body(self, gateway: Any) -> None:
        headers = BINARY | {"ce_type": "gov.stiib.research.project.started.v1"}
        assert gateway.post(b"", None, **headers).status == 202
        assert "data" not in written(gateway)[0]

    def test_batch_keeps_its_order_and_gets_a_receipt_each(self, gateway: Any, event: Event) -> None:
        answer = gateway.post([event(id=str(number)) for number in range(100)], BATCH)
        assert answer.status == 202
        assert [receipt["id"] for receipt in answer.json["receipts"]] == [str(number) for number in range(100)]
        assert [one["id"] for one in written(gateway)] == [str(number) for number in range(100)]

    def test_empty_batch_is_accepted_and_writes_nothing(self, gateway: Any) -> None:
        answer = gateway.post([], BATCH)
        assert (answer.status, answer.json) == (202, {"receipts": []})

    def test_recordedtime_of_the_partner_is_kept(self, gateway: Any, event: Event) -> None:
        assert gateway.post(event(recordedtime="2026-02-28T11:00:00+08:00")).status == 202
        assert written(gateway)[0]["recordedtime"] == "2026-02-28T11:00:00+08:00"

    def test_extensions_and_unknown_data_are_passed_on(self, gateway: Any, event: Event) -> None:
        sent = event(correlationid="c-1", sequence="0007", data={"reason": "x", "note": {"kept": [1, None]}})
        assert gateway.post(sent).status == 202
        assert written(gateway) == [sent | {"recordedtime": "2026-03-01T08:00:00Z"}]

    def test_what_is_written_is_an_event_again(self, gateway: Any, event: Event) -> None:
        sent = event(subject='a"b\\c')
        gateway.post(sent)
        (record,) = gateway.publisher.records
        decoded = kafka_binding.decode(record.headers, record.value)
        assert json.loads(json_format.encode(decoded)) == sent | {"recordedtime": "2026-03-01T08:00:00Z"}

    def test_content_type_may_carry_parameters_and_any_case(self, gateway: Any, event: Event) -> None:
        assert gateway.post(event(), "Application/CloudEvents+JSON; charset=UTF-8").status == 202


class TestBatchIsAllOrNothing:
    def test_one_faulty_event_keeps_all_out(self, gateway: Any, event: Event) -> None:
        contracted = event(
            type="gov.stiib.research.project.contracted.v1",
            data={"contract_no": "HT-1", "amount": "many", "start": "2026-01-01", "end": "soon", "milestones": []},
        )
        answer = gateway.post([event(), event(), event(), contracted], BATCH)
        assert (answer.status, answer.kind) == (422, "contract_broken")
        assert answer.faults == [("/3/data/amount", "data_invalid"), ("/3/data/end", "data_invalid")]
        assert gateway.publisher.records == []

    def test_every_faulty_event_is_named_whatever_is_wrong_with_it(self, gateway: Any, event: Event) -> None:
        batch = [
            event(id=""),
            event(),
            event(type="gov.stiib.research.project.suspended.v9"),
            event(data={}),
            "no event",
            event(source="/streams/projects"),
        ]
        answer = gateway.post(batch, BATCH)
        assert (answer.status, answer.kind) == (422, "batch_invalid")
        assert answer.faults == [
            ("/0/id", "empty_attribute"),
            ("/2/type", "type_unknown"),
            ("/3/data/reason", "data_invalid"),
            ("/4", "not_an_object"),
            ("/5/source", "source_reserved"),
        ]
        assert gateway.publisher.records == []
        problems = answer.json["problems"]
        assert [(one["index"], one["type"].rsplit(":", 1)[1]) for one in problems] == [
            (0, "event_invalid"),
            (2, "type_unknown"),
            (3, "contract_broken"),
            (4, "event_invalid"),
            (5, "source_reserved"),
        ]
        assert {"title", "status", "detail", "instance", "next"} <= problems[0].keys()
        assert {one["instance"] for one in problems} == {answer.json["instance"]}

    def test_same_fault_in_all_is_the_problem_itself(self, gateway: Any, event: Event) -> None:
        assert gateway.post([event(time=None), event(time=None)], BATCH).faults == [
            ("/0/time", "time_missing"),
            ("/1/time", "time_missing"),
        ]


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "kind", "fault"),
        [
            ({"type": "gov.stiib.nothing.v1"}, "type_unknown", ("/type", "type_unknown")),
            ({"type": "gov.stiib.platform.timer.fired.v1"}, "type_reserved", ("/type", "type_reserved")),
            ({"source": "/engine/timers"}, "source_reserved", ("/source", "source_reserved")),
            *(
                ({"dataclassification": label}, "classification_unknown", ("/dataclassification", "classification_unknown"))
                for label in ("secret", "Public", "core", 1, True)
            ),
            ({"fooattr": "x"}, "attribute_unknown", ("/fooattr", "attribute_unknown")),
            ({"authid": "x"}, "attribute_unknown", ("/authid", "attribute_unknown")),
            ({"source": "/streams/projects"}, "source_reserved", ("/source", "source_reserved")),
            ({"source": "/console/deeds"}, "source_reserved", ("/source", "source_reserved")),
            ({"time": None}, "contract_broken", ("/time", "time_missing")),
            ({"subject": None}, "contract_broken", ("/subject", "subject_missing")),
            ({"subject": "x" * 513}, "contract_broken", ("/subject", "subject_long")),
            ({"data": {"reason": 7}}, "contract_broken", ("/data/reason", "data_invalid")),
            ({"data": {"reason": "a\u0000b"}}, "contract_broken", ("/data/reason", "data_invalid")),
            ({"id": "a\u0000b"}, "event_invalid", ("/id", "forbidden_character")),
            ({"specversion": "0.3"}, "event_invalid", ("/specversion", "specversion")),
            ({"source": None}, "event_invalid", ("/source", "missing_attribute")),
            ({"recordedtime": "yesterday"}, "event_invalid", ("/recordedtime", "time_format")),
            ({"data_base64": "eA=="}, "event_invalid", ("/data_base64", "data_conflict")),
            ({"retries": 2**40}, "event_invalid", ("/retries", "integer_range")),
        ],
    )
    def test_faulty_event_is_named_at_its_place(
        self, gateway: Any, event: Event, changes: dict[str, Any], kind: str, fault: tuple[str, str]
    ) -> None:
        answer = gateway.post(event(**changes))
        assert (answer.status, answer.kind, answer.faults) == (422, kind, [fault])
        assert gateway.publisher.records == []

    def test_every_unknown_attribute_is_named_with_those_that_are_known(self, gateway: Any, event: Event) -> None:
        answer = gateway.post(event(fooattr="x", region="330106", barattr=1))
        assert answer.faults == [("/fooattr", "attribute_unknown"), ("/barattr", "attribute_unknown")]
        assert "recordedtime, region, sampledrate" in answer.json["detail"]

    def test_unknown_attribute_is_named_in_binary_mode_and_in_a_batch(self, gateway: Any, event: Event) -> None:
        binary = gateway.post({"reason": "x"}, "application/json", **BINARY, ce_fooattr="x")
        assert (binary.status, binary.faults) == (422, [("/fooattr", "attribute_unknown")])
        batch = gateway.post([event(), event(id="e-2", fooattr="x")], BATCH)
        assert (batch.status, batch.kind, batch.faults) == (422, "attribute_unknown", [("/1/fooattr", "attribute_unknown")])
        beside = gateway.post([event(id=None), event(id="e-2", fooattr="x")], BATCH)
        assert beside.faults == [("/0/id", "missing_attribute"), ("/1/fooattr", "attribute_unknown")]
        assert gateway.publisher.records == []

    def test_attributes_that_are_documented_or_that_the_operator_named_are_taken(self, gateway: Any, event: Event) -> None:
        extensions = dict.fromkeys(DOCUMENTED - {"dataclassification", "recordedtime"}, "x") | {"region": "330106"}
        assert gateway.post(event(**extensions)).status == 202
        assert written(gateway) == [event(**extensions, recordedtime="2026-03-01T08:00:00Z")]

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"{", "invalid_json"),
            (b"[" * 10_000 + b"]" * 10_000, "too_deep"),
            (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
            (b'{"id":"\xff"}', "invalid_utf8"),
            (b'{"id":"\x00"}', "invalid_json"),
            (b"\xef\xbb\xbf{}", "invalid_json"),
            (b'{"id":"a","id":"b"}', "duplicate_key"),
            (b'{"data":NaN}', "not_finite"),
            (b'{"data":1e999}', "not_finite"),
            (b'{"data":' + b"9" * 5000 + b"}", "number_too_long"),
            (b'{"data":"\\ud800"}', "lone_surrogate"),
            (b"{} {}", "invalid_json"),
        ],
    )
    def test_malformed_json_is_refused_with_its_reason(self, gateway: Any, body: bytes, reason: str) -> None:
        answer = gateway.post(body)
        assert (answer.status, answer.kind) == (400, "json_invalid")
        assert [fault["reason"] for fault in answer.json["errors"]] == [reason]
        assert gateway.post(b"[" + body + b"]", BATCH).status == 400
        assert gateway.publisher.records == []

    @pytest.mark.parametrize("value", ["%C0%A0", "50%", "%zz", "\xe9"])
    def test_header_value_that_does_not_decode_is_refused(self, gateway: Any, value: str) -> None:
        answer = gateway.post({"reason": "x"}, "application/json", **BINARY | {"ce_subject": value})
        assert (answer.status, answer.kind) == (400, "header_invalid")
        assert answer.faults == [("/subject", "header_encoding")]

    def test_data_content_type_as_a_header_is_refused(self, gateway: Any) -> None:
        answer = gateway.post({"reason": "x"}, "application/json", **BINARY | {"ce_datacontenttype": "text/plain"})
        assert (answer.status, answer.kind) == (400, "header_invalid")
        assert answer.faults == [("/datacontenttype", "header_forbidden")]
        assert "Content-Type alone" in gateway.get("/problems/header_invalid").json["next"]["en"]

    def test_unknown_type_sends_its_publisher_where_publishers_may_look(self, gateway: Any, event: Event) -> None:
        assert "GET /types" in gateway.post(event(type="gov.stiib.nothing.v1")).json["detail"]

    @pytest.mark.parametrize(
        ("content_type", "headers"),
        [
            (None, {}),
            ("application/json", {}),
            ("text/plain", {}),
            ("application/cloudevents+avro", {}),
            ("application/cloudevents-batch+avro", {}),
            ("application/cloudevents+json; charset=gb18030", {}),
            (STRUCTURED, {"content_encoding": "gzip"}),
            (None, BINARY),
        ],
    )
    def test_content_type_that_is_no_event_format_is_415(
        self, gateway: Any, event: Event, content_type: str | None, headers: dict[str, str]
    ) -> None:
        answer = gateway.post(event(), content_type, **headers)
        assert (answer.status, answer.kind) == (415, "media_type_unsupported")
        assert answer.headers["accept-post"] == f"{STRUCTURED}, {BATCH}"

    @pytest.mark.parametrize("content_type", [STRUCTURED, BATCH])
    def test_empty_body_is_refused(self, gateway: Any, content_type: str) -> None:
        answer = gateway.post(b"", content_type)
        assert (answer.status, answer.kind) == (400, "body_empty")

    def test_batch_that_is_no_array_is_refused(self, gateway: Any, event: Event) -> None:
        answer = gateway.post(event(), BATCH)
        assert (answer.status, answer.kind, answer.faults) == (422, "event_invalid", [("", "not_an_array")])


class TestLimits:
    def test_body_that_declares_too_much_is_refused_and_the_answer_arrives(self, gateway: Any) -> None:
        answer = gateway.post(b" " * (4 * 1024 * 1024))
        assert (answer.status, answer.kind) == (413, "content_too_large")

    def test_body_that_declares_nothing_is_counted_as_it_comes(self, gateway: Any) -> None:
        pieces = (b" " * 65_536 for _ in range(40))
        answer = gateway.request("POST", "/events", pieces, {"content-type": STRUCTURED, "transfer-encoding": "chunked"})
        assert (answer.status, answer.kind) == (413, "content_too_large")

    def test_event_of_more_than_a_mebibyte_in_a_batch_is_refused(self, gateway: Any, event: Event) -> None:
        large = event(data={"reason": "x", "note": "y" * 1_100_000})
        answer = gateway.post([event(), large], BATCH)
        assert (answer.status, answer.kind, answer.faults) == (413, "content_too_large", [("/1", "too_large")])
        assert gateway.publisher.records == []

    def test_event_that_grows_beyond_the_limit_when_written_is_refused(self, gateway: Any, event: Event) -> None:
        """Plain ones are written as they came; this one's subject is not plain, so the codec writes it anew."""
        body = json.dumps(event(subject="项目 1", data={"reason": "x", "note": ["PLACE"]})).encode()
        numbers = b",".join([b"1e9"] * 240_000)  # written as 1000000000.0
        answer = gateway.post(body.replace(b'"PLACE"', numbers))
        assert (answer.status, answer.kind) == (413, "content_too_large")

    def test_batch_of_more_than_a_thousand_is_refused(self, gateway: Any, event: Event) -> None:
        answer = gateway.post([event()] * 1001, BATCH)
        assert (answer.status, answer.kind) == (413, "batch_too_long")

    def test_headers_of_more_than_32_kib_are_refused(self, gateway: Any, event: Event) -> None:
        answer = gateway.post(event(), ce_note="x" * 33_000)
        assert (answer.status, answer.kind) == (431, "headers_too_large")

    def test_body_that_stops_coming_is_refused(self, gateway: Any) -> None:
        answer = slow_request(gateway, b"{")
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"urn:dujiang:problem:body_slow" in answer

    def test_bodies_that_together_hold_too_much_are_refused(
        self, serve_gateway: Callable[..., Any], fake_publisher: Any
    ) -> None:
        gateway = serve_gateway(fake_publisher, bodies=BodyReader(held_bytes_max=1000))
        pieces = (b" " * 65_536 for _ in range(4))
        answer = gateway.request("POST", "/events", pieces, {"content-type": STRUCTURED, "transfer-encoding": "chunked"})
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "overloaded", "1")


class TestKafkaDoesNotTakeIt:
    def test_nothing_confirmed_is_503_and_says_when_to_repeat(self, gateway: Any, event: Event) -> None:
        gateway.publisher.every_fault = TransientFault("Kafka: Local: Message timed out")
        answer = gateway.post(event())
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "not_confirmed", "5")

    def test_partly_written_batch_says_which_and_which_not(self, gateway: Any, event: Event) -> None:
        gateway.publisher.faults[b"bad"] = TransientFault("Kafka: Broker: Not enough in-sync replicas")
        batch = [event(id="a"), event(id="b", subject="bad"), event(id="c")]
        answer = gateway.post(batch, BATCH)
        assert (answer.status, answer.headers["retry-after"]) == (207, "5")
        assert [receipt["id"] for receipt in answer.json["receipts"]] == ["a", "c"]
        (problem,) = answer.json["problems"]
        assert (problem["index"], problem["id"], problem["status"]) == (1, "b", 503)
        assert problem["type"] == "urn:dujiang:problem:not_confirmed"
        assert [one["id"] for one in written(gateway)] == ["a", "c"]

    def test_refusal_of_the_platform_itself_does_not_tell_partners_what_kafka_said(self, gateway: Any, event: Event) -> None:
        gateway.publisher.every_fault = EnvironmentFault("Kafka: user svc-dujiang is not allowed", "grant access")
        answer = gateway.post(event())
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "broker_refused", "30")
        assert b"svc-dujiang" not in answer.body

    def test_too_much_in_flight_is_503_and_nothing_is_written(self, gateway: Any, event: Event) -> None:
        gateway.publisher.is_full = True
        answer = gateway.post([event(), event()], BATCH)
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "overloaded", "1")
        assert gateway.publisher.records == []


class TestAccount:
    def test_events_are_counted_as_accepted_or_refused(self, serve_gateway: Any, fake_publisher: Any, event: Event) -> None:
        gateway = serve_gateway(fake_publisher)
        gateway.post([event()] * 3, BATCH)
        gateway.post([event(), event(type="x")], BATCH)
        gateway.post(b"{")
        lines = gateway.get("/metrics").body.decode().splitlines()
        assert "dujiang_gateway_accepted_events_total 3.0" in lines
        assert 'dujiang_gateway_refused_events_total{reason="type_unknown"} 2.0' in lines
        assert 'dujiang_gateway_refused_events_total{reason="json_invalid"} 1.0' in lines
        assert "dujiang_gateway_publish_seconds_count 1.0" in lines

    def test_how_old_accepted_events_are_is_counted_and_a_clock_ahead_makes_none_younger_than_new(
        self, serve_gateway: Any, fake_publisher: Any, event: Event
    ) -> None:
        gateway = serve_gateway(fake_publisher)
        now = gateway.clock.now()
        times = [now - timedelta(days=2), now - timedelta(hours=1), now + timedelta(seconds=5)]
        gateway.post([event(time=instant_text(time)) for time in times], BATCH)
        gateway.post(event(type="x"))
        lines = gateway.get("/metrics").body.decode().splitlines()
        name = "dujiang_gateway_event_age_seconds"
        assert f'{name}_count{{partner="-"}} 3.0' in lines
        assert f'{name}_sum{{partner="-"}} {2 * 86_400 + 3_600:.1f}' in lines

    def test_nothing_a_partner_wrote_is_logged(self, gateway: Any, event: Event) -> None:
        secret = "zhang-san-13800000000"
        with capture_logs() as lines:
            gateway.post(event(id=secret, subject=secret, data={"reason": 7, secret: secret}))
            gateway.post(event(type=secret, source=f"/partners/{secret}"))
            gateway.post([event(id=secret + "\x00")], BATCH)
            gateway.request("POST", f"/events?who={secret}", b"{", {"content-type": STRUCTURED})
            gateway.get(f"/{secret}")
        assert [line["problem"] for line in lines] == [
            "contract_broken",
            "type_unknown",
            "event_invalid",
            "json_invalid",
            "not_found",
        ]
        assert secret not in repr(lines)

    def test_problem_is_found_in_the_log_by_its_instance(self, gateway: Any) -> None:
        with capture_logs() as lines:
            answer = gateway.post(b"{")
        assert [line["instance"] for line in lines] == [answer.json["instance"]]


def slow_request(gateway: Any, start: bytes) -> bytes:
    """Send the beginning of a body and no more."""
    with socket.create_connection((gateway.host, gateway.port), timeout=10) as line:
        head = f"POST /events HTTP/1.1\r\nhost: {gateway.host}\r\ncontent-type: {STRUCTURED}\r\ncontent-length: 100\r\n\r\n"
        line.sendall(head.encode() + start)
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
        return answer


@pytest.mark.parametrize("label", ["public", "internal", "restricted"])
def test_known_classification_travels_with_the_event(gateway: Any, event: Any, label: str) -> None:
    assert gateway.post(event(dataclassification=label)).status == 202
    assert json.loads(gateway.publisher.records[0].value)["dataclassification"] == label
