"""What is said of a refusal, in the reader's language."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

import engine
import schemas
import streams
from gateway.console.pages.reasons import named, told
from gateway.console.words import WORDS, Speech
from schemas.cloudevents.errors import Reason
from streams.lifecycle import ILLEGAL

EN, ZH = (Speech(language, ZoneInfo("Asia/Shanghai"), datetime(2026, 6, 1, tzinfo=UTC)) for language in ("en", "zh"))
PLACE = "research.project.event p3@1207: "


def _functions(package: object) -> list[ast.FunctionDef]:
    [folder] = package.__path__  # type: ignore[attr-defined]
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in Path(folder).rglob("*.py"))
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _rules_refusals() -> set[str]:
    """What guards and answers of the rules return when they refuse."""
    refusing = [
        function
        for function in _functions(streams)
        if function.returns is not None and ast.unparse(function.returns) in {"_Answer", "str | None"}
    ]
    returned = [node.value for function in refusing for node in ast.walk(function) if isinstance(node, ast.Return)]
    texts = [node.value for value in returned if value for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return {text for text in texts if isinstance(text, str) and re.fullmatch("[a-z]+(_[a-z]+)+", text)}


def _faults() -> set[str]:
    """Codes that the engine and contracts give to records."""
    calls = [
        node
        for package in (engine, schemas)
        for function in _functions(package)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"RecordFault", "ContractError"}
    ]
    return {
        call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def test_every_reason_for_which_something_is_refused_has_words() -> None:
    rules, faults = _rules_refusals(), _faults()
    assert {"extended_while_not_open", "disbursed_above_contract", "alert_unknown"} <= rules
    assert {"data_invalid", "misrouted", "store_refused"} <= faults
    assert sorted({*get_args(Reason), *faults, *rules, ILLEGAL} - {name.removeprefix("reason.") for name in WORDS}) == []


@pytest.mark.parametrize(
    ("reason", "pointer", "message", "chinese"),
    [
        ("data_invalid", "/data/call_id", "research.application.submitted: /data/call_id: Field required", "缺少必填字段"),
        ("missing_attribute", "/source", "'source' is missing; add it", "缺少必填属性 source，请补上"),
        ("duplicate_key", "/data/a", "the key 'a' stands twice", "/data/a处有重复的键，每个键只能出现一次"),
        ("invalid_json", "", "no JSON", "事件正文不是有效的 JSON，请修正语法后重发"),
        ("time_missing", "/time", "'time' is missing", "缺少 time 属性，它说明事实发生的时间（RFC 3339）"),
        ("misrouted", "/subject", "the log of 'P-1' is partition 4", "其 subject 的日志在另一分区"),
        ("of_tomorrow", "/x", "nobody knows this yet", "of_tomorrow"),
    ],
)
def test_fault_is_told_in_chinese_with_the_original_beneath(reason: str, pointer: str, message: str, chinese: str) -> None:
    said = told(ZH, reason, pointer, PLACE + message)
    text = re.sub("<[^>]*>", "|", said)
    assert f"| {chinese}|" in text
    original = re.search('<small lang="en" class="original">(.*)</small>', said)
    assert original is not None
    assert original[1].replace("&#x27;", "'") == PLACE + message
    assert "original" not in told(EN, reason, pointer, PLACE + message)


def test_code_stands_beside_what_it_means_and_an_unknown_one_alone() -> None:
    assert named(ZH, "extension_not_later") == "<code>extension_not_later</code><small>新的截止时间不晚于原定时间</small>"
    assert named(EN, "of_tomorrow") == "<code>of_tomorrow</code>"
