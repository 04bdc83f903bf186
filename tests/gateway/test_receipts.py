"""The same again: by (source, id) and by Idempotency-Key, through a gateway; what is kept is in memory here."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import TransientFault
from gateway.receipts import Receipts, content_digest, identity_of, key_of
from schemas.cloudevents import CloudEvent

BATCH = "application/cloudevents-batch+json"
KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
Event = Callable[..., dict[str, Any]]
Post = Callable[..., Any]


@pytest.fixture
def post(guarded: Any, directory: Any) -> Post:
    """POST /events as the institute."""
    token = directory.register("institute-7", "publish:*")

    def send(body: Any, *arguments: str, **headers: str) -> Any:
        return guarded.post(body, *arguments, **{"authorization": f"Bearer {token}", **headers})

    return send


def written(gateway: Any) -> int:
    return len(gateway.publisher.records)


class TestEventAgain:
    def test_gets_the_first_receipt_and_is_written_once(self, guarded: Any, post: Post, event: Event) -> None:
        first = post(event())
        guarded.clock.advance(3600)
        again = post(event())
        assert (again.status, again.json) == (202, first.json)
        assert written(guarded) == 1

    def test_is_the_same_in_binary_mode_and_in_another_order_of_members(self, guarded: Any, post: Post, event: Event) -> None:
        sent = event(data={"reason": "设备故障", "note": {"a": 1, "b": 2}}, sequence="7")
        first = post(sent)
        turned = dict(reversed(sent.items())) | {"data": {"note": {"b": 2, "a": 1}, "reason": "设备故障"}}
        attributes = {f"ce_{name}": sent[name] for name in ("specversion", "id", "source", "type", "subject", "time")}
        binary = post(sent["data"], "application/json", ce_sequence="7", **attributes)
        assert [post(turned).json, binary.json] == [first.json, first.json]
        assert written(guarded) == 1

    @pytest.mark.parametrize(
        "change",
        [{"data": {"reason": "other"}}, {"subject": "P-2026-002"}, {"time": "2026-02-28T10:00:01Z"}, {"sequence": "8"}],
    )
    def test_with_another_content_is_a_conflict(self, guarded: Any, post: Post, event: Event, change: dict[str, Any]) -> None:
        post(event())
        answer = post(event(**change))
        assert (answer.status, answer.kind, answer.faults) == (409, "event_conflict", [("/id", "event_conflict")])
        assert written(guarded) == 1

    def test_conflict_is_pointed_at_in_a_batch_of_one(self, post: Post, event: Event) -> None:
        post(event())
        assert post([event(subject="P-2026-002")], BATCH).faults == [("/0/id", "event_conflict")]

    def test_same_id_of_another_source_is_another_event(self, guarded: Any, post: Post, event: Event) -> None:
        post(event())
        assert post(event(source="/partners/institute-7/lab", data={"reason": "other"})).status == 202
        assert written(guarded) == 2

    def test_batch_writes_only_what_is_new_and_answers_in_order(self, guarded: Any, post: Post, event: Event) -> None:
        first = post(event(id="b")).json["receipts"][0]
        answer = post([event(id="a"), event(id="b"), event(id="c")], BATCH)
        assert [receipt["id"] for receipt in answer.json["receipts"]] == ["a", "b", "c"]
        assert answer.json["receipts"][1] == first
        assert written(guarded) == 3

    def test_twice_in_a_batch_is_written_once(self, guarded: Any, post: Post, event: Event) -> None:
        receipts = post([event(), event()], BATCH).json["receipts"]
        assert receipts[0] == receipts[1]
        assert written(guarded) == 1

    def test_conflict_within_a_batch_keeps_all_out(self, guarded: Any, post: Post, event: Event) -> None:
        answer = post([event(), event(id="2"), event(data={"reason": "other"})], BATCH)
        assert (answer.status, answer.kind, answer.faults) == (409, "event_conflict", [("/2/id", "event_conflict")])
        assert written(guarded) == 0

    def test_under_way_is_409_with_a_time_to_come_again(
        self, guarded: Any, post: Post, memory_receipts: Any, event: Event
    ) -> None:
        one = CloudEvent(id="e-1", source="/partners/institute-7", type="x")
        asyncio.run(memory_receipts.claim({identity_of(one): claimed_digest(event())}))
        answer = post(event())
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (409, "in_flight", "5")
        assert written(guarded) == 0


class TestRequestAgain:
    def test_under_its_key_gets_the_first_answer(self, guarded: Any, post: Post, event: Event) -> None:
        first = post([event(id="a"), event(id="b")], BATCH, idempotency_key=KEY)
        again = post([event(id="a"), event(id="b")], BATCH, idempotency_key=KEY)
        assert (again.status, again.json) == (202, first.json)
        assert written(guarded) == 2

    def test_another_request_under_a_used_key_is_refused(self, guarded: Any, post: Post, event: Event) -> None:
        post(event(), idempotency_key=KEY)
        answer = post(event(id="e-2"), idempotency_key=KEY)
        assert (answer.status, answer.kind) == (422, "idempotency_key_reused")
        assert written(guarded) == 1

    def test_bare_word_is_the_same_key_as_the_quoted_one(self, post: Post, event: Event) -> None:
        post(event(), idempotency_key='"k-1"')
        assert post(event(id="e-2"), idempotency_key="k-1").kind == "idempotency_key_reused"

    @pytest.mark.parametrize("key", ['""', '"a', "a b", '"a" "b"', '"a", "b"', f'"{"k" * 256}"', '"\u00e9"', "a;b=1"])
    def test_key_that_is_no_string_is_refused(self, guarded: Any, post: Post, event: Event, key: str) -> None:
        answer = post(event(), idempotency_key=key)
        assert (answer.status, answer.kind) == (400, "idempotency_key_invalid")
        assert written(guarded) == 0

    def test_key_under_way_is_409(self, post: Post, memory_receipts: Any) -> None:
        body = b"[]"
        key = key_of(KEY.encode(), "institute-7", [("content-type", BATCH)], body)
        asyncio.run(memory_receipts.claim({key.identity: key.digest}))
        answer = post(body, BATCH, idempotency_key=KEY)
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (409, "in_flight", "5")

    def test_keys_are_a_partners_own(self, guarded: Any, directory: Any, post: Post, event: Event) -> None:
        post(event(), idempotency_key=KEY)
        other = f"Bearer {directory.register('institute-8', 'publish:*')}"
        sent = event(source="/partners/institute-8")
        assert guarded.post(sent, idempotency_key=KEY, authorization=other).status == 202

    def test_refused_request_leaves_its_key_free(self, guarded: Any, post: Post, event: Event) -> None:
        assert post(event(type="x"), idempotency_key=KEY).status == 422
        assert post(event(), idempotency_key=KEY).status == 202
        assert written(guarded) == 1


class TestKafkaDoesNotTakeIt:
    def test_what_was_not_confirmed_is_written_when_it_comes_again(self, guarded: Any, post: Post, event: Event) -> None:
        guarded.publisher.every_fault = TransientFault("Kafka: away")
        assert post(event(), idempotency_key=KEY).status == 503
        guarded.publisher.every_fault = None
        assert post(event(), idempotency_key=KEY).status == 202
        assert written(guarded) == 1

    def test_only_the_unconfirmed_part_of_a_batch_is_written_again(self, guarded: Any, post: Post, event: Event) -> None:
        batch = [event(id="a"), event(id="b", subject="bad"), event(id="c")]
        guarded.publisher.faults[b"bad"] = TransientFault("Kafka: away")
        partly = post(batch, BATCH, idempotency_key=KEY)
        guarded.publisher.faults.clear()
        whole = post(batch, BATCH, idempotency_key=KEY)
        assert (partly.status, whole.status) == (207, 202)
        kept, came = partly.json["receipts"], whole.json["receipts"]
        assert [came[0], came[2]] == kept
        assert written(guarded) == 3

    def test_overload_leaves_the_events_free(self, guarded: Any, post: Post, event: Event) -> None:
        guarded.publisher.is_full = True
        assert post(event()).kind == "overloaded"
        guarded.publisher.is_full = False
        assert post(event()).status == 202


class TestDatabaseAway:
    def test_nothing_is_written_that_may_have_been_before(
        self, guarded: Any, post: Post, memory_receipts: Any, event: Event
    ) -> None:
        memory_receipts.fault = TransientFault("PostgreSQL: no-such-host")
        answer = post(event())
        assert (answer.status, answer.kind, answer.headers["retry-after"]) == (503, "store_away", "5")
        assert b"PostgreSQL:" not in answer.body
        assert written(guarded) == 0

    def test_what_kafka_has_is_accepted_although_its_receipt_cannot_be_kept(
        self, guarded: Any, post: Post, memory_receipts: Any, event: Event
    ) -> None:
        memory_receipts.settle_fault = TransientFault("PostgreSQL: away")
        assert post(event()).status == 202
        assert written(guarded) == 1


class TestNobodyIsAsked:
    @pytest.fixture
    def gateway(self, serve_gateway: Callable[..., Any], fake_publisher: Any, memory_receipts: Any) -> Any:
        return serve_gateway(fake_publisher, receipts=Receipts(memory_receipts))

    def test_nothing_is_kept_without_a_key(self, gateway: Any, memory_receipts: Any, event: Event) -> None:
        assert [gateway.post(event()).status for _ in range(2)] == [202, 202]
        assert written(gateway) == 2
        assert memory_receipts.rows == {}

    def test_key_is_honoured(self, gateway: Any, event: Event) -> None:
        first = gateway.post(event(), idempotency_key=KEY)
        assert gateway.post(event(), idempotency_key=KEY).json == first.json
        assert written(gateway) == 1


class TestContent:
    def test_bytes_are_not_their_hexadecimal_text(self) -> None:
        def digest(data: object) -> bytes:
            return content_digest(CloudEvent(id="1", source="/a", type="t", datacontenttype="text/plain", data=data))

        assert digest(b"a") != digest("61")

    def test_null_is_not_absent(self) -> None:
        bare = CloudEvent(id="1", source="/a", type="t")
        assert content_digest(bare) != content_digest(CloudEvent(id="1", source="/a", type="t", data=None))

    def test_source_and_id_do_not_run_together(self) -> None:
        assert identity_of(CloudEvent(id="bc", source="/a", type="t")) != identity_of(
            CloudEvent(id="c", source="/ab", type="t")
        )


def claimed_digest(members: dict[str, Any]) -> bytes:
    """What a gateway would claim for the event that these members are."""
    from schemas.cloudevents import json_format, json_text

    return content_digest(json_format.decode(json_text.dump(members)))
