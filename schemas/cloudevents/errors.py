"""The one error of the codec: what is wrong with an event, where, and what to do.

ValueError
└── CloudEventError    reason, attribute, pointer, message, message_zh
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

# A pointer or a name taken from an event can be as long as the event; errors go into logs and answers.
POINTER_CHARS_MAX: Final = 1000

Reason = Literal[
    # the text
    "invalid_utf8",
    "invalid_json",
    "duplicate_key",
    "not_finite",
    "number_too_long",
    "lone_surrogate",
    "too_deep",
    "too_large",
    "too_many_events",
    "not_an_object",
    "not_an_array",
    # the attributes
    "missing_attribute",
    "empty_attribute",
    "attribute_name",
    "attribute_type",
    "forbidden_character",
    "integer_range",
    "specversion",
    "not_a_uri_reference",
    "not_an_absolute_uri",
    "time_format",
    "leap_second",
    "content_type",
    # the data
    "data_conflict",
    "data_type",
    "data_not_json",
    "invalid_base64",
    "charset_unsupported",
    # the bindings
    "format_unsupported",
    "header_encoding",
    "duplicate_header",
    "header_forbidden",
    "header_case",
    "tombstone",
]

WHOLE_ZH: Final = "事件正文"  # where no attribute and no place is at fault
MESSAGES_ZH: Final[Mapping[str, str]] = {
    "invalid_utf8": "{where}不是有效的 UTF-8 文本，请用 UTF-8 编码后重发",
    "invalid_json": "{where}不是有效的 JSON，请修正语法后重发",
    "duplicate_key": "{where}处有重复的键，每个键只能出现一次",
    "not_finite": "{where}含有 NaN、Infinity 或超出范围的数，JSON 只允许有限数",
    "number_too_long": "{where}的整数位数过多，请改用字符串",
    "lone_surrogate": "{where}含有不成对的代理字符（\\ud800 至 \\udfff），请删除或修正",
    "too_deep": "{where}的嵌套层数超过上限，请减少嵌套",
    "too_large": "{where}的字节数超过上限，请缩小数据或改用 dataref 引用",
    "too_many_events": "批次中的事件数超过上限，请拆成多个批次",
    "not_an_object": "{where}应为 JSON 对象（一个事件）",
    "not_an_array": "批次应为 JSON 数组，其元素为事件",
    "missing_attribute": "缺少必填属性 {where}，请补上",
    "empty_attribute": "属性 {where} 不能为空字符串",
    "attribute_name": "属性名 {where} 不合规：只能用小写字母 a-z 和数字 0-9，且不能占用保留名",
    "attribute_type": "属性 {where} 的类型不对：只允许字符串、32 位整数或布尔值",
    "forbidden_character": "属性 {where} 含有禁用字符（控制字符、非字符或不成对的代理字符），请删除",
    "integer_range": "属性 {where} 超出 32 位有符号整数范围，请改用字符串",
    "specversion": "属性 {where} 只支持 1.0",
    "not_a_uri_reference": "属性 {where} 不是 RFC 3986 的 URI 引用，空格和非 ASCII 字符请用百分号编码",
    "not_an_absolute_uri": "属性 {where} 应为带协议名的绝对 URI，例如 https://example.org/schema.json",
    "time_format": "属性 {where} 不是 RFC 3339 时间，请按 2026-03-01T08:00:00Z 的形式填写",
    "leap_second": "属性 {where} 的秒为 60（闰秒），不予接受，请改为 59 或下一分钟的 00",
    "content_type": "属性 {where} 不是有效的媒体类型，例如 application/json",
    "data_conflict": "data 与 data_base64 不能同时出现，请只保留一个",
    "data_type": "{where}的内容类型不是 JSON，data 只能是字符串；二进制请用 data_base64",
    "data_not_json": "{where}无法写成 JSON，请检查数据类型",
    "invalid_base64": "{where}不是有效的 Base64（标准字母表，含填充）",
    "charset_unsupported": "{where}的字符集不受支持，请用 UTF-8",
    "format_unsupported": "不支持该事件格式，请用 application/cloudevents+json",
    "header_encoding": "属性 {where} 的消息头编码不对，应为 UTF-8（HTTP 用百分号编码）",
    "duplicate_header": "属性 {where} 的消息头出现了多次，只能出现一次",
    "header_forbidden": "不允许使用消息头 ce-datacontenttype，请改用 Content-Type",
    "header_case": "消息头名称大小写不对，属性 {where} 未能识别；Kafka 消息头名一律用小写",
    "tombstone": "没有数据的事件会成为空值记录（墓碑），请改用结构化模式",
}


class CloudEventError(ValueError):
    """An event that breaks a rule of CloudEvents 1.0.2 or one of our limits.

    `reason` is a stable code; `attribute` names the attribute when one is at fault. `pointer` is a JSON pointer
    (RFC 6901) into the event's JSON form, or into the batch: data stands under `/data` in every mode. Empty: the whole;
    one too long points to an ancestor that fits.
    `message` is English and says what, where, and what to do; `message_zh` is the short Chinese form.
    """

    def __init__(self, reason: Reason, message: str, *, attribute: str | None = None, pointer: str | None = None) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message
        self.attribute = attribute
        if pointer is None:
            pointer = "" if attribute is None else f"/{escaped(attribute)}"
        self.pointer = bounded(pointer)

    @property
    def message_zh(self) -> str:
        where = self.attribute if self.attribute is not None else self.pointer or WHOLE_ZH
        return MESSAGES_ZH[self.reason].format(where=where)

    def in_batch(self, index: int) -> CloudEventError:
        """The same error, placed at the event of that index (from 0) in a batch."""
        return CloudEventError(
            self.reason,
            f"event {index} of the batch: {self.message}",
            attribute=self.attribute,
            pointer=f"/{index}{self.pointer}",
        )


def escaped(token: str) -> str:
    """One token of a JSON pointer, escaped after RFC 6901."""
    return token.replace("~", "~0").replace("/", "~1")


def bounded(pointer: str) -> str:
    """The pointer, or the longest part of it that fits and still is one."""
    return pointer if len(pointer) <= POINTER_CHARS_MAX else pointer[: POINTER_CHARS_MAX + 1].rpartition("/")[0]


def quoted(value: object, *, chars_max: int = 60) -> str:
    """A value as it may stand in a message: printable and bounded."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= chars_max else f"{text[:chars_max]}..."
