"""The client against answers as the gateway gives them: what it repeats, what it says became of each event."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from dujiang_client import (
    Accepted,
    Client,
    Event,
    Fault,
    HistoryExpired,
    Receipt,
    Refused,
    Rejected,
    Request,
    Response,
    Retries,
    Signer,
    TransportFailed,
    Unreachable,
)
from dujiang_client.retries import retry_after_s

from tests.gateway.signing import Signer as Key

GATEWAY = "https://gateway.bureau.example"
TIME = datetime(2026, 3, 1, tzinfo=UTC)


def event(number: int = 1, **changes: Any) -> Event:
    members = {"type": "t.v1", "source": "/partners/a", "subject": "P-1", "id": f"e-{number}", "time": TIME} | changes
    return Event(**members)


def receipt(number: int = 1) -> dict[str, Any]:
    return {"id": f"e-{number}", "source": "/partners/a", "receipt": "r", "topic": "t", "partition": 0, "offset": number}


def answer(status: int, members: Any, **headers: str) -> Response:
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def problem(status: int, kind: str, *errors: tuple[str, str], **members: Any) -> dict[str, Any]:
    faults = [{"reason": reason, "pointer": pointer, "detail": "wrong"} for reason, pointer in errors]
    head = {"type": f"urn:dujiang:problem:{kind}", "title": "no", "status": status, "detail": "not so", "instance": "urn:x"}
    return head | ({"errors": faults} if faults else {}) | members


class Gateway:
    """Says the answers one after the other, an exception raised; keeps what it was asked and how long was waited."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.waited_s: list[float] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def client(self, auth: Any = "dj_token", draw: Callable[[], float] = lambda: 1.0, **options: Any) -> Client:
        return Client(GATEWAY, auth, transport=self, sleep=self.waited_s.append, draw=draw, **options)

    def header(self, name: str) -> list[str | None]:
        return [request.headers.get(name) for request in self.asked]


ACCEPTED = answer(202, {"receipts": [receipt()]})


class TestOne:
    def test_event_goes_out_as_a_cloudevent_and_its_receipt_comes_back(self) -> None:
        gateway = Gateway(ACCEPTED)
        assert gateway.client().publish(event(data={"标题": "水泵"}, extensions={"dataclassification": "public"})) == Receipt(
            "e-1", "/partners/a", "r", "t", 0, 1
        )
        (request,) = gateway.asked
        assert (request.method, request.url) == ("POST", f"{GATEWAY}/events")
        assert request.headers["content-type"] == "application/cloudevents+json"
        assert request.headers["authorization"] == "Bearer dj_token"
        assert json.loads(request.body) == {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/partners/a",
            "type": "t.v1",
            "subject": "P-1",
            "time": "2026-03-01T00:00:00Z",
            "datacontenttype": "application/json",
            "dataclassification": "public",
            "data": {"标题": "水泵"},
        }

    def test_json_of_ones_own_goes_out_unchanged(self) -> None:
        gateway = Gateway(ACCEPTED)
        gateway.client().publish({"specversion": "1.0", "id": "x"})
        assert json.loads(gateway.asked[0].body) == {"specversion": "1.0", "id": "x"}

    def test_time_without_a_zone_is_refused_before_anything_is_sent(self) -> None:
        gateway = Gateway()
        with pytest.raises(ValueError, match="needs a zone"):
            gateway.client().publish(event(time=datetime(2026, 3, 1)))  # noqa: DTZ001 - that is the point
        assert gateway.asked == []

    def test_refusal_says_what_is_wrong_and_is_not_repeated(self) -> None:
        gateway = Gateway(answer(422, problem(422, "contract_broken", ("data_invalid", "/data/budget"))))
        with pytest.raises(Refused, match="422 contract_broken: not so; /data/budget: wrong") as refused:
            gateway.client().publish(event())
        assert refused.value.problem.kind == "contract_broken"
        assert refused.value.problem.faults == (Fault("data_invalid", "/data/budget", "wrong"),)
        assert len(gateway.asked) == 1

    def test_answer_of_a_proxy_is_taken_for_no_receipt(self) -> None:
        with pytest.raises(Unreachable, match="not the gateway's"):
            Gateway(answer(200, b"<html>welcome</html>")).client().publish(event())
        with pytest.raises(Refused, match="403"):
            Gateway(answer(403, b"<html>no</html>")).client().publish(event())
        with pytest.raises(Refused, match="302"):
            Gateway(answer(302, b"", location="https://evil.example")).client().publish(event())


class TestRepeats:
    @pytest.mark.parametrize(
        "first",
        [
            TransportFailed("broken"),
            answer(503, problem(503, "not_confirmed")),
            answer(502, b"bad gateway"),
            answer(429, problem(429, "rate_exceeded")),
            answer(500, problem(500, "internal_error")),
            answer(409, problem(409, "in_flight")),
        ],
    )
    def test_what_may_pass_is_tried_again_under_one_key(self, first: Any) -> None:
        gateway = Gateway(first, ACCEPTED)
        assert gateway.client().publish(event()).id == "e-1"
        keys = gateway.header("idempotency-key")
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert gateway.asked[0].body == gateway.asked[1].body

    def test_each_call_has_a_key_of_its_own(self) -> None:
        gateway = Gateway(ACCEPTED, ACCEPTED)
        client = gateway.client()
        client.publish(event())
        client.publish(event())
        assert len(set(gateway.header("idempotency-key"))) == 2

    def test_conflict_is_not_tried_again(self) -> None:
        gateway = Gateway(answer(409, problem(409, "event_conflict")))
        with pytest.raises(Refused):
            gateway.client().publish(event())
        assert gateway.waited_s == []

    def test_waits_double_up_to_a_limit_and_then_it_gives_up(self) -> None:
        gateway = Gateway(*[TransportFailed("broken")] * 6)
        with pytest.raises(Unreachable, match="after 6 attempts: broken"):
            gateway.client(retries=Retries(attempts=6, first_s=1, last_s=5)).publish(event())
        assert gateway.waited_s == [1, 2, 4, 5, 5]

    def test_waits_are_drawn_between_half_and_all(self) -> None:
        retries = Retries(first_s=8)
        assert [retries.wait_s(1, None, lambda drawn=drawn: drawn) for drawn in (0.0, 0.5, 1.0)] == [4, 6, 8]

    def test_retry_after_is_waited_for_and_never_cut_short(self) -> None:
        gateway = Gateway(answer(429, problem(429, "rate_exceeded"), retry_after="7"), ACCEPTED)
        gateway.client(draw=lambda: 0.0).publish(event())
        assert gateway.waited_s == [7]

    def test_quota_of_the_day_is_raised_at_once_with_the_time_to_come_again(self) -> None:
        gateway = Gateway(answer(429, problem(429, "quota_exceeded"), retry_after="57600"))
        with pytest.raises(Refused) as refused:
            gateway.client().publish(event())
        assert (refused.value.problem.kind, refused.value.retry_after_s, gateway.waited_s) == ("quota_exceeded", 57600, [])

    def test_last_refusal_is_raised_when_all_tries_are_used_up(self) -> None:
        gateway = Gateway(*[answer(503, problem(503, "store_away"))] * 2)
        with pytest.raises(Refused, match="store_away"):
            gateway.client(retries=Retries(attempts=2)).publish(event())

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("5", 5),
            (" 0 ", 0),
            ("Sun, 01 Mar 2026 00:00:09 GMT", 9),
            ("Sun, 01 Mar 2026 00:00:00 -0000", 0),
            ("Sat, 28 Feb 2026 00:00:00 GMT", 0),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            (None, None),
        ],
    )
    def test_retry_after_is_seconds_or_a_date(self, value: str | None, seconds: float | None) -> None:
        assert retry_after_s(value, TIME) == seconds


class TestBatch:
    def test_every_event_has_its_receipt(self) -> None:
        gateway = Gateway(answer(202, {"receipts": [receipt(1), receipt(2)]}))
        outcomes = gateway.client().publish_all([event(1), event(2)])
        assert [outcome.receipt.offset for outcome in outcomes if isinstance(outcome, Accepted)] == [1, 2]
        assert gateway.asked[0].headers["content-type"] == "application/cloudevents-batch+json"

    def test_nothing_to_publish_asks_nobody(self) -> None:
        assert Gateway().client().publish_all([]) == []

    def test_part_that_was_not_confirmed_is_tried_again_and_told_in_the_end(self) -> None:
        partly = {
            "receipts": [receipt(1), receipt(3)],
            "problems": [problem(503, "not_confirmed", index=1, id="e-2", source="/")],
        }
        gateway = Gateway(answer(207, partly, retry_after="5"), answer(207, partly))
        first, second, third = gateway.client(retries=Retries(attempts=2)).publish_all([event(n) for n in (1, 2, 3)])
        assert isinstance(second, Rejected)
        assert (second.event["id"], second.problem.kind, second.faults) == ("e-2", "not_confirmed", ())
        assert [one.receipt.id for one in (first, third) if isinstance(one, Accepted)] == ["e-1", "e-3"]
        assert len(gateway.waited_s) == 1

    def test_faults_are_told_by_event_and_the_sound_ones_were_held_back(self) -> None:
        errors = [("data_invalid", "/1/data/budget"), ("time_missing", "/1/time"), ("not_an_object", "/2")]
        gateway = Gateway(answer(422, problem(422, "batch_invalid", *errors)))
        outcomes = gateway.client().publish_all([event(n) for n in (1, 2, 3)])
        assert [(one.event["id"], one.faults) for one in outcomes if isinstance(one, Rejected)] == [
            ("e-1", ()),
            ("e-2", (Fault("data_invalid", "/data/budget", "wrong"), Fault("time_missing", "/time", "wrong"))),
            ("e-3", (Fault("not_an_object", "", "wrong"),)),
        ]

    @pytest.mark.parametrize(
        "refusal", [problem(413, "batch_too_long"), problem(401, "signed_token_invalid", ("expired", "/claims/exp"))]
    )
    def test_refusal_of_the_whole_is_raised(self, refusal: Any) -> None:
        with pytest.raises(Refused):
            Gateway(answer(refusal["status"], refusal)).client().publish_all([event()])


class TestSigned:
    @pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
    def test_every_attempt_has_a_token_of_its_own(self, algorithm: str) -> None:
        gateway = Gateway(TransportFailed("broken"), ACCEPTED)
        gateway.client(Signer("institute-7", "k-1", Key(algorithm=algorithm).pem(), GATEWAY)).publish(event())
        assert len(set(gateway.header("authorization"))) == 2
        assert len(set(gateway.header("idempotency-key"))) == 1

    @pytest.mark.parametrize("address", ["http://gateway.bureau.example", "http://10.0.0.1:8600"])
    def test_token_never_travels_in_the_open(self, address: str) -> None:
        with pytest.raises(ValueError, match="use https"):
            Client(address, "dj_token")
        assert Client(address) is not None
        assert Client("http://127.0.0.1:8600", "dj_token") is not None

    @pytest.mark.parametrize("address", ["gateway", "ftp://x", "https://", "https://u:p@x", "https://x?y=@"])
    def test_what_is_no_address_is_refused(self, address: str) -> None:
        with pytest.raises(ValueError, match="no gateway's address"):
            Client(address)


class TestPull:
    def page(self, cursor: str, *events: Any) -> Response:
        return answer(200, {"events": list(events), "cursor": cursor, "has_more": bool(events), "withheld": {"right": 2}})

    def test_pages_go_on_from_the_cursor_that_came(self) -> None:
        gateway = Gateway(self.page("c1", {"id": "1"}, {"id": "2"}), self.page("c2"), self.page("c3", {"id": "3"}))
        pages = gateway.client().pages("s 1", limit=2, wait_s=9)
        found = [next(pages) for _ in range(3)]
        assert [[one["id"] for one in page.events] for page in found] == [["1", "2"], [], ["3"]]
        assert found[0].withheld == {"right": 2}
        assert [request.url.removeprefix(GATEWAY) for request in gateway.asked] == [
            "/subscriptions/s%201/events?limit=2&wait=9",
            "/subscriptions/s%201/events?limit=2&wait=9&cursor=c1",
            "/subscriptions/s%201/events?limit=2&wait=9&cursor=c2",
        ]
        assert {request.timeout_s for request in gateway.asked} == {39}

    def test_expired_history_says_where_one_can_go_on(self) -> None:
        gateway = Gateway(answer(410, problem(410, "cursor_gone", earliest_cursor="c9")))
        with pytest.raises(HistoryExpired) as expired:
            gateway.client().pull("s", "c1")
        assert (expired.value.earliest, expired.value.problem.kind) == ("c9", "cursor_gone")

    def test_reader_waits_out_a_gateway_that_is_away(self) -> None:
        gateway = Gateway(answer(503, problem(503, "log_away"), retry_after="5"), self.page("c1"))
        assert gateway.client().pull("s").cursor == "c1"
