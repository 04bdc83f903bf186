"""English or Chinese, as the reader asks (Accept-Language, RFC 9110, 12.5.4), and the Chinese of contract errors."""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from schemas.cloudevents.errors import MESSAGES_ZH, WHOLE_ZH
from schemas.registry import ContractError

Language = Literal["en", "zh"]
DEFAULT_LANGUAGE: Language = "en"
RANGES_MAX = 20
_CACHED_HEADERS_MAX = 256
_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.IGNORECASE)


class Text(NamedTuple):
    """The same sentence in both languages."""

    en: str
    zh: str

    def in_language(self, language: Language) -> str:
        return self.zh if language == "zh" else self.en


@lru_cache(maxsize=_CACHED_HEADERS_MAX)
def language_of(accept_language: str) -> Language:
    """The heaviest of our languages in the header; the earlier one on a tie; English when none is wanted."""
    best: Language = DEFAULT_LANGUAGE
    best_weight = 0.0
    for part in accept_language.split(",")[:RANGES_MAX]:
        tag, _, parameter = part.strip().partition(";")
        language = _language(tag)
        weight = _weight(parameter)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _language(tag: str) -> Language | None:
    primary = tag.strip().lower().partition("-")[0]
    if primary == "zh":
        return "zh"
    return DEFAULT_LANGUAGE if primary in {"en", "*"} else None


def _weight(parameter: str) -> float:
    if not parameter.strip():
        return 1.0
    match = _WEIGHT.match(parameter.strip())
    return float(match[1]) if match else 0.0


_CONTRACT_ZH = {
    "type_unknown": "未知的事件类型，请核对 type 属性及其版本号（GET /openapi.json 列出全部类型）",
    "subject_missing": "缺少 subject 属性，它指明事件所属的实体（项目、申报指南、告警）",
    "subject_long": "subject 属性过长",
    "time_missing": "缺少 time 属性，它说明事实发生的时间（RFC 3339）",
}

# What pydantic says (its message, English) and what we say in Chinese; the first that matches counts.
_DATA_ZH: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern + r"\Z"), text)
    for pattern, text in (
        (r"Field required", "缺少必填字段"),
        (r"Extra inputs are not permitted", "没有该成员，请核对名称"),
        (r"Input should be a valid string", "应为字符串"),
        (r"Input should be a valid integer.*", "应为整数"),
        (r"Input should be a valid number.*", "应为数字"),
        (r"Input should be a valid boolean.*", "应为布尔值 true 或 false"),
        (r"Input should be a valid (?:list|array)", "应为数组"),
        (r"Input should be a valid (?:dictionary|object).*", "应为 JSON 对象"),
        (r"Input should be a valid date(?:time)?.*", "应为日期或时间（YYYY-MM-DD 或 RFC 3339）"),
        (r"Input should be None", "应为 null"),
        (r"Input should be greater than or equal to (.+)", "不得小于 {0}"),
        (r"Input should be less than or equal to (.+)", "不得大于 {0}"),
        (r"Input should be greater than (.+)", "应大于 {0}"),
        (r"Input should be less than (.+)", "应小于 {0}"),
        (r"Input should be ('.+|\d+)", "应为下列值之一：{0}"),
        (r"String should have at least (\d+) characters?", "至少应有 {0} 个字符"),
        (r"String should have at most (\d+) characters?", "最多 {0} 个字符"),
        (r"List should have at least (\d+) items?.*", "至少应有 {0} 项"),
        (r"List should have at most (\d+) items?.*", "最多 {0} 项"),
        (r"Value error, expected a date as YYYY-MM-DD", "应为 YYYY-MM-DD 形式的日期"),
        (r"Value error, expected an instant as RFC 3339.*", "应为 RFC 3339 时间，带 Z 或时区偏移"),
        (r"Value error, the character U\+0000 cannot be stored", "含有无法存储的字符 U+0000"),
        (r"Value error, a lone surrogate is not a character", "含有不成对的代理字符"),
        (r"Value error, at most (\d+) milestones", "最多 {0} 个里程碑"),
        (r"Value error, a topic to publish to .*", "发布主题不得含 + 或 #，不得以 $ 开头，且应为可打印字符"),
        (r"String should match pattern '\^\[a-z0-9-\]\{1,40\}\$'", "应为小写字母、数字和连字符，最多 40 个字符"),
        (r"Value error, milestone ids must be distinct", "里程碑编号不得重复"),
    )
)


def problems_of(error: ContractError) -> list[tuple[str, Text]]:
    """Every place that a contract error names, with what is wrong there in both languages."""
    return [(pointer, Text(message, _chinese(error.reason, message))) for pointer, message in error.problems]


def _chinese(reason: str, message: str) -> str:
    return _CONTRACT_ZH.get(reason) or chinese_of(message)


def chinese_fault(reason: str, pointer: str, message: str) -> str | None:
    """A record's fault as the quarantine keeps it, in Chinese; None where neither the codec nor a contract found it."""
    if (told := MESSAGES_ZH.get(reason)) is not None:
        attribute = pointer.removeprefix("/")
        return told.format(where=(pointer if "/" in attribute else attribute) or WHOLE_ZH)
    if reason == "data_invalid":
        return chinese_of(message.partition(f"{pointer}: ")[2] or message)
    return _CONTRACT_ZH.get(reason)


def chinese_of(message: str) -> str:
    """What pydantic says, in Chinese."""
    for pattern, text in _DATA_ZH:
        match = pattern.match(message)
        if match:
            return text.format(*match.groups())
    return f"不符合契约：{message}"
