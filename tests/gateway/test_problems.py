"""Refusals: their form, their language, the pages that explain them, and the description that promises them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter, HTTPException
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from engine.errors import TransientFault
from gateway.catalogue import KINDS
from gateway.languages import language_of
from schemas.catalogue import default_registry

Event = Callable[..., dict[str, Any]]


class TestForm:
    def test_members_are_those_of_rfc_9457_and_ours(self, gateway: Any, event: Event) -> None:
        answer = gateway.post(event(source="/engine/x"))
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json
        assert UUID(body.pop("instance").removeprefix("urn:uuid:"))
        assert body == {
            "type": "urn:dujiang:problem:source_reserved",
            "title": "The source is the platform's own",
            "status": 422,
            "detail": "Sources under /engine/, /streams/ and /console/ name parts of the platform.",
            "rule": "Dujiang profile of CloudEvents: source",
            "next": "Use your own source, /partners/<id>.",
            "errors": [
                {
                    "detail": "Sources under /engine/, /streams/ and /console/ name parts of the platform.",
                    "pointer": "/source",
                    "reason": "source_reserved",
                }
            ],
        }

    def test_base_of_the_types_can_be_set(self, serve_gateway: Callable[..., Any], fake_publisher: Any, event: Event) -> None:
        gateway = serve_gateway(fake_publisher, problems_base="https://bureau.example/problems/")
        answer = gateway.post(event(type="x"))
        assert answer.json["type"] == "https://bureau.example/problems/type_unknown"

    @pytest.mark.parametrize(
        ("method", "path", "status", "kind"),
        [
            ("GET", "/nothing", 404, "not_found"),
            ("GET", "/docs", 404, "not_found"),
            ("POST", "/events/", 404, "not_found"),
            ("GET", "/events", 405, "method_not_allowed"),
            ("OPTIONS", "/events", 405, "method_not_allowed"),
            ("POST", "/health/live", 405, "method_not_allowed"),
        ],
    )
    def test_wrong_address_or_method_is_a_problem_too(
        self, gateway: Any, method: str, path: str, status: int, kind: str
    ) -> None:
        answer = gateway.request(method, path)
        assert (answer.status, answer.kind) == (status, kind)

    def test_refused_method_names_those_allowed(self, gateway: Any) -> None:
        assert gateway.get("/events").headers["allow"] == "POST"

    @pytest.mark.parametrize("host", ["bureau.example", "127.0.0.1.bureau.example", "localhost.", ""])
    def test_request_under_a_foreign_name_is_refused(self, gateway: Any, event: Event, host: str) -> None:
        answer = gateway.post(event(), host=host)
        assert (answer.status, answer.kind) == (421, "host_refused")
        assert gateway.publisher.records == []

    def test_cut_off_chunks_are_an_incomplete_body(self, gateway: Any) -> None:
        answer = gateway.request(
            "POST",
            "/events",
            iter([b"x"]),
            {"content-type": "application/cloudevents+json", "transfer-encoding": "chunked, chunked"},
        )
        assert answer.status == 400


class TestRouters:
    """What a connector's router raises leaves as a problem."""

    @pytest.fixture
    def routed(self, serve_gateway: Callable[..., Any], fake_publisher: Any) -> Any:
        router = APIRouter()

        @router.post("/hooks/{number}")
        async def hook(number: int) -> dict[str, int]:
            if number == 1:
                raise TransientFault("Kafka: away")
            if number == 2:
                raise HTTPException(409, "the same id with other content")
            if number == 3:
                raise ZeroDivisionError(f"secret-in-a-bug-{number}")
            return {"number": number}

        return serve_gateway(fake_publisher, routers=[router])

    @pytest.mark.parametrize(
        ("path", "status", "kind"),
        [
            ("/hooks/1", 503, "not_confirmed"),
            ("/hooks/2", 409, "about:blank"),
            ("/hooks/3", 500, "internal_error"),
            ("/hooks/x", 422, "request_invalid"),
        ],
    )
    def test_fault_of_a_router_is_a_problem(self, routed: Any, path: str, status: int, kind: str) -> None:
        answer = routed.request("POST", path)
        assert (answer.status, answer.kind) == (status, kind)

    def test_bug_shows_neither_partner_nor_log_what_it_said(self, routed: Any) -> None:
        with capture_logs() as lines:
            answer = routed.request("POST", "/hooks/3")
        assert "secret-in-a-bug-3" not in answer.body.decode() + repr(lines)
        (failed, refused) = lines
        assert (failed["event"], failed["route"], failed["error"]) == (
            "request_failed",
            "/hooks/{number}",
            "ZeroDivisionError",
        )
        assert failed["instance"] == refused["instance"] == answer.json["instance"]

    def test_router_is_served_and_described(self, routed: Any) -> None:
        assert routed.request("POST", "/hooks/4").json == {"number": 4}
        assert "/hooks/{number}" in routed.get("/openapi.json").json["paths"]


class TestLanguage:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("", "en"),
            ("zh", "zh"),
            ("zh-Hans-CN", "zh"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
            ("en;q=0.3, zh;q=0.4", "zh"),
            ("de, zh;q=0.1", "zh"),
            ("en,zh", "en"),
            ("zh;q=0", "en"),
            ("zh;q=2, en;q=0.1", "en"),
            ("*", "en"),
            ("fr", "en"),
            (";;;,,q=", "en"),
        ],
    )
    def test_heaviest_of_our_languages_wins(self, header: str, language: str) -> None:
        assert language_of(header) == language

    def test_chinese_reader_gets_every_sentence_in_chinese(self, gateway: Any, event: Event) -> None:
        data = {"contract_no": 1, "amount": 10**16, "start": "x", "end": "2026-01-01"}
        sent = event(type="gov.stiib.research.project.contracted.v1", data=data)
        answer = gateway.post(sent, accept_language="zh-CN")
        assert answer.headers["content-language"] == "zh"
        assert answer.headers["vary"] == "accept-language"
        assert answer.json["title"] == "事件不符合数据契约"
        assert answer.json["next"] == "请按 errors 逐项修正后重发。"
        assert {fault["pointer"]: fault["detail"] for fault in answer.json["errors"]} == {
            "/data/contract_no": "应为字符串",
            "/data/amount": "不得大于 1000000000000000",
            "/data/start": "应为 YYYY-MM-DD 形式的日期",
            "/data/milestones": "缺少必填字段",
        }

    def test_chinese_reader_of_a_codec_error_too(self, gateway: Any, event: Event) -> None:
        assert gateway.post(event(id=""), accept_language="zh").json["detail"] == "属性 id 不能为空字符串"


class TestPages:
    @pytest.mark.parametrize("slug", sorted(KINDS))
    def test_every_kind_has_a_page_in_both_languages(self, gateway: Any, slug: str) -> None:
        page = gateway.get(f"/problems/{slug}").json
        assert page["type"] == f"urn:dujiang:problem:{slug}"
        for name in ("title", "meaning", "next"):
            assert page[name]["en"].isascii()
            assert any("\u4e00" <= character <= "\u9fff" for character in page[name]["zh"])

    def test_list_holds_every_kind(self, gateway: Any) -> None:
        pages = gateway.get("/problems").json["problems"]
        assert [page["type"] for page in pages] == [f"urn:dujiang:problem:{slug}" for slug in KINDS]

    def test_unknown_kind_is_not_found(self, gateway: Any) -> None:
        assert gateway.get("/problems/x").status == 404


class TestDescription:
    def test_answers_keep_to_their_schemas(self, gateway: Any, event: Event) -> None:
        document = gateway.get("/openapi.json").json
        operation = document["paths"]["/events"]["post"]
        for sent in (event(), event(type="x"), event(data=None)):
            answer = gateway.post(sent)
            promised = operation["responses"][str(answer.status)]["content"][answer.headers["content-type"]]["schema"]
            Draft202012Validator(promised | {"components": document["components"]}).validate(answer.json)

    def test_every_status_of_the_catalogue_is_described(self, gateway: Any) -> None:
        responses = gateway.get("/openapi.json").json["paths"]["/events"]["post"]["responses"]
        assert sorted(responses) == [
            *("202", "207", "400", "401", "403", "405", "408", "409", "413", "415", "421", "422", "429", "431", "500", "503"),
        ]
        assert "`type_reserved`" in responses["422"]["description"]

    def test_types_one_may_publish_are_described_and_no_others(self, gateway: Any) -> None:
        schemas = gateway.get("/openapi.json").json["components"]["schemas"]
        contracts = default_registry().contracts
        assert {wire for wire in contracts if wire in schemas} == {
            wire for wire, contract in contracts.items() if not contract.is_internal
        }

    def test_valid_event_fits_exactly_one_schema_and_a_faulty_one_none(self, gateway: Any, event: Event) -> None:
        document = gateway.get("/openapi.json").json
        schema = {"$ref": "#/components/schemas/PublishableEvent", "components": document["components"]}
        validator = Draft202012Validator(schema)
        assert validator.is_valid(event())
        assert not validator.is_valid(event(data={"reason": 7}))

    def test_every_reference_leads_somewhere(self, gateway: Any) -> None:
        document = gateway.get("/openapi.json").json
        for reference in references(document):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [found for child in node.values() for found in references(child)]
    return [found for child in node for found in references(child)] if isinstance(node, list) else []
