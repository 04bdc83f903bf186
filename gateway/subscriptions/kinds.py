"""The kinds of problem that subscribers meet. `GET /problems` serves them with the others."""

from typing import Final

from gateway.kind import Kind
from gateway.languages import Text

_SUBSCRIPTIONS: Final = "CloudEvents Subscriptions API 0.1-wip"
_LIMITS: Final = "Dujiang limits"
_CURSORS: Final = "Dujiang cursors (docs/adr/0012-readers-carry-cursors.md)"
_LIFECYCLE: Final = "Dujiang lifecycle of subscriptions (docs/how-to/subscribe.md)"

JSON_EXPECTED = Kind(
    "json_expected",
    415,
    Text("The body must be JSON", "正文应为 JSON"),
    Text(
        "The content type is not application/json, or the body is compressed.",
        "内容类型不是 application/json，或正文经过压缩。",
    ),
    Text("Send Content-Type: application/json and the body as it is.", "请使用 Content-Type: application/json，正文不要压缩。"),
    "RFC 9110, 15.5.16",
)
SUBSCRIPTION_INVALID = Kind(
    "subscription_invalid",
    422,
    Text("The subscription is not as described", "订阅不符合接口说明"),
    Text("A member is missing, wrong, or does not go with another one.", "某个成员缺失、有误，或与其他成员不相容。"),
    Text("Correct every place in 'errors' and send it again.", "请按 errors 逐项修正后重发。"),
    f"{_SUBSCRIPTIONS}, 3.2 (GET /openapi.json)",
)
FILTER_INVALID = Kind(
    "filter_invalid",
    422,
    Text("The filter cannot be used", "过滤器无法使用"),
    Text(
        "A filter is none of the dialects, does not parse, or is larger or deeper than allowed.",
        "过滤器方言不明、无法解析，或过大、过深。",
    ),
    Text(
        "Correct the place named; try filters with POST /subscriptions/rehearse or `dujiang filter`.",
        "请修正所指位置；可用 POST /subscriptions/rehearse 或 dujiang filter 试用过滤器。",
    ),
    f"{_SUBSCRIPTIONS}, 3.2.4 and CESQL 1.0",
)
SUBSCRIBED_TYPE_UNKNOWN = Kind(
    "subscribed_type_unknown",
    422,
    Text("A type to subscribe to is not known", "订阅的事件类型未知"),
    Text(
        "No contract has this type and version, so no event of it will ever come.",
        "没有与该类型及版本对应的契约，因此不会有这种事件。",
    ),
    Text("Compare 'types' with GET /types, the version included.", "请对照 GET /types 核对 types 及其版本号。"),
    "the table of contracts (GET /types)",
)
SUBSCRIBE_RIGHT_MISSING = Kind(
    "subscribe_right_missing",
    403,
    Text("The token does not let you receive this", "令牌无权接收该内容"),
    Text(
        "Receiving is granted by event type (subscribe:TYPE); the partner's and the token's rights must both allow it.",
        "接收权限按事件类型授予（subscribe:类型），合作方与令牌须同时允许。",
    ),
    Text("Leave the types named out, or ask the Bureau for the right.", "请去掉所指类型，或向科技局申请权限。"),
    "the partner's rights (dujiang partners list)",
)
BASIS_MISSING = Kind(
    "basis_missing",
    422,
    Text("What is not public needs purpose, legal basis and approver", "非公开内容须注明目的、法律依据和批准单位"),
    Text(
        "At least one of the types is not public, and the subscription does not say for what, by which norm, and who approved.",
        "所订类型中至少有一种不公开，而订阅未注明目的、法律依据和批准单位。",
    ),
    Text(
        "Add 'purpose', 'legal_basis' and 'approver' (an office, not a person), or subscribe to public types alone.",
        "请补充 purpose、legal_basis 和 approver（单位名称，而非个人），或只订阅公开类型。",
    ),
    "GB/T 43697 and the classification of topics (GET /types)",
)
SUBSCRIPTIONS_TOO_MANY = Kind(
    "subscriptions_too_many",
    409,
    Text("There are too many subscriptions", "订阅数量已达上限"),
    Text("A partner has at most 100 subscriptions, the platform 10,000.", "每个合作方最多 100 个订阅，平台最多 10,000 个。"),
    Text("Delete those not used, or join several with a filter.", "请删除不用的订阅，或用过滤器合并。"),
    _LIMITS,
)
SUBSCRIPTION_UNKNOWN = Kind(
    "subscription_unknown",
    404,
    Text("You have no such subscription", "没有该订阅"),
    Text("No subscription of yours has this id.", "您名下没有该编号的订阅。"),
    Text("See GET /subscriptions for yours.", "请查看 GET /subscriptions。"),
    _SUBSCRIPTIONS,
)
REVISION_OUTDATED = Kind(
    "revision_outdated",
    412,
    Text("The subscription was changed meanwhile", "订阅已被更改"),
    Text(
        "If-Match names another revision than the present one; nothing was changed.",
        "If-Match 所指版本并非当前版本，未作更改。",
    ),
    Text("Get the subscription anew and repeat the change with its ETag.", "请重新获取订阅，并以其 ETag 重试。"),
    "RFC 9110, 13.1.1",
)
PROTOCOL_FIXED = Kind(
    "protocol_fixed",
    409,
    Text("The protocol cannot be changed", "协议不可更改"),
    Text(
        "Where a subscriber stands is kept differently by each protocol, so a change could lose or repeat events.",
        "各协议保存位置的方式不同，更改可能造成遗漏或重复。",
    ),
    Text("Create another subscription, from the cursor of this one if it has one.", "请另建订阅；如有游标，可从该游标开始。"),
    _SUBSCRIPTIONS,
)
STATE_CONFLICT = Kind(
    "state_conflict",
    409,
    Text("The subscription's state does not allow this", "订阅当前状态不允许该操作"),
    Text("The order does not fit the state that the subscription is in.", "该操作与订阅所处状态不符。"),
    Text("GET the subscription: 'state' and 'reason' say what helps.", "请查看订阅的 state 和 reason。"),
    _LIFECYCLE,
)
HELD_BY_OPERATOR = Kind(
    "held_by_operator",
    403,
    Text("An operator holds the subscription", "该订阅由运维人员停用"),
    Text(
        "The Bureau paused or disabled it; only the Bureau lets it go on. Nothing is lost meanwhile.",
        "科技局已暂停或停用该订阅，只有科技局可以恢复，其间不会丢失事件。",
    ),
    Text("Ask the Bureau; 'note' in the subscription may say why.", "请联系科技局；订阅的 note 可能说明原因。"),
    _LIFECYCLE,
)
NOT_ENABLED = Kind(
    "subscription_not_enabled",
    409,
    Text("The subscription is not enabled", "订阅未启用"),
    Text("Events go out only while it is enabled; those that come meanwhile wait.", "仅在启用时发送事件，其间的事件会保留。"),
    Text(
        "Resume it (POST /subscriptions/{id}/resume), or give it a later expires_at; then go on with your cursor.",
        "请恢复订阅（POST /subscriptions/{id}/resume）或延长 expires_at，然后用原游标继续。",
    ),
    _LIFECYCLE,
)
PROTOCOL_MISMATCH = Kind(
    "protocol_mismatch",
    409,
    Text("This subscription is delivered another way", "该订阅采用其他投递方式"),
    Text("Only subscriptions with protocol PULL or SSE are read here.", "此处只能读取协议为 PULL 或 SSE 的订阅。"),
    Text("Create a subscription with protocol PULL or SSE.", "请创建协议为 PULL 或 SSE 的订阅。"),
    _SUBSCRIPTIONS,
)
CURSOR_INVALID = Kind(
    "cursor_invalid",
    400,
    Text("The cursor cannot be read", "无法识别该游标"),
    Text(
        "It is cut or changed, or ahead of all that was ever written.",
        "游标被截断或改动，或超出已写入的内容。",
    ),
    Text(
        "Send a cursor exactly as it came; without one, reading begins where the subscription began.",
        "请原样发送收到的游标；不带游标则从订阅起点开始读取。",
    ),
    _CURSORS,
)
CURSOR_GONE = Kind(
    "cursor_gone",
    410,
    Text("Retention has passed the cursor", "游标所指内容已超过保留期"),
    Text(
        "Events behind the cursor were deleted before they were read: some are lost to this reader.",
        "游标之后的部分事件在读取前已被删除，无法再取得。",
    ),
    Text(
        "Note the gap, then go on with 'earliest_cursor', which keeps every position that still holds.",
        "请记录缺口，然后用 earliest_cursor 继续；其中仍有效的位置保持不变。",
    ),
    _CURSORS,
)
LOG_AWAY = Kind(
    "log_away",
    503,
    Text("Kafka does not answer; nothing can be read now", "Kafka 无应答，暂时无法读取"),
    Text("Nothing is lost: the cursor stays good.", "不会丢失内容，游标依然有效。"),
    Text("Ask again with the same cursor after the seconds in Retry-After.", "请在 Retry-After 所示秒数之后用同一游标重试。"),
    _CURSORS,
    retry_after_s=5,
)
GATEWAY_ENDING = Kind(
    "gateway_ending",
    503,
    Text("This gateway is being stopped", "网关正在停止"),
    Text("A stream ends with it. Nothing is lost: the cursor stays good.", "数据流随之结束；不会丢失内容，游标依然有效。"),
    Text("Connect again with Last-Event-ID; another gateway or the next one goes on.", "请携带 Last-Event-ID 重新连接。"),
    _CURSORS,
    retry_after_s=1,
)
READERS_TOO_MANY = Kind(
    "readers_too_many",
    429,
    Text("Too many read at once", "同时读取者过多"),
    Text(
        "A subscription has at most 2 readers at once, a partner 20, a gateway 500.",
        "每个订阅最多同时 2 个读取者，每个合作方 20 个，每个网关 500 个。",
    ),
    Text(
        "End a reader, or ask again after the seconds in Retry-After.", "请结束一个读取者，或在 Retry-After 所示秒数之后重试。"
    ),
    _LIMITS,
    retry_after_s=5,
)
REHEARSALS_TOO_MANY = Kind(
    "rehearsals_too_many",
    429,
    Text("Too many filters are rehearsed at once", "同时试用的过滤器过多"),
    Text("A gateway rehearses two filters at once, a partner one.", "每个网关同时试用 2 个过滤器，每个合作方 1 个。"),
    Text("Ask again after the seconds in Retry-After.", "请在 Retry-After 所示秒数之后重试。"),
    _LIMITS,
    retry_after_s=5,
)

SECRETS_TOO_MANY = Kind(
    "secrets_too_many",
    409,
    Text("There are too many secrets", "密钥数量已达上限"),
    Text("A subscription has at most 8 secrets in force.", "每个订阅最多同时有 8 个有效密钥。"),
    Text("Wait until one ends, or rotate with a shorter overlap.", "请等待其中一个失效，或缩短轮换重叠时间。"),
    _LIMITS,
)
CREDENTIAL_UNUSED = Kind(
    "credential_unused",
    409,
    Text("The subscription needs no credential", "该订阅不需要凭据"),
    Text(
        "Only deliveries to a broker (MQTT5) or a store (S3) show a credential.",
        "仅向消息服务器（MQTT5）或对象存储（S3）投递时使用凭据。",
    ),
    Text(
        "Leave it; webhooks are signed (POST .../secrets), or show tokens of yours (PUT .../oauth2).",
        "无需提供；Webhook 通过签名或贵方令牌认证（/subscriptions/{id}/secrets、…/oauth2）。",
    ),
    f"{_SUBSCRIPTIONS}, 3.2.3",
)
CALLBACK_UNKNOWN = Kind(
    "callback_unknown",
    404,
    Text("Nothing waits for this consent", "没有等待该同意的订阅"),
    Text(
        "The address was used already, is older than a day, or its subscription was changed meanwhile.",
        "该地址已使用、超过一天，或其订阅已被更改。",
    ),
    Text(
        "Answer the next OPTIONS request, or have the subscription resumed so that the endpoint is asked anew.",
        "请应答下一次 OPTIONS 请求，或恢复订阅以重新征求同意。",
    ),
    "CloudEvents webhook 1.0.2, 4.2",
)
SUBSCRIPTION_KINDS: Final = (
    JSON_EXPECTED,
    SUBSCRIPTION_INVALID,
    FILTER_INVALID,
    SUBSCRIBED_TYPE_UNKNOWN,
    SUBSCRIBE_RIGHT_MISSING,
    BASIS_MISSING,
    SUBSCRIPTIONS_TOO_MANY,
    SECRETS_TOO_MANY,
    CREDENTIAL_UNUSED,
    SUBSCRIPTION_UNKNOWN,
    CALLBACK_UNKNOWN,
    REVISION_OUTDATED,
    PROTOCOL_FIXED,
    STATE_CONFLICT,
    HELD_BY_OPERATOR,
    NOT_ENABLED,
    PROTOCOL_MISMATCH,
    CURSOR_INVALID,
    CURSOR_GONE,
    LOG_AWAY,
    GATEWAY_ENDING,
    READERS_TOO_MANY,
    REHEARSALS_TOO_MANY,
)
