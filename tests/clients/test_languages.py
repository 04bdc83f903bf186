"""The clients in JavaScript and Java do what the one in Python does: one set of tests for both, against prepared answers."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.webhooks.signing import made_key, sign, signer_of
from tests.clients.conftest import AUDIENCE, PARTNER
from tests.clients.drivers import Driver, Failure
from tests.clients.liar import Broken, Liar, lying
from tests.clients.test_publish import ACCEPTED, answer, problem, receipt
from tests.clients.test_webhooks import BODY, OTHER, PUBLIC, SECRET, SENT_S, V1, V1A
from tests.clients.test_webhooks import headers as signed_headers
from tests.gateway.signing import Signer as Key

TIME = "2026-03-01T00:00:00Z"
ONLY_JAVA = pytest.mark.parametrize("driver", ["java"], indirect=True)
ONLY_JAVASCRIPT = pytest.mark.parametrize("driver", ["javascript"], indirect=True)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Liar]:
    with lying() as liar:
        yield liar


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"type": "t.v1", "source": "/partners/a", "subject": "P-1", "id": f"e-{number}", "time": TIME} | changes


def client(gateway: Liar, /, **changes: Any) -> dict[str, Any]:
    return {"gateway": gateway.url, "token": "dj_token"} | changes


def publish(driver: Driver, gateway: Liar, /, **changes: Any) -> Any:
    return driver.ask("publish", client=client(gateway, **changes), event=event())


class TestOne:
    def test_event_goes_out_as_a_cloudevent_and_its_receipt_comes_back(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(ACCEPTED)
        told = event(data={"标题": "水泵 🛠", "n": [1, 2.5, None, True, ""]}, extensions={"dataclassification": "public"})
        done = driver.ask("publish", client=client(gateway, language="zh"), event=told)
        assert done.value == receipt(1)
        (asked,) = gateway.asked
        assert (asked.method, asked.path) == ("POST", "/events")
        names = ("content-type", "authorization", "accept-language")
        assert [asked.headers[name] for name in names] == ["application/cloudevents+json", "Bearer dj_token", "zh"]
        sent = asked.json
        assert datetime.fromisoformat(sent.pop("time")) == datetime(2026, 3, 1, tzinfo=UTC)
        assert sent == {
            "specversion": "1.0",
            "id": "e-1",
            "source": "/partners/a",
            "type": "t.v1",
            "subject": "P-1",
            "datacontenttype": "application/json",
            "dataclassification": "public",
            "data": {"标题": "水泵 🛠", "n": [1, 2.5, None, True, ""]},
        }

    def test_event_has_a_fresh_id_and_the_present_time_of_itself(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(ACCEPTED, ACCEPTED)
        for _ in range(2):
            told = {"type": "t.v1", "source": "/partners/a", "subject": "P-1"}
            driver.ask("publish", client=client(gateway), event=told)
        first, second = (asked.json for asked in gateway.asked)
        assert first["id"] != second["id"]
        assert abs(datetime.now(UTC) - datetime.fromisoformat(first["time"])) < timedelta(minutes=1)
        assert "data" not in first
        assert "datacontenttype" not in first

    def test_json_of_ones_own_goes_out_unchanged(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(ACCEPTED)
        members = {"specversion": "1.0", "id": "x", "data": None}
        driver.ask("publish", client=client(gateway), event={"members": members})
        assert gateway.asked[0].json == members

    def test_refusal_says_what_is_wrong_and_is_not_repeated(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(422, problem(422, "contract_broken", ("data_invalid", "/data/budget"))))
        with pytest.raises(Failure, match="Refused: 422 contract_broken: not so; /data/budget: wrong") as refused:
            publish(driver, gateway)
        assert refused.value.problem == {
            "kind": "contract_broken",
            "status": 422,
            "title": "no",
            "detail": "not so",
            "next": "",
            "instance": "urn:x",
            "faults": [{"reason": "data_invalid", "pointer": "/data/budget", "detail": "wrong"}],
        }
        assert len(gateway.asked) == 1

    @pytest.mark.parametrize(
        "body", [b"<html>welcome</html>", b"[]", b"{}", b'{"receipts": []}', b'{"receipts": [{}]}', b"\xff"]
    )
    def test_answer_of_a_proxy_is_taken_for_no_receipt(self, driver: Driver, gateway: Liar, body: bytes) -> None:
        gateway.says(answer(200, body))
        with pytest.raises(Failure, match=r"Unreachable: .*not the gateway's"):
            publish(driver, gateway)
        gateway.says(answer(403, body))
        with pytest.raises(Failure, match="Refused: 403"):
            publish(driver, gateway)

    def test_redirect_is_not_followed(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(302, b"", location=f"{gateway.url}/elsewhere"), ACCEPTED)
        with pytest.raises(Failure, match="Refused: 302"):
            publish(driver, gateway)
        assert [asked.path for asked in gateway.asked] == ["/events"]

    @ONLY_JAVASCRIPT
    def test_number_that_json_cannot_hold_is_no_event(self, driver: Driver, gateway: Liar) -> None:
        gateway.says()
        order = {"do": "publish", "client": client(gateway), "event": event(data={"budget": "INFINITE"})}
        with pytest.raises(Failure, match="Argument: the member 'budget' is no JSON"):
            driver.say(json.dumps(order).replace('"INFINITE"', "1e999"))
        assert gateway.asked == []


class TestRepeats:
    @pytest.mark.parametrize(
        "first",
        [
            Broken(),
            Broken(mib=1),
            answer(503, problem(503, "not_confirmed")),
            answer(502, b"bad gateway"),
            answer(429, problem(429, "rate_exceeded")),
            answer(500, problem(500, "internal_error")),
            answer(409, problem(409, "in_flight")),
        ],
        ids=["broken", "cut", "503", "502", "429", "500", "in flight"],
    )
    def test_what_may_pass_is_tried_again_under_one_key(self, driver: Driver, gateway: Liar, first: Any) -> None:
        gateway.says(first, ACCEPTED)
        assert publish(driver, gateway).value["id"] == "e-1"
        keys = gateway.header("idempotency-key")
        assert len(keys) == 2
        assert len(set(keys)) == 1
        assert gateway.asked[0].body == gateway.asked[1].body

    @pytest.mark.parametrize("mib", [None, 1])
    def test_answer_that_stays_away_is_not_waited_for(self, driver: Driver, gateway: Liar, mib: int | None) -> None:
        gateway.says(Broken(mib, is_silent=True))
        with pytest.raises(Failure, match=r"Unreachable: .*no whole answer within 1 s"):
            publish(driver, gateway, timeout_s=1, attempts=1)

    def test_each_call_has_a_key_of_its_own(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(ACCEPTED, ACCEPTED)
        publish(driver, gateway)
        publish(driver, gateway)
        assert len(set(gateway.header("idempotency-key"))) == 2

    def test_conflict_is_not_tried_again(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(409, problem(409, "event_conflict")))
        with pytest.raises(Failure, match="409 event_conflict"):
            publish(driver, gateway)
        assert len(gateway.asked) == 1

    def test_waits_double_up_to_a_limit_and_then_it_gives_up(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(*[Broken()] * 6)
        with pytest.raises(Failure, match="Unreachable: no answer after 6 attempts: POST") as failed:
            publish(driver, gateway, first_s=1, last_s=5)
        assert failed.value.waited_s == [1, 2, 4, 5, 5]
        assert len(gateway.asked) == 6

    def test_six_attempts_are_made_unless_told_otherwise(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(*[answer(503, problem(503, "store_away"))] * 9)
        with pytest.raises(Failure, match="Refused: 503 store_away") as failed:
            publish(driver, gateway)
        assert failed.value.waited_s == [0.5, 1, 2, 4, 8]

    @pytest.mark.parametrize(("draw", "waited_s"), [(0, 4), (0.5, 6), (1, 8)])
    def test_waits_are_drawn_between_half_and_all(self, driver: Driver, gateway: Liar, draw: float, waited_s: float) -> None:
        gateway.says(answer(503, b""), ACCEPTED)
        assert publish(driver, gateway, first_s=8, draw=draw).waited_s == [waited_s]

    @pytest.mark.parametrize(
        ("value", "waited_s"),
        [("7", 7), (" 0 ", 0.25), ("Sun, 01 Mar 2020 00:00:00 GMT", 0.25), ("soon", 0.25), ("-5", 0.25), ("1.5", 0.25)],
    )
    def test_retry_after_is_seconds_or_a_date_and_never_cut_short(
        self, driver: Driver, gateway: Liar, value: str, waited_s: float
    ) -> None:
        gateway.says(answer(429, problem(429, "rate_exceeded"), retry_after=value), ACCEPTED)
        assert publish(driver, gateway, draw=0).waited_s == [waited_s]

    def test_retry_after_of_a_date_to_come_is_waited_for(self, driver: Driver, gateway: Liar) -> None:
        then = datetime.now(UTC) + timedelta(seconds=60)
        gateway.says(answer(503, b"", retry_after=format_datetime(then, usegmt=True)), ACCEPTED)
        (waited_s,) = publish(driver, gateway, draw=0).waited_s
        assert 30 < waited_s <= 60

    def test_quota_of_the_day_is_told_at_once_with_the_time_to_come_again(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(429, problem(429, "quota_exceeded"), retry_after="57600"))
        with pytest.raises(Failure, match="quota_exceeded") as refused:
            publish(driver, gateway)
        assert (refused.value.name, refused.value.retry_after_s, refused.value.waited_s) == ("Refused", 57600, [])

    def test_answer_longer_than_any_of_the_gateways_is_not_kept(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(Broken(mib=65))
        with pytest.raises(Failure, match=r"Unreachable: .*the answer has more than 67108864 bytes"):
            publish(driver, gateway, attempts=1)


class TestBatch:
    def outcomes(self, driver: Driver, gateway: Liar, count: int, **changes: Any) -> Any:
        events = [event(number) for number in range(1, count + 1)]
        return driver.ask("publish_all", client=client(gateway, **changes), events=events)

    def test_every_event_has_its_receipt(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(202, {"receipts": [receipt(1), receipt(2)]}))
        told = self.outcomes(driver, gateway, 2).value
        assert told == [{"id": f"e-{number}", "receipt": receipt(number)} for number in (1, 2)]
        assert gateway.header("content-type") == ["application/cloudevents-batch+json"]
        assert [one["id"] for one in gateway.asked[0].json] == ["e-1", "e-2"]

    def test_nothing_to_publish_asks_nobody(self, driver: Driver, gateway: Liar) -> None:
        gateway.says()
        assert self.outcomes(driver, gateway, 0).value == []
        assert gateway.asked == []

    def test_part_that_was_not_confirmed_is_tried_again_and_told_in_the_end(self, driver: Driver, gateway: Liar) -> None:
        missing = problem(503, "not_confirmed", index=1, id="e-2", source="/")
        partly = {"receipts": [receipt(1), receipt(3)], "problems": [missing]}
        gateway.says(answer(207, partly, retry_after="5"), answer(207, partly))
        done = self.outcomes(driver, gateway, 3, attempts=2)
        assert done.value == [
            {"id": "e-1", "receipt": receipt(1)},
            {"id": "e-2", "kind": "not_confirmed", "faults": []},
            {"id": "e-3", "receipt": receipt(3)},
        ]
        assert done.waited_s == [5.5]

    def test_faults_are_told_by_event_and_the_sound_ones_were_held_back(self, driver: Driver, gateway: Liar) -> None:
        errors = [("data_invalid", "/1/data/budget"), ("time_missing", "/1/time"), ("not_an_object", "/2"), ("x", "/9/y")]
        gateway.says(answer(422, problem(422, "batch_invalid", *errors)))
        told = self.outcomes(driver, gateway, 3).value
        assert {one["kind"] for one in told} == {"batch_invalid"}
        assert [(one["id"], [(fault["reason"], fault["pointer"]) for fault in one["faults"]]) for one in told] == [
            ("e-1", []),
            ("e-2", [("data_invalid", "/data/budget"), ("time_missing", "/time")]),
            ("e-3", [("not_an_object", "")]),
        ]

    @pytest.mark.parametrize(
        "refusal", [problem(413, "batch_too_long"), problem(401, "signed_token_invalid", ("expired", "/claims/exp"))]
    )
    def test_refusal_of_the_whole_is_raised(self, driver: Driver, gateway: Liar, refusal: Any) -> None:
        gateway.says(answer(refusal["status"], refusal))
        with pytest.raises(Failure, match=f"Refused: {refusal['status']}"):
            self.outcomes(driver, gateway, 2)


class TestSigned:
    @pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
    def test_every_attempt_has_a_token_of_its_own(self, driver: Driver, gateway: Liar, algorithm: str) -> None:
        key = Key(algorithm=algorithm)
        signer = {"partner": PARTNER, "kid": "k-1", "pem": key.pem().decode(), "audience": AUDIENCE, "scopes": ["a:b", "c:d"]}
        gateway.says(answer(503, b""), ACCEPTED)
        publish(driver, gateway, token=None, signer=signer)
        tokens = [str(value).removeprefix("Bearer ") for value in gateway.header("authorization")]
        public = key.private.public_key()
        claims = [jwt.decode(token, public, [algorithm], audience=AUDIENCE, issuer=PARTNER) for token in tokens]
        assert len({one.pop("jti") for one in claims}) == 2
        assert {one["exp"] - one["iat"] for one in claims} == {60}
        assert {one["scope"] for one in claims} == {"a:b c:d"}
        assert jwt.get_unverified_header(tokens[0]) == {"alg": algorithm, "kid": "k-1", "typ": "JWT"}

    @pytest.mark.parametrize(
        ("pem", "part"),
        [
            ("", "the private key"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "the private key"),
            (Key(private=ec.generate_private_key(ec.SECP384R1())).pem().decode(), "only Ed25519 and P-256"),
        ],
        ids=["nothing", "rubbish", "P-384"],
    )
    def test_other_keys_do_not_sign(self, driver: Driver, pem: str, part: str) -> None:
        with pytest.raises(Failure, match=f"Argument: {part}"):
            driver.ask("token", signer={"partner": "p", "kid": "k", "pem": pem, "audience": "a", "scopes": []})

    @ONLY_JAVASCRIPT
    def test_key_may_have_a_password(self, driver: Driver) -> None:
        key = Key()
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open"))
        signer = {"partner": "p", "kid": "k", "pem": pem.decode(), "audience": "a", "scopes": []}
        token = driver.ask("token", signer=signer | {"password": "open"}).value
        assert "scope" not in jwt.decode(token, key.private.public_key(), ["EdDSA"], audience="a")
        with pytest.raises(Failure, match="Argument: the private key"):
            driver.ask("token", signer=signer | {"password": "other"})

    @pytest.mark.parametrize(
        "address", ["http://gateway.bureau.example", "http://10.0.0.1:8600", "HTTP://localhost.evil.example"]
    )
    def test_token_never_travels_in_the_open(self, driver: Driver, gateway: Liar, address: str) -> None:
        with pytest.raises(Failure, match=r"Argument: .*use https"):
            publish(driver, gateway, gateway=address)

    @pytest.mark.parametrize(
        "address", ["gateway", "ftp://x", "https://", "https://u:p@x", "https://x?y=@", "https://x#y", "https:///x", ""]
    )
    def test_what_is_no_address_is_refused(self, driver: Driver, gateway: Liar, address: str) -> None:
        with pytest.raises(Failure, match=r"Argument: .*no gateway's address"):
            publish(driver, gateway, gateway=address)

    def test_nobody_is_named_where_nobody_is_asked(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(ACCEPTED)
        publish(driver, gateway, token=None, gateway=f"{gateway.url}/")
        assert gateway.header("authorization") == [None]
        assert gateway.asked[0].path == "/events"


class TestPull:
    def page(self, cursor: str, *events: Any) -> dict[str, Any]:
        return {"events": list(events), "cursor": cursor, "has_more": bool(events), "withheld": {"right": 2}}

    def test_pages_go_on_from_the_cursor_that_came(self, driver: Driver, gateway: Liar) -> None:
        pages = [self.page("c 1", {"id": "1", "data": "水"}, {"id": "2"}), self.page("c2"), self.page("c3", {"id": "3"})]
        gateway.says(*[answer(200, page) for page in pages])
        told = driver.ask("pages", client=client(gateway), subscription="s 1", count=3, limit=2, wait_s=9).value
        assert told == pages
        assert [asked.path.replace("%20", "+") for asked in gateway.asked] == [
            "/subscriptions/s+1/events?limit=2&wait=9",
            "/subscriptions/s+1/events?limit=2&wait=9&cursor=c+1",
            "/subscriptions/s+1/events?limit=2&wait=9&cursor=c2",
        ]
        assert "%20" in gateway.asked[0].path

    def test_expired_history_says_where_one_can_go_on(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(410, problem(410, "cursor_gone", earliest_cursor="c9")))
        with pytest.raises(Failure, match="HistoryExpired: 410 cursor_gone") as expired:
            driver.ask("pull", client=client(gateway), subscription="s", cursor="c1", limit=1, wait_s=0)
        assert expired.value.earliest == "c9"

    def test_reader_waits_out_a_gateway_that_is_away(self, driver: Driver, gateway: Liar) -> None:
        gateway.says(answer(503, problem(503, "log_away"), retry_after="5"), answer(200, self.page("c1")))
        done = driver.ask("pull", client=client(gateway), subscription="s", cursor=None, limit=1, wait_s=0)
        assert (done.value["cursor"], done.waited_s) == ("c1", [5.5])


def verify(driver: Driver, body: bytes, headers: Any, secrets: list[str], **order: Any) -> Any:
    pairs = headers if isinstance(headers, list) else list(headers.items())
    return driver.ask("verify", body=base64.b64encode(body).decode(), headers=pairs, secrets=secrets, **order).value


def taken(
    driver: Driver,
    signature: str = V1,
    secrets: tuple[str, ...] = (SECRET,),
    body: bytes = BODY,
    age_s: int = 0,
    **changes: str,
) -> Any:
    return verify(driver, body, signed_headers(signature, **changes), list(secrets), now_s=SENT_S + age_s)


class TestWebhookTaken:
    @pytest.mark.parametrize(("signature", "secret"), [(V1, SECRET), (V1A, PUBLIC)])
    def test_published_vectors(self, driver: Driver, signature: str, secret: str) -> None:
        found = verify(driver, BODY, signed_headers(signature), [secret], now_s=SENT_S, is_event=True)
        assert found == {
            "id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "sent_at_s": SENT_S,
            "body": base64.b64encode(BODY).decode(),
            "event": {"test": 2432232314},
        }

    @pytest.mark.parametrize("kind", ["v1", "v1a"])
    @pytest.mark.parametrize("body", ['{"标题": "水泵"}'.encode(), b"", b"\x00\xff\r\n."])
    def test_what_the_deliverer_signs(self, driver: Driver, kind: Any, body: bytes) -> None:
        key = made_key(kind)
        signer = signer_of(key.shown) if kind == "v1" else signer_of("whsk_" + base64.b64encode(key.secret).decode())
        now_s = int(datetime.now(UTC).timestamp())
        headers = sign([signer_of(OTHER), signer], "msg_1", now_s, body)
        found = verify(driver, body, headers, [SECRET, key.shown])
        assert (found["id"], found["sent_at_s"], base64.b64decode(found["body"])) == ("msg_1", now_s, body)

    @pytest.mark.parametrize("secrets", [(OTHER, SECRET), (SECRET, OTHER), (PUBLIC, OTHER)])
    @pytest.mark.parametrize("signature", [f"{V1} {V1A}", f"v1,AAAA {V1A}  {V1}", f"v9,x rubbish , v1, {V1} {V1A}"])
    def test_one_secret_of_several_and_one_signature_of_several_will_do(
        self, driver: Driver, signature: str, secrets: tuple[str, ...]
    ) -> None:
        assert taken(driver, signature, secrets)["sent_at_s"] == SENT_S

    @pytest.mark.parametrize("age_s", [-300, 300])
    def test_clocks_may_differ_by_five_minutes(self, driver: Driver, age_s: int) -> None:
        assert taken(driver, age_s=age_s)["sent_at_s"] == SENT_S

    def test_names_of_headers_are_taken_in_any_case(self, driver: Driver) -> None:
        pairs = [[name.title(), value] for name, value in signed_headers().items()]
        assert verify(driver, BODY, pairs, [SECRET], now_s=SENT_S)["sent_at_s"] == SENT_S


class TestWebhookRefused:
    @pytest.mark.parametrize(
        ("changes", "part"),
        [
            ({"signature": V1[:-2] + "A="}, "no signature"),
            ({"signature": "v1a" + V1[2:]}, "no signature"),
            ({"signature": "v1" + V1A[3:], "secrets": (SECRET, PUBLIC)}, "no signature"),
            ({"signature": "v1,"}, "no signature"),
            ({"signature": "v1a,", "secrets": (PUBLIC,)}, "no signature"),
            ({"signature": V1[:-1]}, "no signature"),
            ({"signature": ""}, "no signature"),
            ({"signature": "v1,é"}, "no signature"),
            ({"signature": " ".join(["v1,AAAA"] * 20 + [V1])}, "no signature"),
            ({"secrets": (OTHER,)}, "no signature"),
            ({"secrets": (OTHER, PUBLIC)}, "no signature"),
            ({"body": BODY + b" "}, "no signature"),
            ({"age_s": 301}, "301 s old"),
            ({"age_s": -301}, "301 s ahead"),
            ({"webhook_id": "msg_other"}, "no signature"),
            ({"webhook_id": "a.b"}, "no id"),
            ({"webhook_id": ""}, "no id"),
            ({"webhook_timestamp": str(SENT_S + 1)}, "no signature"),
            ({"webhook_timestamp": f"{SENT_S}.0"}, "no whole number"),
            ({"webhook_timestamp": f"{SENT_S}\n"}, "no whole number"),
            ({"webhook_timestamp": "-1"}, "no whole number"),
            ({"webhook_timestamp": "9" * 13}, "no whole number"),
            ({"webhook_timestamp": "١٦١٤٢٦٥٣٣٠"}, "no whole number"),
        ],
    )
    def test_webhook_that_proves_nothing(self, driver: Driver, changes: dict[str, Any], part: str) -> None:
        with pytest.raises(Failure, match=part) as refused:
            taken(driver, **changes)
        assert refused.value.name == "SignatureInvalid"

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_missing_or_doubled_header_is_named(self, driver: Driver, name: str) -> None:
        with pytest.raises(Failure, match=f"SignatureInvalid: the header {name} is missing"):
            verify(driver, BODY, {key: value for key, value in signed_headers().items() if key != name}, [SECRET])
        for again in (name, name.upper()):
            with pytest.raises(Failure, match=f"SignatureInvalid: the header {name} came twice"):
                verify(driver, BODY, [*signed_headers().items(), (again, "x")], [SECRET])

    @pytest.mark.parametrize(
        "secret", ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "whpk_AAAA", "whsk_AAAA", "whsec_" + "A" * 100]
    )
    def test_secret_that_can_be_none_is_an_error_and_not_shown(self, driver: Driver, secret: str) -> None:
        with pytest.raises(Failure, match="secret") as refused:
            taken(driver, secrets=(secret,))
        assert refused.value.name == "Argument"
        assert len(secret) < 7 or secret not in str(refused.value)

    def test_no_secret_lets_nothing_pass(self, driver: Driver) -> None:
        with pytest.raises(Failure, match="Argument: verify needs a secret"):
            taken(driver, secrets=())

    def test_no_flipped_bit_of_the_body_passes(self, driver: Driver) -> None:
        for bit in range(0, len(BODY) * 8, 3):
            flipped = bytearray(BODY)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(Failure, match="SignatureInvalid: no signature"):
                taken(driver, f"{V1} {V1A}", (SECRET, PUBLIC), bytes(flipped))


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@ONLY_JAVA
class TestJson:
    """Java's library has none, so the client brings a reader and a writer of its own."""

    @given(VALUES, st.booleans())
    @settings(max_examples=200, deadline=None)
    def test_value_comes_back_as_it_was(self, driver: Driver, value: Any, is_ascii: bool) -> None:
        assert driver.ask("json", text=json.dumps(value, ensure_ascii=is_ascii, indent=1)).value == value

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "nul",
            "nulll",
            "True",
            "NaN",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x1",
            "١",
            '"',
            '"a',
            '"\\x"',
            '"\\u12"',
            '"\\u12G4"',
            '"\\',
            '"\t"',
            "'a'",
            "[",
            "[1,]",
            "[1 2]",
            "[,1]",
            "{",
            '{"a"}',
            '{"a":}',
            '{"a":1,}',
            "{a:1}",
            '{"a":1}}',
            "1 1",
            "1\uffff",
            "\ufeff1",
            "[" * 300 + "]" * 300,
            '{"a":' * 300 + "1" + "}" * 300,
            "9" * 1001,
            "1e99999999999",
        ],
    )
    def test_what_is_no_json_is_refused(self, driver: Driver, text: str) -> None:
        with pytest.raises(Failure) as refused:
            driver.ask("json", text=text)
        assert refused.value.name == "Argument"

    def test_no_digit_is_lost(self, driver: Driver) -> None:
        gateway_said = "[12345678901234567890123, 0.1234567890123456789012345, -0, 1E400, 9007199254740993]"
        line = driver.ask("json", text=gateway_said)
        assert line.value == json.loads(gateway_said)

    @pytest.mark.parametrize("double", ["NaN", "Infinity", "-Infinity"])
    def test_number_that_json_cannot_hold_is_not_written(self, driver: Driver, double: str) -> None:
        with pytest.raises(Failure, match=r"Argument: .*no number of JSON"):
            driver.ask("write", value={}, double=double)
        words = {"a": '"\\\n\u2028'}
        assert json.loads(driver.ask("write", value=words, double="1e300").value) == [words, 1e300]
