"""What a subscriber sends, judged without any service."""

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from gateway.problems import Problem
from gateway.subscriptions import cursors, requests
from gateway.subscriptions.kinds import SUBSCRIPTION_KINDS
from schemas.filters.limits import FILTER_NESTING_MAX, FILTERS_MAX
from schemas.registry import Registry
from schemas.subscriptions import Basis, Place, Reader, Start, Status, Subscription
from sinks.webhooks.destinations import Rules
from tests.gateway.subscriptions.cast import BASIS
from tests.gateway.subscriptions.memory import ANNOUNCED, MONITORED, SUSPENDED

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
ALL = Reader((("subscribe:*", "clearance:internal"),), is_stated=True)
PULL = {"protocol": "PULL"}
S3 = {"protocol": "S3", "sink": "https://store.agency.example/bucket/prefix"}
MQTT5 = {"protocol": "MQTT5", "sink": "mqtts://broker.agency.example", "protocolsettings": {"topicname": "bureau/projects"}}


def refusal(work: Any, *arguments: Any) -> tuple[str, list[tuple[str, str]]]:
    with pytest.raises(Problem) as raised:
        work(*arguments)
    return raised.value.kind.slug, [(place.pointer, place.reason) for place in raised.value.places]


def parse(body: bytes, content_type: str | None = "application/json", encoding: str | None = None) -> Any:
    return requests.parsed(body, content_type, encoding)


def judge(members: dict[str, Any], registry: Registry, reader: Reader = ALL) -> None:
    body = requests.subscription_of(members)
    filters = requests.filters_of(body)
    requests.refuse_types(body, registry, reader)
    requests.refuse_unknown_fields(filters, body.types, registry)
    requests.refuse_unstated(body, registry, reader)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/cloudevents+json"]
)
def test_a_body_that_a_web_page_could_send_unasked_is_refused(content_type: str | None) -> None:
    assert refusal(parse, b"{}", content_type) == ("json_expected", [])


@pytest.mark.parametrize(
    ("body", "slug", "places"),
    [
        (b"", "body_empty", []),
        (b"{", "json_invalid", [("", "invalid_json")]),
        (b'{"a":1,"a":2}', "json_invalid", [("/a", "duplicate_key")]),
        (b"[]", "subscription_invalid", [("", "not_an_object")]),
        (rb'{"config":{"note":"\u0000"}}', "subscription_invalid", [("/config/note", "unstorable")]),
        (
            rb'{"filters":[{"exact":{"subject":"\u0000"}}]}',
            "subscription_invalid",
            [("/filters/0/exact/subject", "unstorable")],
        ),
    ],
)
def test_a_body_that_cannot_be_read_or_kept_is_refused(body: bytes, slug: str, places: list[tuple[str, str]]) -> None:
    assert refusal(parse, body) == (slug, places)


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({}, ("/protocol", "missing")),
        ({"protocol": "http"}, ("/protocol", "literal_error")),
        (PULL | {"filter": []}, ("/filter", "extra_forbidden")),
        (PULL | {"types": SUSPENDED}, ("/types", "list_type")),
        (PULL | {"types": [""]}, ("/types/0", "string_too_short")),
        *(
            (PULL | {name: blank}, (f"/{name}", "string_pattern_mismatch"))
            for name in ("purpose", "legal_basis", "approver")
            for blank in ("", " ", "\u3000\n\t")
        ),
        (PULL | {"types": ["t"] * 101}, ("/types", "too_long")),
        (PULL | {"expires_at": "tomorrow"}, ("/expires_at", "value_error")),
        (PULL | {"sink": "https://agency.example/"}, ("/sink", "sink_unused")),
        ({"protocol": "HTTP"}, ("/sink", "sink_missing")),
    ],
)
def test_a_wrong_member_is_named(members: dict[str, Any], place: tuple[str, str]) -> None:
    assert refusal(requests.subscription_of, members) == ("subscription_invalid", [place])


@pytest.mark.parametrize(
    ("sink", "reason"),
    [
        ("ftp://agency.example/", "sink_scheme"),
        ("http://agency.example/", "sink_scheme"),
        ("https://", "sink_scheme"),
        ("https://[::1", "sink_url_malformed"),
        ("https://user:secret@agency.example/", "sink_userinfo"),
        ("https://agency.example/#part", "sink_fragment"),
        ("https://agency.example:25/", "sink_port"),
        ("https://10.0.0.1/", "sink_address_private"),
        ("https://metadata.internal/", "sink_host_inner"),
    ],
)
def test_an_endpoint_that_would_get_nothing_is_refused_with_the_reason(sink: str, reason: str) -> None:
    body = requests.subscription_of({"protocol": "HTTP", "sink": sink})
    assert refusal(requests.refuse_destination, body, Rules()) == ("subscription_invalid", [("/sink", reason)])


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, ("/protocolsettings/topicname", "missing")),
        ({"topicname": ""}, ("/protocolsettings/topicname", "string_too_short")),
        ({"topicname": "projects/#"}, ("/protocolsettings/topicname", "value_error")),
        ({"topicname": "+/projects"}, ("/protocolsettings/topicname", "value_error")),
        ({"topicname": "$SYS/broker"}, ("/protocolsettings/topicname", "value_error")),
        ({"topicname": "a\nb"}, ("/protocolsettings/topicname", "value_error")),
        ({"topicname": "a" * 501}, ("/protocolsettings/topicname", "string_too_long")),
        ({"topicname": "a", "qos": 0}, ("/protocolsettings/qos", "literal_error")),
        ({"topicname": "a", "expiry": 0}, ("/protocolsettings/expiry", "greater_than_equal")),
        ({"topicname": "a", "retain": "yes"}, ("/protocolsettings/retain", "bool_type")),
        ({"topicname": "a", "password": "s3cret"}, ("/protocolsettings/password", "extra_forbidden")),
    ],
)
def test_a_wrong_setting_of_a_broker_is_named(settings: dict[str, Any], place: tuple[str, str]) -> None:
    found = refusal(requests.subscription_of, MQTT5 | {"protocolsettings": settings})
    assert found == ("subscription_invalid", [place])


@pytest.mark.parametrize(
    ("sink", "reason"),
    [
        (None, "sink_missing"),
        ("https://broker.agency.example/", "sink_scheme"),
        ("mqtt://broker.agency.example", "sink_scheme"),
        ("mqtts://u:p@broker.agency.example", "sink_userinfo"),
        ("mqtts://broker.agency.example/projects", "sink_path"),
        ("mqtts://10.0.0.1", "sink_address_private"),
    ],
)
def test_a_broker_that_would_get_nothing_is_refused_with_the_reason(sink: str | None, reason: str) -> None:
    def judged() -> None:
        requests.refuse_destination(requests.subscription_of(MQTT5 | {"sink": sink}), Rules())

    assert refusal(judged) == ("subscription_invalid", [("/sink", reason)])


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"sink": None}, ("/sink", "sink_missing")),
        ({"sink": "https://10.0.0.1/bucket"}, ("/sink", "sink_address_private")),
        ({"sink": "https://store.agency.example/bucket?acl"}, ("/sink", "sink_path")),
        ({"sink": "https://store.agency.example/bucket/../other"}, ("/sink", "sink_path")),
        ({"sink": "https://store.agency.example/%62ucket"}, ("/sink", "sink_path")),
        ({"sink": "https://store.agency.example//bucket"}, ("/sink", "sink_path")),
        ({"protocolsettings": {"region": "EU West"}}, ("/protocolsettings/region", "string_pattern_mismatch")),
        ({"protocolsettings": {"secret": "s3cret"}}, ("/protocolsettings/secret", "extra_forbidden")),
    ],
)
def test_a_store_that_would_get_nothing_is_refused_with_the_reason(changes: dict[str, Any], place: tuple[str, str]) -> None:
    def judged() -> None:
        requests.refuse_destination(requests.subscription_of(S3 | changes), Rules())

    assert refusal(judged) == ("subscription_invalid", [place])


def test_a_broker_is_refused_where_its_library_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = requests.subscription_of(MQTT5)
    requests.refuse_missing_library(body)
    monkeypatch.setattr("sinks.queues.is_mqtt_installed", lambda: False)
    assert refusal(requests.refuse_missing_library, body) == ("subscription_invalid", [("/protocol", "protocol_unavailable")])


def test_a_token_of_single_rows_orders_deliveries_which_are_judged_by_it_and_no_whole_topics() -> None:
    for ordered in ({"protocol": "HTTP", "sink": "https://a.example/"}, MQTT5, S3):
        requests.refuse_narrowed(requests.subscription_of(ordered), ("subscribe:*", "only:region=3301*"))
    found = refusal(requests.refuse_narrowed, requests.subscription_of({"protocol": "KAFKA"}), ("only:region=3301*",))
    assert found == ("subscribe_right_missing", [("/protocol", "token_narrowed")])


def test_an_endpoint_in_a_network_that_the_operator_allows_is_taken() -> None:
    rules = Rules(networks=(ipaddress.ip_network("10.20.0.0/16"),))
    requests.refuse_destination(requests.subscription_of({"protocol": "HTTP", "sink": "https://10.20.0.1/"}), rules)


def test_an_answer_may_be_sent_back_with_what_is_ours_in_it() -> None:
    body = requests.subscription_of(PULL | {"id": "x", "state": "paused", "revision": 3, "cursor": "x"})
    assert body == requests.subscription_of(PULL)


@pytest.mark.parametrize(
    ("filters", "place"),
    [
        ([{"regex": {"subject": "P"}}], ("/filters/0/regex", "unknown_dialect")),
        ([{"sql": "subject ="}], ("/filters/0/sql", "expression")),
        ([{"exact": {"id": "x"}}] * (FILTERS_MAX + 1), (f"/filters/{FILTERS_MAX}", "too_many")),
    ],
)
def test_a_filter_that_cannot_be_used_is_named(registry: Registry, filters: list[Any], place: tuple[str, str]) -> None:
    assert refusal(judge, PULL | {"filters": filters}, registry) == ("filter_invalid", [place])


def test_a_filter_on_data_that_no_event_of_the_types_can_have_is_refused_with_what_they_have(registry: Registry) -> None:
    types = ["gov.stiib.research.application.submitted.v1", "gov.stiib.research.project.contracted.v1"]
    known = [{"data": {"/budget": {"at_least": 1}}}, {"not": {"data": {"/milestones/0/id": "M-1"}}}]
    judge(PULL | {"types": types, "filters": known}, registry)
    for wrong in ("/buget", "/milestones/0/name", "/budget/amount", "/milestones/x"):
        pointer = f"/filters/0/any/0/data/{wrong.replace('/', '~1')}"
        members = PULL | {"types": types, "filters": [{"any": [{"data": {wrong: "x"}}]}]}
        assert refusal(judge, members, registry) == ("filter_invalid", [(pointer, "field_unknown")])
    with pytest.raises(Problem) as raised:
        judge(PULL | {"types": types[:1], "filters": [{"data": {"/buget": 1}}]}, registry)
    assert "it has there: budget, call_id, lead, title" in raised.value.detail.en
    judge(PULL | {"filters": [{"data": {"/severity": "critical"}}]}, registry)  # some contract has it


def test_a_filter_that_nests_too_deeply_is_refused(registry: Registry) -> None:
    nested: dict[str, Any] = {"exact": {"id": "x"}}
    for _ in range(FILTER_NESTING_MAX + 1):
        nested = {"not": nested}
    slug, places = refusal(judge, PULL | {"filters": [nested]}, registry)
    assert (slug, [reason for _, reason in places]) == ("filter_invalid", ["too_deep"])


def test_types_that_no_contract_has_are_named(registry: Registry) -> None:
    types = [SUSPENDED, "gov.stiib.research.project.suspended.v9"]
    assert refusal(judge, PULL | {"types": types}, registry) == ("subscribed_type_unknown", [("/types/1", "type_unknown")])


def test_types_that_are_not_granted_are_named(registry: Registry) -> None:
    reader = Reader((("subscribe:gov.stiib.research.call.*",),), is_stated=True)
    found = refusal(judge, PULL | {"types": [ANNOUNCED, SUSPENDED]}, registry, reader)
    assert found == ("subscribe_right_missing", [("/types/1", "type_not_granted")])


def test_a_type_above_the_clearance_is_refused_at_once(registry: Registry) -> None:
    reader = Reader((("subscribe:*",),), is_stated=True)
    found = refusal(judge, PULL | {"types": [ANNOUNCED, MONITORED]}, registry, reader)
    assert found == ("subscribe_right_missing", [("/types/1", "clearance_missing")])


@pytest.mark.parametrize("types", [[SUSPENDED], [ANNOUNCED, SUSPENDED], []])
def test_what_is_not_public_needs_a_basis(registry: Registry, types: list[str]) -> None:
    unstated = Reader(ALL.scopes, is_stated=False)
    slug, places = refusal(judge, PULL | {"types": types}, registry, unstated)
    assert (slug, [pointer for pointer, _ in places]) == ("basis_missing", ["/purpose", "/legal_basis", "/approver"])


def test_public_types_need_neither_basis_nor_clearance(registry: Registry) -> None:
    judge(PULL | {"types": [ANNOUNCED]}, registry, Reader((("subscribe:*",),), is_stated=False))
    judge(PULL, registry, Reader((("subscribe:gov.stiib.research.call.*",),), is_stated=False))


def test_half_a_basis_is_none() -> None:
    body = requests.subscription_of(PULL | {"purpose": "统计"})
    assert refusal(requests.basis_of, body) == ("basis_missing", [("/legal_basis", "missing"), ("/approver", "missing")])
    assert requests.basis_of(requests.subscription_of(PULL | BASIS)) == Basis(**BASIS)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("now", Start("now")),
        ("earliest", Start("earliest")),
        ("2026-03-01T10:00:00+02:00", Start("instant", NOW)),
        (cursors.encode({Place("research.call.event", 0): 7}), Start("cursor")),
    ],
)
def test_a_start_is_a_word_an_instant_or_a_cursor(text: str, start: Start) -> None:
    assert requests.start_of(text).start == start


@pytest.mark.parametrize("text", ["later", "2026-03-01", "2026-03-01T10:00:00", "Now"])
def test_any_other_start_is_refused(text: str) -> None:
    assert refusal(requests.start_of, text) == ("subscription_invalid", [("/start", "start_unknown")])


def test_a_start_ahead_of_the_log_is_refused() -> None:
    here, there = Place("research.call.event", 0), Place("infra.alert.event", 0)
    asked = requests.start_of(cursors.encode({here: 7, there: 9}))
    requests.refuse_ahead(asked, {here: 7})
    assert refusal(requests.refuse_ahead, asked, {here: 6}) == ("subscription_invalid", [("/start", "start_ahead")])


def stored(**changes: Any) -> Subscription:
    status = Status("enabled", "validated", "platform", NOW, NOW)
    made = Subscription(UUID(int=1), "a", "HTTP", status, NOW, NOW, sink="https://a.example/", start=Start("instant", NOW))
    return replace(made, **changes)


@pytest.mark.parametrize("start", ["2026-03-01T08:00:00Z", "2026-03-01T10:00:00+02:00"])
def test_the_same_start_may_be_sent_again(start: str) -> None:
    sent = {"protocol": "HTTP", "sink": "https://a.example/", "start": start}
    requests.refuse_changed(requests.subscription_of(sent), stored())


def test_protocol_and_start_stay_as_they_are() -> None:
    assert refusal(requests.refuse_changed, requests.subscription_of(PULL), stored()) == ("protocol_fixed", [])
    other = {"protocol": "HTTP", "sink": "https://a.example/", "start": "earliest"}
    found = refusal(requests.refuse_changed, requests.subscription_of(other), stored())
    assert found == ("subscription_invalid", [("/start", "start_fixed")])


def test_a_new_sink_must_consent_again() -> None:
    found = requests.status_after_change(stored(), stored(sink="https://b.example/"), NOW)
    assert found == Status("pending_validation", "sink_changed", "partner", NOW)


def test_another_topic_of_the_broker_must_be_tried_and_settings_of_a_webhook_are_its_own() -> None:
    broker = stored(protocol="MQTT5", sink="mqtts://b.example", protocolsettings={"topicname": "a"})
    found = requests.status_after_change(broker, replace(broker, protocolsettings={"topicname": "b"}), NOW)
    assert found == Status("pending_validation", "sink_changed", "partner", NOW)
    assert requests.status_after_change(stored(), stored(protocolsettings={"method": "POST"}), NOW) == stored().status


def test_more_time_lets_an_expired_subscription_go_on() -> None:
    expired = stored(protocol="PULL", status=Status("expired", "expired", "platform", NOW, NOW), expires_at=NOW)
    later = requests.status_after_change(expired, stored(protocol="PULL", expires_at=NOW + timedelta(days=1)), NOW)
    assert later == Status("enabled", "renewed", "partner", NOW, NOW)
    assert requests.status_after_change(expired, expired, NOW) == expired.status


def test_every_kind_of_problem_speaks_both_languages() -> None:
    for kind in SUBSCRIPTION_KINDS:
        for text in (kind.title, kind.meaning, kind.next):
            assert text.en.isascii()
            assert any("\u4e00" <= letter <= "\u9fff" for letter in text.zh)
