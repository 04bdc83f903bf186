"""Every kind of problem the gateway answers with: its status, what it means, what helps, and the norm it stands on.

A slug is stable: clients branch on it. `GET /problems` serves this table.
"""

from gateway.kind import Kind
from gateway.languages import Text
from gateway.subscriptions.kinds import SUBSCRIPTION_KINDS

HTTP = "RFC 9110"
CLOUDEVENTS = "CloudEvents 1.0.2"
OURS = "Dujiang limits"
BEARER = "RFC 6750"
IDEMPOTENCY = "draft-ietf-httpapi-idempotency-key-header-07"
RATE_LIMITS = "the partner's limits (draft-ietf-httpapi-ratelimit-headers)"

BODY_EMPTY = Kind(
    "body_empty",
    400,
    Text("The body is empty", "请求正文为空"),
    Text(
        "A structured event or a batch travels in the body, and there is none.",
        "结构化事件或批次应放在正文中，但正文为空。",
    ),
    Text("Send the event as JSON in the body; an empty batch is [].", "请在正文中发送事件 JSON；空批次写作 []。"),
    f"{CLOUDEVENTS} HTTP binding, 3.2 and 3.3",
)
BODY_INCOMPLETE = Kind(
    "body_incomplete",
    400,
    Text("The body is incomplete", "请求正文不完整"),
    Text("The connection ended, or the chunks broke off, before the body was whole.", "正文传完之前连接已断开或分块有误。"),
    Text("Send it again.", "请重发。"),
    "RFC 9112, 8",
)
JSON_INVALID = Kind(
    "json_invalid",
    400,
    Text("The JSON cannot be read", "无法解析 JSON"),
    Text(
        "The body is not JSON as RFC 8259 has it, or holds what stores cannot keep: bytes that are not UTF-8,"
        " repeated keys, NaN, lone surrogates, integers of thousands of digits, very deep nesting.",
        "正文不是符合 RFC 8259 的 JSON，或含有无法保存的内容："
        "非 UTF-8 字节、重复键、NaN、不成对的代理字符、过长的整数、过深的嵌套。",
    ),
    Text("Correct the place named and send it again.", "请修正所指位置后重发。"),
    "RFC 8259",
)
HEADER_INVALID = Kind(
    "header_invalid",
    400,
    Text("A header cannot be read", "请求头无法解析"),
    Text(
        "A ce- header or the content type breaks the HTTP binding: raw non-ASCII, a stray %, bytes that are not"
        " UTF-8, sent twice, or ce-datacontenttype.",
        "ce- 请求头或内容类型不符合 HTTP 绑定：未编码的非 ASCII 字符、孤立的 %、非 UTF-8 字节、重复发送，"
        "或使用了 ce-datacontenttype。",
    ),
    Text(
        "Correct the header that 'errors' names: values are percent-encoded UTF-8, each header is sent once, and the data's"
        " type stands in Content-Type alone.",
        "请修正 errors 所指的请求头：取值为 UTF-8 的百分号编码，每个请求头只发送一次，数据类型只写在 Content-Type 中。",
    ),
    f"{CLOUDEVENTS} HTTP binding, 3.1.3",
)
EVENT_INVALID = Kind(
    "event_invalid",
    422,
    Text("The event breaks a rule of CloudEvents", "事件不符合 CloudEvents 规范"),
    Text(
        "The JSON is sound, but it is no CloudEvent: an attribute is missing or wrong.",
        "JSON 本身有效，但不是合格的 CloudEvent：缺少属性或属性不对。",
    ),
    Text("Correct the attribute named and send the event again.", "请修正所指属性后重发。"),
    f"{CLOUDEVENTS}, section 3",
)
CONTRACT_BROKEN = Kind(
    "contract_broken",
    422,
    Text("The event breaks its contract", "事件不符合数据契约"),
    Text(
        "The event is a CloudEvent, but its subject, time or data is not what its type demands.",
        "事件是合格的 CloudEvent，但其 subject、time 或 data 不符合该类型的要求。",
    ),
    Text("Correct every place in 'errors' and send the event again.", "请按 errors 逐项修正后重发。"),
    "the contract of the event's type (GET /openapi.json)",
)
TYPE_UNKNOWN = Kind(
    "type_unknown",
    422,
    Text("The event type is not known", "未知的事件类型"),
    Text("No contract has this type and version.", "没有与该类型及版本对应的契约。"),
    Text(
        "Compare 'type' with those in GET /openapi.json, the version included.",
        "请对照 GET /openapi.json 核对 type 及其版本号。",
    ),
    "the table of contracts (GET /openapi.json)",
)
TYPE_RESERVED = Kind(
    "type_reserved",
    422,
    Text("The event type is the platform's own", "该事件类型由平台专用"),
    Text(
        "Events of this type are derived by the platform; nobody else publishes them.",
        "该类型的事件由平台派生，其他方不得发布。",
    ),
    Text(
        "Publish the fact that you know; the platform derives the rest from it.",
        "请发布您所掌握的事实，其余由平台派生。",
    ),
    "the table of contracts (GET /openapi.json)",
)
SOURCE_RESERVED = Kind(
    "source_reserved",
    422,
    Text("The source is the platform's own", "该来源由平台专用"),
    Text(
        "Sources under /engine/, /streams/ and /console/ name parts of the platform.",
        "/engine/、/streams/ 和 /console/ 之下的来源是平台自身的部件。",
    ),
    Text("Use your own source, /partners/<id>.", "请使用自己的来源 /partners/<id>。"),
    "Dujiang profile of CloudEvents: source",
)
CLASSIFICATION_UNKNOWN = Kind(
    "classification_unknown",
    422,
    Text("The classification is not known", "未知的数据分级"),
    Text(
        "The attribute 'dataclassification' holds a label that this platform cannot protect by.",
        "dataclassification 属性的取值不在本平台的分级之列，无法据以保护。",
    ),
    Text(
        "Use public, internal or restricted, or leave the attribute out: the topic's classification then counts.",
        "请使用 public、internal 或 restricted；省略该属性则按主题的分级处理。",
    ),
    "CloudEvents extension Data Classification; the table of topics (docs/reference/topics.md)",
)
ATTRIBUTE_UNKNOWN = Kind(
    "attribute_unknown",
    422,
    Text("An attribute is not known", "未知的属性"),
    Text(
        "The event has an extension attribute that neither CloudEvents documents nor this platform's operator named.",
        "事件带有 CloudEvents 未收录、本平台也未登记的扩展属性。",
    ),
    Text(
        "Correct its name (lower case, no hyphen), move the value into 'data', or ask the operator to name the attribute.",
        "请更正属性名（小写，不含连字符），或将其值移入 data，或请运维人员登记该属性。",
    ),
    "CloudEvents documented extensions; the operator's setting gateway.extensions",
)
BATCH_INVALID = Kind(
    "batch_invalid",
    422,
    Text("The batch holds faulty events; none was written", "批次中有不合格的事件，全部未写入"),
    Text(
        "All events of a batch are checked before any is written; different things are wrong with some.",
        "批次中的事件先全部检查再写入；其中若干事件存在不同的问题。",
    ),
    Text(
        "Correct the events that 'errors' points at, or leave them out, and send the batch again.",
        "请修正 errors 所指的事件，或将其移出，然后重发整个批次。",
    ),
    "Dujiang batches: all are checked before any is written",
)
MEDIA_TYPE_UNSUPPORTED = Kind(
    "media_type_unsupported",
    415,
    Text("The content type is not taken", "不支持该内容类型"),
    Text(
        "The content type is missing, is an event format other than JSON, or names no event at all.",
        "内容类型缺失、不是 JSON 事件格式，或根本没有说明是事件。",
    ),
    Text(
        "Send application/cloudevents+json, application/cloudevents-batch+json, or binary mode with ce- headers;"
        " no compression.",
        "请用 application/cloudevents+json、application/cloudevents-batch+json，或带 ce- 请求头的二进制模式；不要压缩。",
    ),
    f"{CLOUDEVENTS} HTTP binding, 3",
)
CONTENT_TOO_LARGE = Kind(
    "content_too_large",
    413,
    Text("The content is too large", "内容过大"),
    Text("An event has at most 1 MiB, a batch at most 8 MiB.", "单个事件最大 1 MiB，批次最大 8 MiB。"),
    Text("Split the batch; send large content by reference (dataref).", "请拆分批次；大内容请用 dataref 引用。"),
    OURS,
)
BATCH_TOO_LONG = Kind(
    "batch_too_long",
    413,
    Text("The batch has too many events", "批次中的事件过多"),
    Text("A batch has at most 1000 events.", "一个批次最多 1000 个事件。"),
    Text("Split the batch.", "请拆分批次。"),
    OURS,
)
HEADERS_TOO_LARGE = Kind(
    "headers_too_large",
    431,
    Text("The headers are too large", "请求头过大"),
    Text("All header names and values together have at most 32 KiB.", "全部请求头的名称与取值合计最大 32 KiB。"),
    Text("Send the event in structured mode, where attributes stand in the body.", "请改用结构化模式，把属性放在正文中。"),
    OURS,
)
BODY_SLOW = Kind(
    "body_slow",
    408,
    Text("The body came too slowly", "正文传输过慢"),
    Text("The body was not complete in time; nothing was written.", "正文未在规定时间内传完，未写入任何内容。"),
    Text("Send it again, in smaller batches over a slow line.", "请重发；线路较慢时请缩小批次。"),
    OURS,
)
HOST_REFUSED = Kind(
    "host_refused",
    421,
    Text("The request is meant for another host", "请求指向了其他主机"),
    Text(
        "Without partners' identities (gateway.auth is none) the gateway answers only requests for the loopback host, so"
        " that no web page can reach it.",
        "未启用合作方身份（gateway.auth 为 none）时，网关只应答发往本机回环地址的请求，以防网页借道访问。",
    ),
    Text("Send the Host header 127.0.0.1, [::1] or localhost.", "请将 Host 请求头设为 127.0.0.1、[::1] 或 localhost。"),
    HTTP,
)
TOKEN_MISSING = Kind(
    "token_missing",
    401,
    Text("The request carries no token", "请求未携带令牌"),
    Text(
        "This gateway answers partners only, and nothing in the request says who asks.",
        "本网关只应答已登记的合作方，而请求没有说明来自何方。",
    ),
    Text(
        "Send the header 'Authorization: Bearer ...' with the token that the Bureau gave you, or a JWT signed by your key.",
        "请携带请求头 Authorization: Bearer …，取值为科技局发放的令牌，或用贵方密钥签名的 JWT。",
    ),
    BEARER,
)
TOKEN_INVALID = Kind(
    "token_invalid",
    401,
    Text("The token is not valid", "令牌无效"),
    Text(
        "No partner has this token, or it has expired or was revoked. A new one is known within five seconds.",
        "没有合作方持有该令牌，或令牌已过期、已撤销。新令牌在五秒内生效。",
    ),
    Text(
        "Compare the token with the one you were given; ask the Bureau for another if its time is over.",
        "请核对令牌；若已到期，请向科技局申领新令牌。",
    ),
    BEARER,
)
SIGNED_TOKEN_INVALID = Kind(
    "signed_token_invalid",
    401,
    Text("The signed token is not valid", "签名令牌无效"),
    Text(
        "The JWT breaks a rule of this gateway, or no registered key made its signature. 'errors' names what; a key is"
        " known, or refused again, within five seconds.",
        "JWT 不符合本网关的规则，或其签名不是由已登记的密钥作出。errors 列出具体原因；公钥的登记与撤销在五秒内生效。",
    ),
    Text(
        "Sign a new token for each request: alg, kid, iss, aud, iat, exp and jti as the partners' guide says.",
        "请按合作方指南为每个请求重新签发令牌，注意 alg、kid、iss、aud、iat、exp 和 jti。",
    ),
    "RFC 7519 and RFC 8725, as docs/adr/0014 narrows them",
)
RIGHT_MISSING = Kind(
    "right_missing",
    403,
    Text("The token does not give this right", "令牌没有该项权限"),
    Text(
        "Rights are given by event type, by source and by operation; the partner's and the token's must both allow it."
        " Nothing was written.",
        "权限按事件类型、来源和操作授予，合作方与令牌须同时允许。未写入任何内容。",
    ),
    Text(
        "Publish only types and sources that were granted to you, or ask the Bureau for the right.",
        "请只发布已授权的类型与来源，或向科技局申请权限。",
    ),
    "the partner's rights (dujiang partners list)",
)
RATE_EXCEEDED = Kind(
    "rate_exceeded",
    429,
    Text("Too fast; nothing was written", "请求过快，未写入任何内容"),
    Text(
        "The partner's events of the last seconds are more than its rate allows. A request counts as one event at"
        " least, refused ones too.",
        "该合作方最近数秒的事件超过其速率上限。每个请求至少计为一个事件，被拒绝的请求也计入。",
    ),
    Text(
        "Send the same again after the seconds in Retry-After; RateLimit says how much is left.",
        "请在 Retry-After 所示秒数之后重发；RateLimit 响应头说明剩余额度。",
    ),
    RATE_LIMITS,
)
QUOTA_EXCEEDED = Kind(
    "quota_exceeded",
    429,
    Text("The day's quota is used up; nothing was written", "当日配额已用尽，未写入任何内容"),
    Text(
        "The partner's events of this day (UTC) would be more than its quota.",
        "该合作方当日（UTC）的事件数将超过其配额。",
    ),
    Text(
        "Send the rest after midnight UTC (Retry-After), or ask the Bureau for a larger quota.",
        "请在 UTC 零点之后发送其余事件（见 Retry-After），或向科技局申请更大的配额。",
    ),
    RATE_LIMITS,
)
IDEMPOTENCY_KEY_INVALID = Kind(
    "idempotency_key_invalid",
    400,
    Text("The Idempotency-Key cannot be read", "无法解析 Idempotency-Key"),
    Text(
        "The header is one string in double quotes (a bare word is taken too) of 1 to 255 printable ASCII characters,"
        " sent once.",
        "该请求头应为一个双引号字符串（也接受不带引号的单词），含 1 至 255 个可见 ASCII 字符，只发送一次。",
    ),
    Text('Send a fresh UUID, as in Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".', "请使用新的 UUID。"),
    IDEMPOTENCY,
)
IDEMPOTENCY_KEY_REUSED = Kind(
    "idempotency_key_reused",
    422,
    Text("The Idempotency-Key belongs to another request", "Idempotency-Key 已用于其他请求"),
    Text(
        "A request with this key and another content was accepted, or is under way. Nothing of this one was written.",
        "以该键发送的另一内容的请求已被接受或正在处理。本次请求未写入任何内容。",
    ),
    Text(
        "Use a new key for a new request; repeat a request unchanged under its own key.",
        "新请求请使用新键；重发请求时内容与键均应保持不变。",
    ),
    IDEMPOTENCY,
)
IN_FLIGHT = Kind(
    "in_flight",
    409,
    Text("The same is under way already", "相同的请求正在处理"),
    Text(
        "Another request with the same Idempotency-Key, or with one of these events, has no answer yet.",
        "另一个使用相同 Idempotency-Key 或包含其中某个事件的请求尚未得到应答。",
    ),
    Text(
        "Send the same again after the seconds in Retry-After: the answer is then the first request's.",
        "请在 Retry-After 所示秒数之后原样重发，届时将得到首次请求的应答。",
    ),
    IDEMPOTENCY,
    retry_after_s=5,
)
EVENT_CONFLICT = Kind(
    "event_conflict",
    409,
    Text("The id belongs to another event", "该 id 属于另一个事件"),
    Text(
        "source and id together name one event, and another event was published under them. Nothing was written.",
        "source 与 id 共同标识一个事件，而其名下已发布过另一个事件。未写入任何内容。",
    ),
    Text(
        "Give the new event an id of its own; repeat an event unchanged.",
        "新事件请使用新的 id；重发事件时请保持原样。",
    ),
    f"{CLOUDEVENTS}, section 3.1.1",
)
EVENT_UNKNOWN = Kind(
    "event_unknown",
    404,
    Text("No event of yours has this source and id", "您名下没有该 source 与 id 的事件"),
    Text(
        "You did not publish it, no webhook of yours was concerned with it, or what is known of it is no longer kept.",
        "该事件并非由您发布，也与您的 Webhook 无关，或其记录已超过保留期。",
    ),
    Text("Compare source and id with your receipt or your delivery.", "请对照回执或投递内容核对 source 与 id。"),
    "Dujiang traces (docs/how-to/trace-an-event.md)",
)
STORE_AWAY = Kind(
    "store_away",
    503,
    Text("The platform's database does not answer; nothing was written", "平台数据库无应答，未写入任何内容"),
    Text(
        "Who asks, or whether the same was sent before, cannot be known at the moment.",
        "目前无法核实请求方身份，或无法判断是否已发送过相同内容。",
    ),
    Text("Send the same again after the seconds in Retry-After.", "请在 Retry-After 所示秒数之后原样重发。"),
    OURS,
    retry_after_s=5,
)
NOT_FOUND = Kind(
    "not_found",
    404,
    Text("There is nothing at this address", "该地址不存在"),
    Text("The path names nothing that the gateway serves.", "网关没有提供该路径。"),
    Text("See GET /openapi.json for what there is.", "请查看 GET /openapi.json。"),
    HTTP,
)
METHOD_NOT_ALLOWED = Kind(
    "method_not_allowed",
    405,
    Text("The method is not allowed here", "不允许使用该方法"),
    Text("The address exists, but not for this method.", "该地址存在，但不支持此方法。"),
    Text("Use a method of the Allow header.", "请使用 Allow 响应头列出的方法。"),
    HTTP,
)
REQUEST_INVALID = Kind(
    "request_invalid",
    422,
    Text("The request is not as described", "请求不符合接口说明"),
    Text("A parameter or the body is not what the API description demands.", "参数或正文不符合接口说明。"),
    Text("Correct every place in 'errors' and send the request again.", "请按 errors 逐项修正后重发。"),
    "GET /openapi.json",
)
NOT_CONFIRMED = Kind(
    "not_confirmed",
    503,
    Text("Kafka did not confirm; nothing counts as accepted", "Kafka 未确认，均不视为已接受"),
    Text(
        "All in-sync replicas must confirm an event before it is accepted, and they did not in time."
        " It may still have been written; a repeat under the same source and id does no harm.",
        "事件须经全部同步副本确认才算接受，但未能及时确认。事件仍有可能已写入；以相同的 source 和 id 重发不会造成重复。",
    ),
    Text(
        "Send the same events again, unchanged, after the seconds in Retry-After.",
        "请在 Retry-After 所示秒数之后原样重发。",
    ),
    "Dujiang: accepted means confirmed by all in-sync replicas",
    retry_after_s=5,
)
OVERLOADED = Kind(
    "overloaded",
    503,
    Text("Too much is under way; nothing was written", "负载过高，未写入任何内容"),
    Text("A limit on what is held at once is reached.", "同时处理的数量已达上限。"),
    Text(
        "Send the same again after the seconds in Retry-After, more slowly.",
        "请在 Retry-After 所示秒数之后放慢速度重发。",
    ),
    OURS,
    retry_after_s=1,
)
BROKER_REFUSED = Kind(
    "broker_refused",
    503,
    Text("Kafka refused the platform; nothing was written", "Kafka 拒绝了平台的写入，未写入任何内容"),
    Text(
        "A topic is missing, or the platform has no right to write to it. Nothing is wrong with the event.",
        "主题不存在，或平台无权写入。事件本身没有问题。",
    ),
    Text(
        "Tell the operator, naming the instance; send the same again later.",
        "请告知运维人员并提供 instance；稍后原样重发。",
    ),
    "Dujiang: accepted means confirmed by all in-sync replicas",
    retry_after_s=30,
)
INTERNAL_ERROR = Kind(
    "internal_error",
    500,
    Text("The gateway failed", "网关内部错误"),
    Text("A fault of ours; it is logged under the instance.", "这是我方的错误，已按 instance 记录。"),
    Text(
        "Send the same again; if it happens again, tell the operator the instance.",
        "请原样重发；若再次出现，请将 instance 告知运维人员。",
    ),
    HTTP,
)

KINDS: dict[str, Kind] = {
    kind.slug: kind
    for kind in (
        BODY_EMPTY,
        BODY_INCOMPLETE,
        JSON_INVALID,
        HEADER_INVALID,
        EVENT_INVALID,
        CONTRACT_BROKEN,
        TYPE_UNKNOWN,
        TYPE_RESERVED,
        SOURCE_RESERVED,
        CLASSIFICATION_UNKNOWN,
        ATTRIBUTE_UNKNOWN,
        BATCH_INVALID,
        MEDIA_TYPE_UNSUPPORTED,
        CONTENT_TOO_LARGE,
        BATCH_TOO_LONG,
        HEADERS_TOO_LARGE,
        BODY_SLOW,
        HOST_REFUSED,
        TOKEN_MISSING,
        TOKEN_INVALID,
        SIGNED_TOKEN_INVALID,
        RIGHT_MISSING,
        RATE_EXCEEDED,
        QUOTA_EXCEEDED,
        IDEMPOTENCY_KEY_INVALID,
        IDEMPOTENCY_KEY_REUSED,
        IN_FLIGHT,
        EVENT_CONFLICT,
        EVENT_UNKNOWN,
        STORE_AWAY,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REQUEST_INVALID,
        NOT_CONFIRMED,
        OVERLOADED,
        BROKER_REFUSED,
        INTERNAL_ERROR,
        *SUBSCRIPTION_KINDS,
    )
}
