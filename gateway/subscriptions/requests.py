"""What a subscriber sends, judged: from the body of a request to a draft, or to the problem that says what is wrong. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway import catalogue
from gateway.identity import REALM
from gateway.kind import Kind
from gateway.languages import Text, chinese_of
from gateway.problems import ERRORS_MAX, Problem
from gateway.problems import Place as Fault
from gateway.subscriptions import cursors, kinds
from gateway.subscriptions.cursors import Positions
from schemas.cloudevents import CloudEventError, json_text
from schemas.contract import STORABLE, Data, Instant, instant_text, parse_instant
from schemas.filters import FilterError, Filters, compile_filters
from schemas.json_schema import data_schema, names_at, reached
from schemas.registry import ContractError, Registry
from schemas.subscriptions import (
    Basis,
    NotAllowed,
    Order,
    Place,
    Protocol,
    Reader,
    Start,
    Status,
    Subscription,
    after,
    limits_of,
    state_at,
)
from schemas.subscriptions.model import TEXT_CHARS_MAX, TYPES_MAX
from schemas.subscriptions.settings import SETTINGS
from schemas.subscriptions.snapshot import RECORDS_MAX as SNAPSHOT_RECORDS_MAX
from sinks import queues
from sinks.webhooks import destinations

PATH: Final = "/subscriptions"
BODY_BYTES_MAX: Final = 64 * 1024
SINK_CHARS_MAX: Final = 2_048
DAYS_MAX: Final = 31
FIELDS_NAMED_MAX: Final = 12
# What the sink of a protocol is; who reads has none.
SINKS: Final[Mapping[Protocol, destinations.Scheme]] = {
    "HTTP": destinations.WEB,
    "MQTT5": destinations.MQTT,
    "S3": destinations.STORE,
}
# Members of an answer that a subscriber may send back unchanged: they are ours, and ignored.
READ_ONLY: Final = frozenset(
    (
        "id",
        "owner",
        "granted",
        "state",
        "reason",
        "state_by",
        "state_since",
        "note",
        "revision",
        "created_at",
        "changed_at",
        "effective_at",
        "cursor",
    )
)

# Some character that is no white space: a blank purpose states none.
ShortText = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
TypeName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=STORABLE)]


Model = TypeVar("Model", bound=BaseModel)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SelectionBody(_Body):
    """What is wanted."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=2_048, pattern=STORABLE)] | None = Field(
        None, description="only events of exactly this source"
    )
    types: list[TypeName] = Field(
        default_factory=list, max_length=TYPES_MAX, description="event types; empty: all that you may receive"
    )
    filters: list[Any] = Field(
        default_factory=list,
        description="CloudEvents filters, all of which must pass: exact, prefix, suffix, all, any, not, sql; and data, ours",
    )
    purpose: ShortText | None = Field(None, description="what for; needed for anything not public")
    legal_basis: ShortText | None = Field(None, description="by which norm; needed for anything not public")
    approver: ShortText | None = Field(None, description="which office approved, not a person; needed for anything not public")


class SubscriptionBody(SelectionBody):
    """A subscription as it is created or replaced."""

    protocol: Protocol = Field(
        description="HTTP: webhook; MQTT5: your broker; S3: your object store; SSE, PULL: you read;"
        " KAFKA: whole topics of Kafka itself"
    )
    sink: Annotated[str, StringConstraints(max_length=SINK_CHARS_MAX, pattern=STORABLE)] | None = Field(
        None,
        description="HTTP: the URL to deliver to; MQTT5: the broker, mqtts://host:8883; S3: where objects go,"
        " https://endpoint/bucket/prefix or https://bucket.endpoint/prefix",
    )
    protocolsettings: dict[str, Any] = Field(
        default_factory=dict, description="MQTT5: see `Mqtt5Settings`; S3: see `S3Settings`; of other protocols not looked at"
    )
    config: dict[str, Any] = Field(default_factory=dict, description="yours to keep; not looked at")
    start: Annotated[str, StringConstraints(min_length=1, max_length=cursors.CURSOR_CHARS_MAX)] = Field(
        "now", description="now, earliest, snapshot, an instant (RFC 3339), or a cursor; fixed at creation"
    )
    expires_at: Instant | None = Field(None, description="RFC 3339; from then on nothing is delivered")


class RehearsalBody(SelectionBody):
    """What to rehearse, and over how many days back."""

    days: int = Field(7, ge=1, le=DAYS_MAX, description="how far back to look")


@dataclass(frozen=True, slots=True)
class StartAsked:
    """Where reading shall begin; `positions` of a cursor."""

    start: Start
    positions: Positions | None = None


def parsed(body: bytes, content_type: str | None, encoding: str | None) -> dict[str, Any]:
    """The JSON object of a body. Raises Problem."""
    if (content_type or "").partition(";")[0].strip().lower() != "application/json" or encoding not in {None, "identity"}:
        # A page in a browser can send other types anywhere without being asked; this one it must ask for.
        raise _refused(kinds.JSON_EXPECTED)
    if not body:
        raise _refused(catalogue.BODY_EMPTY)
    try:
        members = json_text.parse(body)
    except CloudEventError as error:
        detail = Text(error.message, catalogue.JSON_INVALID.meaning.zh)
        raise Problem(catalogue.JSON_INVALID, detail, [Fault(error.reason, error.pointer, detail)]) from None
    if not isinstance(members, dict):
        raise _invalid([Fault("not_an_object", "", Text("send one JSON object", "应为一个 JSON 对象"))])
    _refuse_unstorable(members)
    return members


def subscription_of(members: Mapping[str, Any]) -> SubscriptionBody:
    """The subscription that was sent. Raises Problem."""
    sent = {name: value for name, value in members.items() if name not in READ_ONLY}
    body = validated(SubscriptionBody, sent)
    _refuse_sink(body)
    if (settings := SETTINGS.get(body.protocol)) is not None:
        validated(settings, body.protocolsettings, "/protocolsettings")
    return body


def refuse_missing_library(body: SubscriptionBody) -> None:
    """Raises Problem for a protocol that this installation cannot deliver by."""
    if body.protocol == "MQTT5" and not queues.is_mqtt_installed():
        said = Text(
            "this installation cannot deliver to brokers; its operator has to install dujiang[mqtt]",
            "本平台未安装 MQTT 组件，请运营方安装 dujiang[mqtt]",
        )
        raise _invalid([Fault("protocol_unavailable", "/protocol", said)])


def refuse_destination(body: SubscriptionBody, rules: destinations.Rules) -> None:
    """Raises Problem for a sink to which nothing would be sent. Its name is resolved at each attempt, not here."""
    if body.protocol in SINKS and body.sink is not None:
        refuse_url(body.sink, "sink", rules, SINKS[body.protocol])


def refuse_url(url: str, member: str, rules: destinations.Rules, scheme: destinations.Scheme = destinations.WEB) -> None:
    """Raises Problem that names the member."""
    try:
        destinations.parse(url, rules, scheme)
    except destinations.DestinationRefused as refused:
        said = Text(str(refused), refused.message_zh)
        raise _invalid([Fault(f"{member}_{refused.reason}", f"/{member}", said)]) from None


def rehearsal_of(members: Mapping[str, Any]) -> RehearsalBody:
    """What to rehearse. Raises Problem."""
    return validated(RehearsalBody, members)


def basis_of(body: SelectionBody) -> Basis | None:
    """Purpose, legal basis and approver: all three or none. Raises Problem."""
    stated = {"purpose": body.purpose, "legal_basis": body.legal_basis, "approver": body.approver}
    missing = [name for name, value in stated.items() if value is None]
    if len(missing) == len(stated):
        return None
    if missing:
        raise _basis_missing(missing)
    return Basis(body.purpose or "", body.legal_basis or "", body.approver or "")


def filters_of(body: SelectionBody) -> Filters:
    """As they are applied. Raises Problem for what does not compile."""
    try:
        return compile_filters(body.filters, pointer="/filters")
    except FilterError as error:
        detail = Text(error.message, error.message_zh)
        raise Problem(kinds.FILTER_INVALID, detail, [Fault(error.reason, error.pointer, detail)]) from None


def refuse_unknown_fields(filters: Filters, types: Sequence[str], registry: Registry) -> None:
    """Raises Problem for a filter on data that no event of these types can have: it would pass nothing, for ever.

    Asked after `refuse_types`.
    """
    if not filters.fields:
        return
    contracts = [registry.contract_of(wire) for wire in types] or list(registry.contracts.values())
    schemas = [_schema(contract.data) for contract in contracts]
    faults = []
    for field in filters.fields:
        if not any(reached(schema, field.tokens) for schema in schemas):
            names = sorted({name for schema in schemas for name in names_at(schema, field.tokens[:-1])})
            there = ", ".join(names[:FIELDS_NAMED_MAX]) + (", …" if len(names) > FIELDS_NAMED_MAX else "")
            said = Text(
                f"no contract of the types asked for has this; it has there: {there or 'nothing'}",
                f"所订阅类型的合约中没有此字段；该处有：{there or '无'}",
            )
            faults.append(Fault("field_unknown", field.at, said))
    if faults:
        raise Problem(kinds.FILTER_INVALID, faults[0].detail, faults)


@cache
def _schema(model: type[Data]) -> dict[str, Any]:
    return data_schema(model)


def refuse_types(body: SelectionBody, registry: Registry, reader: Reader) -> None:
    """Raises Problem for types that are not known, or not granted."""
    faults = []
    for at, wire in enumerate(body.types):
        try:
            registry.contract_of(wire)
        except ContractError as error:
            said = Text(str(error), "未知的事件类型，请核对版本号（GET /types 列出全部类型）")
            faults.append(Fault("type_unknown", f"/types/{at}", said))
    if faults:
        raise Problem(kinds.SUBSCRIBED_TYPE_UNKNOWN, faults[0].detail, faults)
    ungranted = [at for at, wire in enumerate(body.types) if not reader.may_receive(wire)]
    if ungranted:
        raise subscribe_right_missing([Fault("type_not_granted", f"/types/{at}", _NOT_GRANTED) for at in ungranted])


def refuse_unstated(body: SelectionBody, registry: Registry, reader: Reader) -> None:
    """Raises Problem for types that are not public: without a basis, or above what the reader is cleared for."""
    cleared = replace(reader, is_stated=True)
    if not reader.is_stated and any(not _is_public(registry, wire) for wire in selected(body.types, registry, cleared)):
        raise _basis_missing(["purpose", "legal_basis", "approver"])
    above = [
        at
        for at, wire in enumerate(body.types)
        if all(cleared.withholds_class(topic.classification) for topic in registry.contract_of(wire).topics)
    ]
    if above:
        raise subscribe_right_missing([Fault("clearance_missing", f"/types/{at}", _NOT_CLEARED) for at in above])


def refuse_narrowed(body: SubscriptionBody, token_scopes: Sequence[str]) -> None:
    """Raises Problem when a token of single rows orders what cannot be judged by rows.

    Kafka gives whole topics; what a snapshot to be read lists is judged by the partner alone, since other tokens read it too.
    """
    if not limits_of(token_scopes):
        return
    faults = []
    if body.protocol == "KAFKA":
        faults.append(Fault("token_narrowed", "/protocol", _NARROWED))
    if body.start == "snapshot" and body.protocol in {"PULL", "SSE"}:
        faults.append(Fault("token_narrowed", "/start", _NARROWED))
    if faults:
        raise subscribe_right_missing(faults)


def selected(types: Sequence[str], registry: Registry, reader: Reader) -> list[str]:
    """The types named, or all that the reader may receive."""
    return list(types) or [wire for wire in registry.contracts if reader.may_receive(wire)]


def topics_of(types: Iterable[str], registry: Registry) -> list[str]:
    """Where these types flow; every topic for none named, so that rights which come later find a beginning."""
    wires = list(types) or list(registry.contracts)
    return sorted({name for wire in wires if wire in registry.contracts for name in registry.contracts[wire].topic_names})


def start_of(text: str) -> StartAsked:
    """Where to begin. Raises Problem."""
    if text == "now":
        return StartAsked(Start("now"))
    if text == "earliest":
        return StartAsked(Start("earliest"))
    if text == "snapshot":
        return StartAsked(Start("snapshot"))
    try:
        instant = parse_instant(text)
    except ValueError:
        return _start_at_cursor(text)
    assert isinstance(instant, datetime)  # noqa: S101 - of a text it is one
    return StartAsked(Start("instant", instant))


def refuse_start(asked: StartAsked, protocol: Protocol) -> None:
    """Raises Problem for a snapshot of what Kafka itself gives: whole topics, from where the reader's group stands."""
    if asked.start.at == "snapshot" and protocol == "KAFKA":
        said = Text(
            "Kafka itself gives no snapshot; read from the beginning, or subscribe by another protocol",
            "直接读取 Kafka 时没有快照；请从头读取，或改用其他协议",
        )
        raise _invalid([Fault("start_snapshot_kafka", "/start", said)])


def refuse_large_snapshot(records: int) -> None:
    """Raises Problem."""
    if records > SNAPSHOT_RECORDS_MAX:
        said = Text(
            f"{records:,} records would be looked through, at most {SNAPSHOT_RECORDS_MAX:,} are;"
            " name fewer types, or start from an instant",
            f"须查看 {records:,} 条记录，最多 {SNAPSHOT_RECORDS_MAX:,} 条；请减少 types，或从某一时间开始",
        )
        raise _invalid([Fault("start_snapshot_large", "/start", said)])


def refuse_ahead(asked: StartAsked, ends: Mapping[Place, int]) -> None:
    """Raises Problem for a cursor that is ahead of the log: it comes from elsewhere, and would never be reached in order."""
    if any(offset > ends[place] for place, offset in (asked.positions or {}).items() if place in ends):
        said = Text("this cursor is ahead of all that was ever written here", "该游标超出此处已写入的内容")
        raise _invalid([Fault("start_ahead", "/start", said)])


def start_text(start: Start) -> str:
    """As it was asked for; a cursor is not repeated."""
    return instant_text(start.instant) if start.instant is not None else start.at


def refuse_changed(body: SubscriptionBody, known: Subscription) -> None:
    """What stays as it was made. Raises Problem."""
    if body.protocol != known.protocol:
        raise _refused(kinds.PROTOCOL_FIXED)
    if "start" in body.model_fields_set and not _is_same_start(body.start, known.start):
        fixed = Text("where a subscription began cannot be changed; create another one", "订阅起点不可更改，请另建订阅")
        raise _invalid([Fault("start_fixed", "/start", fixed)])


def status_after_change(known: Subscription, changed: Subscription, now: datetime) -> Status:
    """A new sink must consent, as must another topic of it; what had expired goes on when it is given more time."""
    status = known.status
    is_elsewhere = known.protocol in SETTINGS and changed.protocolsettings != known.protocolsettings
    if changed.sink != known.sink or is_elsewhere:
        status = _followed(status, Order("revalidate", "sink_changed", "partner"), known.protocol, now)
    if status.state == "expired" and state_at(replace(status, state="enabled"), changed.expires_at, now) != "expired":
        status = _followed(status, Order("renew", "renewed", "partner"), known.protocol, now)
    return status


def _followed(status: Status, order: Order, protocol: Protocol, now: datetime) -> Status:
    followed = after(status, order, protocol, now)
    return status if isinstance(followed, NotAllowed) else followed


def refuse_past(expires_at: datetime | None, now: datetime) -> None:
    """Raises Problem for an expiry that is over already."""
    if expires_at is not None and expires_at <= now:
        raise _invalid([Fault("expiry_past", "/expires_at", Text("it has passed already", "该时间已过"))])


def subscribe_right_missing(faults: Sequence[Fault] = ()) -> Problem:
    """403, as RFC 6750 has it."""
    kind = kinds.SUBSCRIBE_RIGHT_MISSING
    headers = {"www-authenticate": f'{REALM}, error="insufficient_scope"'}
    return Problem(kind, faults[0].detail if faults else kind.meaning, faults, headers=headers)


_NOT_GRANTED: Final = Text("the token does not let you receive this type", "令牌不允许接收该类型")
_NARROWED: Final = Text(
    "this token receives single rows only (`only:` scopes), by which neither Kafka nor a snapshot to be read can be judged;"
    " use a webhook, PULL or SSE and another start, or a token without such scopes",
    "该令牌仅可接收部分事件（only: 权限），而 Kafka 主题和供读取的快照无法按此筛选；"
    "请改用 webhook、PULL 或 SSE 及其他起点，或使用不含此类权限的令牌",
)
_NOT_CLEARED: Final = Text(
    "this type is classified higher than the token is cleared for (clearance:...)", "该类型的密级高于令牌的许可（clearance:…）"
)


def _is_same_start(text: str, known: Start) -> bool:
    """Of a cursor only the word is kept, since where it pointed is kept as positions."""
    return text == start_text(known) or (known.at == "instant" and start_of(text).start == known)


def _start_at_cursor(text: str) -> StartAsked:
    try:
        return StartAsked(Start("cursor"), cursors.decode(text))
    except cursors.CursorError:
        said = Text(
            "expected now, earliest, snapshot, an instant as RFC 3339, or a cursor",
            "应为 now、earliest、snapshot、RFC 3339 时间或游标",
        )
        raise _invalid([Fault("start_unknown", "/start", said)]) from None


def _refuse_sink(body: SubscriptionBody) -> None:
    if body.protocol not in SINKS:
        if body.sink is not None and body.protocol != "KAFKA":
            said = Text("a subscriber that reads has no sink; leave it out", "主动读取的订阅没有 sink，请去掉")
            raise _invalid([Fault("sink_unused", "/sink", said)])
        return
    if body.sink is None:
        example = SINKS[body.protocol].example
        said = Text(f"expected where to deliver to, {example}", f"应为接收地址，如 {example}")
        raise _invalid([Fault("sink_missing", "/sink", said)])


def _is_public(registry: Registry, wire: str) -> bool:
    return all(topic.classification == "public" for topic in registry.contract_of(wire).topics)


def _basis_missing(names: Sequence[str]) -> Problem:
    kind = kinds.BASIS_MISSING
    said = Text("needed for what is not public", "非公开内容必须注明")
    return Problem(kind, kind.meaning, [Fault("missing", f"/{name}", said) for name in names])


def validated(model: type[Model], members: Mapping[str, Any], at: str = "") -> Model:
    """What was sent, as the model has it; `at`: where it stands in the body. Raises Problem that names every wrong place."""
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise _invalid(_faults_of(error, at)) from None


def _faults_of(error: ValidationError, at: str) -> list[Fault]:
    faults = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False)[:ERRORS_MAX]:
        pointer = at + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"])
        faults.append(Fault(fault["type"], pointer, Text(fault["msg"], chinese_of(fault["msg"]))))
    return faults


def _refuse_unstorable(value: Any, pointer: str = "") -> None:
    """PostgreSQL's text holds no U+0000. The nesting is bounded by the parser."""
    if isinstance(value, str) and "\x00" in value:
        raise _invalid(
            [Fault("unstorable", pointer, Text("the character U+0000 cannot be stored", "含有无法存储的字符 U+0000"))]
        )
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_unstorable(name, pointer)
            _refuse_unstorable(member, f"{pointer}/{name}")
    elif isinstance(value, list):
        for at, member in enumerate(value):
            _refuse_unstorable(member, f"{pointer}/{at}")


def _invalid(faults: Sequence[Fault]) -> Problem:
    return Problem(kinds.SUBSCRIPTION_INVALID, faults[0].detail, faults)


def _refused(kind: Kind) -> Problem:
    return Problem(kind, kind.meaning)
