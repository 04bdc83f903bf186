"""From a request's bytes to records for Kafka, or to the problem that says what is wrong. Pure: no HTTP, no Kafka.

All events of a request are judged before any is written. Nothing in an event is changed; `recordedtime` is added where
the partner gave none, since this is where its record is made.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, get_args

import msgspec

from engine.kafka import Message
from gateway import catalogue
from gateway.attributes import DOCUMENTED, unknown_attributes
from gateway.kind import Kind
from gateway.languages import Text, problems_of
from gateway.problems import Place, Problem
from schemas.cloudevents import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    EVENT_BYTES_MAX,
    CloudEvent,
    CloudEventError,
    http_binding,
    json_format,
    json_text,
    kafka_binding,
)
from schemas.cloudevents.attributes import parse_time
from schemas.cloudevents.http_binding import Mode
from schemas.contract import instant_text
from schemas.registry import ContractError, Registry
from schemas.topics import Classification

RESERVED_SOURCES: Final = ("/engine/", "/streams/", "/console/")
RECORDED_TIME: Final = "recordedtime"
CLASSIFICATION: Final = "dataclassification"
CLASSIFICATIONS: Final = frozenset(get_args(Classification))

_JSON_REASONS: Final = frozenset(
    ("invalid_utf8", "invalid_json", "duplicate_key", "not_finite", "number_too_long", "lone_surrogate", "too_deep")
)
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(_JSON_REASONS, catalogue.JSON_INVALID),
    "header_encoding": catalogue.HEADER_INVALID,
    "duplicate_header": catalogue.HEADER_INVALID,
    "header_forbidden": catalogue.HEADER_INVALID,
    "format_unsupported": catalogue.MEDIA_TYPE_UNSUPPORTED,
    "charset_unsupported": catalogue.MEDIA_TYPE_UNSUPPORTED,
    "too_large": catalogue.CONTENT_TOO_LARGE,
    "too_many_events": catalogue.BATCH_TOO_LONG,
    "type_unknown": catalogue.TYPE_UNKNOWN,
    "type_reserved": catalogue.TYPE_RESERVED,
    "source_reserved": catalogue.SOURCE_RESERVED,
    "classification_unknown": catalogue.CLASSIFICATION_UNKNOWN,
    "attribute_unknown": catalogue.ATTRIBUTE_UNKNOWN,
    "subject_missing": catalogue.CONTRACT_BROKEN,
    "subject_long": catalogue.CONTRACT_BROKEN,
    "time_missing": catalogue.CONTRACT_BROKEN,
    "data_invalid": catalogue.CONTRACT_BROKEN,
}


class Admitted(NamedTuple):
    """What may be written: the events as they came, and a record for each, in the same order."""

    events: tuple[CloudEvent, ...]
    records: list[Message]


class Refused(NamedTuple):
    """One event that may not: of which kind its first fault is, and every place."""

    kind: Kind
    places: tuple[Place, ...]


Rights = Callable[[CloudEvent], Sequence[Place]]
"""What of an event its publisher has no right to."""


def nothing_ungranted(_: CloudEvent) -> Sequence[Place]:
    """Where nobody is asked who he is."""
    return ()


def mode_of(content_type: str | None) -> Mode:
    """By the content type alone."""
    return http_binding.mode_of(content_type)


def body_bytes_max(mode: Mode) -> int:
    """How much is read before anything is looked at."""
    return BATCH_BYTES_MAX if mode is Mode.BATCH else EVENT_BYTES_MAX


def refuse_headers(mode: Mode, headers: Sequence[tuple[str, str]], content_encoding: str | None) -> None:
    """What the headers alone rule out, so that no body need be read. Raises Problem."""
    if content_encoding not in {None, "", "identity"}:
        raise _unsupported("a compressed body is not taken; send it as it is", "不接受压缩的正文，请直接发送")
    if mode is Mode.BINARY and not any(name.startswith("ce-") for name, _ in headers):
        raise _unsupported(
            "the content type names no CloudEvents format, and there are no ce- headers of binary mode",
            "内容类型不是 CloudEvents 格式，也没有二进制模式的 ce- 请求头",
        )


def admit(
    registry: Registry,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    mode: Mode,
    now: datetime,
    extensions: frozenset[str] = DOCUMENTED,
    ungranted: Rights = nothing_ungranted,
) -> Admitted:
    """Every event of the request, judged. Raises Problem when one is refused.

    `extensions`: the extension attributes that an event may have. `ungranted` is asked only when something else is refused, so
    that all is named at once; what is admitted here may still be more than its publisher has a right to.
    """
    _refuse_empty(mode, headers, body)
    recorded = instant_text(now)
    plain = _admit_plain(registry, headers, body, recorded)
    if plain is not None:
        return plain
    try:
        events = http_binding.decode(headers, body).events
    except CloudEventError as error:

        def judge_one(event: CloudEvent) -> Message | Refused:
            return _with_rights(judge(registry, event, recorded, extensions), ungranted(event))

        raise _codec_problem(error, body, mode, judge_one) from None
    judged = [judge(registry, event, recorded, extensions) for event in events]
    if any(isinstance(one, Refused) for one in judged):
        raise _refusal([_with_rights(one, ungranted(event)) for one, event in zip(judged, events, strict=True)], mode)
    return Admitted(events, [one for one in judged if isinstance(one, Message)])


def _admit_plain(registry: Registry, headers: Sequence[tuple[str, str]], body: bytes, recorded: str) -> Admitted | None:
    """The usual request, in a fifth of the time: plain JSON events that the quick reader vouches for, written as they came.

    None where anything is unusual or wrong: then the strict codec decides and explains.
    """
    if headers == _SINGLE:
        pieces = [body.rstrip()]
    elif headers == _BATCH and len(body) <= BATCH_BYTES_MAX:
        try:
            pieces = [bytes(piece) for piece in _split(body)]
        except (msgspec.DecodeError, RecursionError):
            return None
    else:
        return None
    if len(pieces) > BATCH_EVENTS_MAX:
        return None
    read = registry.quick
    events, records = [], []
    for piece in pieces:
        found = read(piece)
        if found is None:
            return None
        fact, contract, plain = found
        if contract.is_internal or fact.source.startswith(RESERVED_SOURCES) or plain.recordedtime is not msgspec.UNSET:
            return None
        value = _appended(piece, recorded)
        if len(value) > EVENT_BYTES_MAX:
            return None
        events.append(plain.event(fact.time))
        records.append(Message(contract.topics[0].name, fact.key.encode(), value, _RECORD_HEADERS))
    return Admitted(tuple(events), records)


_SINGLE: Final = [("content-type", json_format.MEDIA_TYPE)]
_BATCH: Final = [("content-type", json_format.BATCH_MEDIA_TYPE)]
_RECORD_HEADERS: Final = [("content-type", json_format.MEDIA_TYPE.encode())]
_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def judge(registry: Registry, event: CloudEvent, recorded: str, extensions: frozenset[str]) -> Message | Refused:
    """The record of an event that keeps its contract, or what is wrong with it."""
    try:
        contract = registry.contract_of(event.type)
        if contract.is_internal:
            return _refused("type_reserved", "/type", catalogue.TYPE_RESERVED.meaning)
        if event.source.startswith(RESERVED_SOURCES):
            return _refused("source_reserved", "/source", catalogue.SOURCE_RESERVED.meaning)
        if event.extensions.get(CLASSIFICATION, "public") not in CLASSIFICATIONS:
            return _refused("classification_unknown", f"/{CLASSIFICATION}", catalogue.CLASSIFICATION_UNKNOWN.meaning)
        if unknown := unknown_attributes(event, extensions):
            return Refused(catalogue.ATTRIBUTE_UNKNOWN, unknown)
        fact = registry.fact(event)
        record = kafka_binding.encode_structured(event, key=fact.key)
        value = _with_recorded_time(event, record.value or b"", recorded)
    except ContractError as error:
        return _broken(error)
    except CloudEventError as error:
        return _refused(error.reason, error.pointer, Text(error.message, error.message_zh))
    if len(value) > EVENT_BYTES_MAX:
        return _refused("too_large", "", _too_long_written(len(value)))
    return Message(contract.topics[0].name, fact.key.encode(), value, record.headers)


def _with_rights(judged: Message | Refused, ungranted: Sequence[Place]) -> Message | Refused:
    """The same with what is not granted; a place that is named already (an unknown type) is not named twice."""
    if isinstance(judged, Message):
        return Refused(catalogue.RIGHT_MISSING, tuple(ungranted)) if ungranted else judged
    named = {place.pointer for place in judged.places}
    return judged._replace(places=(*judged.places, *(place for place in ungranted if place.pointer not in named)))


def _with_recorded_time(event: CloudEvent, written: bytes, recorded: str) -> bytes:
    """`recordedtime` says when this record was made: the partner's word if there is one, otherwise now.

    It is put into the JSON as written, one object that holds members already: making the event anew would check all
    of it again (a third of the whole work).
    """
    given = event.extensions.get(RECORDED_TIME)
    if given is None:
        return _appended(written, recorded)
    try:
        parse_time(given)
    except CloudEventError as error:
        message = error.message.replace("'time'", f"'{RECORDED_TIME}'")
        raise CloudEventError(error.reason, message, attribute=RECORDED_TIME) from None
    return written


def _appended(written: bytes, recorded: str) -> bytes:
    return b'%b,"recordedtime":"%b"}' % (written[:-1], recorded.encode())


def _refuse_empty(mode: Mode, headers: Sequence[tuple[str, str]], body: bytes) -> None:
    if body:
        if mode is Mode.BINARY and not any(name == "content-type" for name, _ in headers):
            raise _unsupported("binary data without a Content-Type cannot be read", "数据没有 Content-Type，无法读取")
        return
    if mode is not Mode.BINARY:
        raise Problem(catalogue.BODY_EMPTY, catalogue.BODY_EMPTY.meaning)


def _codec_problem(
    error: CloudEventError, body: bytes, mode: Mode, judge_one: Callable[[CloudEvent], Message | Refused]
) -> Problem:
    """The codec stops at the first fault; a batch of sound JSON is judged again, event by event, to find them all."""
    kind = _kind_of(error.reason)
    text = Text(error.message, error.message_zh)
    if mode is Mode.BATCH and kind is catalogue.EVENT_INVALID and error.reason != "not_an_array":
        return _refusal(list(_each_judged(body, judge_one)), mode)
    places = [Place(error.reason, error.pointer, text)] if kind is not catalogue.MEDIA_TYPE_UNSUPPORTED else []
    return Problem(kind, text, places, headers=_accept_post() if kind is catalogue.MEDIA_TYPE_UNSUPPORTED else {})


def _each_judged(body: bytes, judge_one: Callable[[CloudEvent], Message | Refused]) -> Iterable[Message | Refused]:
    for item in json_text.parse(body, wrapping=2):
        try:
            event = json_format.decode(json_text.dump(item, wrapping=1))
        except CloudEventError as error:
            yield _refused(error.reason, error.pointer, Text(error.message, error.message_zh))
        else:
            yield judge_one(event)


def _refusal(judged: Sequence[Message | Refused], mode: Mode) -> Problem:
    """One problem for all that were refused: their kind if it is the same for all, otherwise the batch's own."""
    refused = [(index, one) for index, one in enumerate(judged) if isinstance(one, Refused)]
    if mode is not Mode.BATCH:
        only = refused[0][1]
        return Problem(only.kind, only.places[0].detail, only.places)
    places = [place._replace(pointer=f"/{index}{place.pointer}") for index, one in refused for place in one.places]
    kinds = {one.kind.slug for _, one in refused}
    kind = refused[0][1].kind if len(kinds) == 1 else catalogue.BATCH_INVALID
    detail = Text(
        f"{len(refused)} of {len(judged)} events are refused, so none was written",
        f"{len(judged)} 个事件中有 {len(refused)} 个不合格，因此全部未写入",
    )
    # A place is named once, with its index, in `errors`; an item says of which kind it is and what helps.
    items = [(index, Problem(one.kind, one.places[0].detail)) for index, one in refused]
    return Problem(kind, detail, places, events=len(judged), items=items)


def _broken(error: ContractError) -> Refused:
    places = tuple(Place(error.reason, pointer, detail) for pointer, detail in problems_of(error))
    return Refused(_KINDS.get(error.reason, catalogue.CONTRACT_BROKEN), places)


def _refused(reason: str, pointer: str, detail: Text) -> Refused:
    return Refused(_kind_of(reason), (Place(reason, pointer, detail),))


def _kind_of(reason: str) -> Kind:
    return _KINDS.get(reason, catalogue.EVENT_INVALID)


def _unsupported(en: str, zh: str) -> Problem:
    return Problem(catalogue.MEDIA_TYPE_UNSUPPORTED, Text(en, zh), headers=_accept_post())


def _accept_post() -> dict[str, str]:
    return {"accept-post": f"{json_format.MEDIA_TYPE}, {json_format.BATCH_MEDIA_TYPE}"}


def _too_long_written(size_bytes: int) -> Text:
    return Text(
        f"the event has {size_bytes} bytes as it would be written, at most {EVENT_BYTES_MAX} are taken",
        f"事件写入时为 {size_bytes} 字节，超过上限 {EVENT_BYTES_MAX} 字节",
    )
