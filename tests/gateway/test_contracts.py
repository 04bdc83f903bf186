"""GET /types, /schemas, /asyncapi.json, /registry: contracts as partners read them."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from connectors.alertmanager.router import router as alertmanager_router
from connectors.alertmanager.settings import AlertmanagerSettings
from engine.clock import FakeClock
from gateway import asyncapi, xregistry
from monitoring.metrics import AlertmanagerMetrics
from schemas import published
from schemas.catalogue import default_registry
from schemas.contract import Contract, Data
from schemas.registry import Registry
from schemas.topics import PROJECT_EVENT, TOPICS

Event = Callable[..., dict[str, Any]]
CONTRACTED = "gov.stiib.research.project.contracted.v1"
SUSPENDED = "gov.stiib.research.project.suspended.v1"
FIRED = "gov.stiib.platform.timer.fired.v1"
BATCH = "application/cloudevents-batch+json"
FIRING = (
    b'{"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "PumpStopped"}, "annotations": {},'
    b' "startsAt": "2026-03-01T07:59:30Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "4005b92c6f85fc79"}]}'
)


def changed_registry(**days: date) -> Registry:
    """The platform's contracts, that of SUSPENDED with these days."""
    contracts = default_registry().contracts
    return Registry([replace(contract, **days) if wire == SUSPENDED else contract for wire, contract in contracts.items()])


class TestTypes:
    def test_list_holds_every_type_in_the_order_of_the_registry(self, gateway: Any) -> None:
        listed = gateway.get("/types").json["types"]
        assert [entry["type"] for entry in listed] == list(default_registry().contracts)

    def test_type_says_what_it_is_and_where_its_schemas_are(self, gateway: Any) -> None:
        assert gateway.get(f"/types/{CONTRACTED}").json == {
            "type": CONTRACTED,
            "description": "The signed contract: money, term, plan.",
            "subject": "project id",
            "topics": ["research.project.event"],
            "classification": "internal",
            "internal": False,
            "revision": 1,
            "schema": f"/schemas/{CONTRACTED}/1",
            "revisions": [f"/schemas/{CONTRACTED}/1"],
        }

    def test_every_address_that_the_list_names_is_served(self, gateway: Any) -> None:
        for entry in gateway.get("/types").json["types"]:
            assert gateway.get(f"/types/{entry['type']}").json == entry
            assert [gateway.get(path).status for path in entry["revisions"]] == [200] * len(entry["revisions"])

    @pytest.mark.parametrize(
        "path", ["/types/x", f"/schemas/{CONTRACTED}/2", f"/schemas/{CONTRACTED}/01", "/schemas/x/1", "/registry/x"]
    )
    def test_what_is_not_there_is_a_problem_that_says_where_to_look(self, gateway: Any, path: str) -> None:
        answer = gateway.get(path)
        assert (answer.status, answer.kind) == (404, "not_found")
        assert "GET /types" in answer.json["detail"]


class TestSchemas:
    def test_schema_is_the_published_one_under_its_name(self, gateway: Any) -> None:
        answer = gateway.get(f"/schemas/{CONTRACTED}/1")
        assert answer.headers["content-type"] == "application/schema+json"
        held = published.load()["research.project.contracted.v1"][0].schema
        assert answer.json == {"$id": f"urn:dujiang:schema:{CONTRACTED}:1", **held}

    def test_schema_takes_and_refuses_as_the_gateway_does(self, gateway: Any, event: Event) -> None:
        validator = Draft202012Validator(gateway.get(f"/schemas/{CONTRACTED}/1").json)
        good = {"contract_no": "HT-1", "amount": 5, "start": "2026-01-01", "end": "2026-12-31", "milestones": []}
        changes = [{}, {"amount": "5"}, {"contract_no": "x" * 20_001}, {"milestones": [{"id": ""}]}, {"more": 1}]
        for change in changes:
            is_taken = gateway.post(event(type=CONTRACTED, data=good | change)).status == 202
            assert validator.is_valid(good | change) == is_taken


class TestCaching:
    @pytest.mark.parametrize(
        "path",
        ["/types", f"/types/{CONTRACTED}", f"/schemas/{CONTRACTED}/1", "/asyncapi.json", "/openapi.json", "/registry"],
    )
    def test_reader_that_has_it_is_told_so(self, gateway: Any, path: str) -> None:
        answer = gateway.get(path)
        tag = answer.headers["etag"]
        for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = gateway.request("GET", path, headers={"if-none-match": condition})
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert gateway.request("GET", path, headers={"if-none-match": '"other"'}).body == answer.body

    def test_only_a_published_revision_may_be_kept_for_ever(self, gateway: Any) -> None:
        assert "immutable" in gateway.get(f"/schemas/{CONTRACTED}/1").headers["cache-control"]
        assert gateway.get("/types").headers["cache-control"] == "public, max-age=300"

    def test_revision_that_is_not_published_yet_is_not_kept(
        self, serve_gateway: Callable[..., Any], fake_publisher: Any
    ) -> None:
        class Tried(Data):
            """New."""

        registry = Registry([Contract("research.project.tried", 1, Tried, (PROJECT_EVENT,))])
        gateway = serve_gateway(fake_publisher, registry=registry)
        answer = gateway.get("/schemas/gov.stiib.research.project.tried.v1/1")
        assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=300")


class TestAsyncApi:
    def test_every_topic_is_a_channel_with_exactly_its_messages(self, gateway: Any) -> None:
        answer = gateway.get("/asyncapi.json")
        assert answer.headers["content-type"] == "application/vnd.aai.asyncapi+json;version=3.1.0"
        channels = answer.json["channels"]
        assert sorted(channels) == sorted([*TOPICS, "mqtt", "stream", "webhook"])
        for name in TOPICS:
            channel = channels[name]
            assert channel["address"] == name
            expected = [wire for wire, contract in default_registry().contracts.items() if name in contract.topic_names]
            assert list(channel["messages"]) == expected

    def test_kafka_binding_says_what_the_table_of_topics_says(self, gateway: Any) -> None:
        bindings = gateway.get("/asyncapi.json").json["channels"]["infra.alert.event"]["bindings"]
        assert bindings == {
            "kafka": {
                "topic": "infra.alert.event",
                "partitions": 4,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": 31_536_000_000},
                "bindingVersion": "0.5.0",
            }
        }

    def test_nobody_is_invited_to_write_what_the_platform_alone_publishes(self, gateway: Any) -> None:
        document = gateway.get("/asyncapi.json").json
        written = [
            message["$ref"].rpartition("/")[2]
            for operation in document["operations"].values()
            if operation["action"] == "receive"
            for message in operation["messages"]
        ]
        assert sorted(written) == sorted(
            wire for wire, contract in default_registry().contracts.items() if not contract.is_internal
        )

    def test_every_reference_leads_somewhere(self) -> None:
        document = asyncapi.describe(default_registry())
        found = references(document)
        assert found
        for reference in found:
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]

    def test_what_stands_in_a_topic_keeps_its_message(self, gateway: Any, event: Event) -> None:
        document = gateway.get("/asyncapi.json").json
        gateway.post(event())
        (record,) = gateway.publisher.records
        payload = document["components"]["messages"][SUSPENDED]["payload"]
        validator = Draft202012Validator(payload | {"components": document["components"]})
        assert validator.is_valid(json.loads(record.value))
        assert not validator.is_valid(json.loads(record.value) | {"data": {"reason": 7}})


class TestXRegistry:
    def test_counts_and_addresses_lead_down_to_every_schema_and_message(self, gateway: Any) -> None:
        root = gateway.get("/registry").json
        assert (root["specversion"], root["xid"], root["self"]) == ("1.0-rc4", "/", "/registry")
        seen: dict[str, set[str]] = {"messages": set(), "schemas": set()}
        for kind, found in seen.items():
            groups = gateway.get(root[f"{kind[:-1]}groupsurl"]).json
            assert len(groups) == root[f"{kind[:-1]}groupscount"]
            for group in groups.values():
                assert gateway.get(group["self"]).json == group
                entities = gateway.get(group[f"{kind}url"]).json
                assert len(entities) == group[f"{kind}count"]
                for wire, entity in entities.items():
                    found.add(wire)
                    assert gateway.get(entity["self"]).json == entity
        assert seen["messages"] == seen["schemas"] == set(default_registry().contracts)

    def test_message_leads_to_the_schema_of_its_data(self, gateway: Any) -> None:
        message = gateway.get(f"/registry/messagegroups/gov.stiib.research/messages/{CONTRACTED}").json
        assert message["envelopemetadata"]["type"] == {"type": "string", "value": CONTRACTED, "required": True}
        answer = gateway.get(message["dataschemauri"])
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json == published.load()["research.project.contracted.v1"][-1].schema

    def test_versions_of_a_schema_are_its_published_revisions(self, gateway: Any) -> None:
        at = f"/registry/schemagroups/gov.stiib.research/schemas/{CONTRACTED}"
        details = gateway.get(f"{at}$details").json
        versions = gateway.get(details["versionsurl"]).json
        assert list(versions) == ["1"]
        assert (versions["1"]["versionid"], versions["1"]["isdefault"]) == ("1", True)
        assert gateway.get(f"{at}/versions/1").json == gateway.get(at).json

    def test_deprecated_message_says_from_when_and_until_when(self) -> None:
        registry = changed_registry(deprecated_on=date(2026, 9, 1), sunset_on=date(2027, 3, 1))
        view = xregistry.view(registry, published.load())
        message = view[f"/messagegroups/gov.stiib.research/messages/{SUSPENDED}"].content
        assert message["deprecated"] == {"effective": "2026-09-01T00:00:00Z", "removal": "2027-03-01T00:00:00Z"}


class TestDeprecation:
    """RFC 9745 and RFC 8594; 2026-09-01 is 1788220800 s after 1970."""

    @pytest.fixture
    def leaving(self, serve_gateway: Callable[..., Any], fake_publisher: Any) -> Any:
        registry = changed_registry(deprecated_on=date(2026, 9, 1), sunset_on=date(2027, 3, 1))
        return serve_gateway(fake_publisher, registry=registry)

    def test_publisher_of_a_deprecated_type_is_told_until_when(self, leaving: Any, event: Event) -> None:
        answer = leaving.post(event())
        assert answer.status == 202
        assert answer.headers["deprecation"] == "@1788220800"
        assert answer.headers["sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"
        assert answer.headers["link"] == f'</types/{SUSPENDED}>; rel="deprecation"; type="application/json"'

    def test_batch_with_one_deprecated_event_is_told_too(self, leaving: Any, event: Event) -> None:
        resumed = event(type="gov.stiib.research.project.resumed.v1", data={})
        answer = leaving.post([resumed, event(), event(id="e-2")], BATCH)
        assert (answer.status, answer.headers["deprecation"]) == (202, "@1788220800")
        assert answer.headers["link"].count("rel=") == 1

    def test_publisher_of_any_other_type_is_told_nothing(self, leaving: Any, event: Event) -> None:
        answer = leaving.post(event(type="gov.stiib.research.project.resumed.v1", data={}))
        assert answer.status == 202
        assert {"deprecation", "sunset", "link"}.isdisjoint(answer.headers)

    def test_page_of_the_type_says_the_same(self, leaving: Any) -> None:
        answer = leaving.get(f"/types/{SUSPENDED}")
        assert (answer.headers["deprecation"], answer.headers["sunset"]) == ("@1788220800", "Mon, 01 Mar 2027 00:00:00 GMT")
        assert (answer.json["deprecated_on"], answer.json["sunset_on"]) == ("2026-09-01", "2027-03-01")

    def test_deprecation_without_a_sunset_names_none(
        self, serve_gateway: Callable[..., Any], fake_publisher: Any, event: Event
    ) -> None:
        gateway = serve_gateway(fake_publisher, registry=changed_registry(deprecated_on=date(2026, 9, 1)))
        answer = gateway.post(event())
        assert answer.headers["deprecation"] == "@1788220800"
        assert "sunset" not in answer.headers


class TestDescription:
    """The OpenAPI document against what is answered."""

    @pytest.fixture
    def hooked(self, serve_gateway: Callable[..., Any], fake_publisher: Any) -> Any:
        async def publish(_: Any) -> None:
            return None

        clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
        metrics = AlertmanagerMetrics(CollectorRegistry())
        hook = alertmanager_router(publish, default_registry(), AlertmanagerSettings(body_bytes_max=1_000), clock, metrics)
        return serve_gateway(fake_publisher, routers=[hook])

    def test_every_answer_to_a_get_is_described(self, hooked: Any) -> None:
        paths = hooked.get("/openapi.json").json["paths"]
        names = {"type": CONTRACTED, "revision": "1", "slug": "not_found", "path": "messagegroups"}
        for path, operations in paths.items():
            if "get" in operations:
                for filling in (names, dict.fromkeys(names, "x")):
                    answer = hooked.get(path.format(**filling))
                    assert answer.status in (200, 404)
                    media_type = answer.headers["content-type"].partition(";charset")[0].partition("; ")[0]
                    assert media_type in operations["get"]["responses"][str(answer.status)]["content"], path

    @pytest.mark.parametrize(
        ("body", "status"),
        [(FIRING, 200), (b"{", 400), (b'{"version": "3"}', 422), (b" " * 1_001, 413)],
    )
    def test_every_answer_to_a_hook_is_described(self, hooked: Any, body: bytes, status: int) -> None:
        operation = hooked.get("/openapi.json").json["paths"]["/hooks/alertmanager/{name}"]["post"]
        answer = hooked.request("POST", "/hooks/alertmanager/main", body)
        assert answer.status == status
        described = operation["responses"][str(status)]["content"][answer.headers["content-type"]]
        Draft202012Validator(described["schema"]).validate(answer.json)

    def test_binary_mode_is_described_by_its_headers(self, gateway: Any) -> None:
        parameters = gateway.get("/openapi.json").json["paths"]["/events"]["post"]["parameters"]
        assert {parameter["name"] for parameter in parameters} >= {"ce-specversion", "ce-id", "ce-source", "ce-type"}
        assert {parameter["in"] for parameter in parameters} == {"header"}

    def test_no_form_of_error_that_never_leaves_is_described(self, gateway: Any) -> None:
        assert "HTTPValidationError" not in gateway.get("/openapi.json").body.decode()


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for child in node.values() for found in references(child)]
    return [found for child in node for found in references(child)] if isinstance(node, list) else []
