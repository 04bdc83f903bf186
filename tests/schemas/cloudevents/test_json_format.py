"""JSON format: one event and batch (notes 6.1), strict text, limits."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.cloudevents import ABSENT, DATA_DEPTH_MAX, EVENT_BYTES_MAX, CloudEvent, CloudEventError, json_format

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
HEAD = '{"specversion":"1.0","id":"1","source":"/s","type":"t"'


def body(**members: Any) -> bytes:
    return json.dumps({**REQUIRED, **members}).encode()


def with_data(text: str) -> bytes:
    return f'{HEAD},"data":{text}}}'.encode()


def refusal(text: bytes) -> CloudEventError:
    with pytest.raises(CloudEventError) as caught:
        json_format.decode(text)
    return caught.value


def batch_refusal(text: bytes, **limits: int) -> CloudEventError:
    with pytest.raises(CloudEventError) as caught:
        json_format.decode_batch(text, **limits)
    return caught.value


# One event


def test_event_of_the_specification_is_read_whole() -> None:
    event = json_format.decode(
        body(
            time="2018-04-05T17:31:00Z",
            subject=None,
            comexampleextension1="value",
            comexampleothervalue=5,
            datacontenttype="application/json",
            data={"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
        )
    )
    assert event == CloudEvent(
        "1",
        "/s",
        "t",
        time=datetime(2018, 4, 5, 17, 31, tzinfo=UTC),
        datacontenttype="application/json",
        extensions={"comexampleextension1": "value", "comexampleothervalue": 5},
        data={"appinfoA": "abc", "appinfoB": 123, "appinfoC": True},
    )


def test_same_event_gives_the_same_bytes_whatever_the_order_of_extensions() -> None:
    one = CloudEvent("1", "/s", "t", extensions={"b": 1, "a": True}, data={"z": "科", "a": 1.5})
    two = CloudEvent("1", "/s", "t", extensions={"a": True, "b": 1}, data={"z": "科", "a": 1.5})
    expected = f'{HEAD},"a":true,"b":1,"data":{{"z":"科","a":1.5}}}}'.encode()
    assert json_format.encode(one) == json_format.encode(two) == expected


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", ["left out", None])
def test_required_attribute_missing_or_null_is_refused(name: str, value: str | None) -> None:
    members = {**REQUIRED, name: None} if value is None else {key: text for key, text in REQUIRED.items() if key != name}
    error = refusal(json.dumps(members).encode())
    assert (error.reason, error.attribute, error.pointer) == ("missing_attribute", name, f"/{name}")


@pytest.mark.parametrize("version", ["0.3", "1.1", "1", 1.0, 1, True, ""])
def test_other_specversion_is_refused(version: Any) -> None:
    assert refusal(body(specversion=version)).reason == "specversion"


def test_attribute_null_counts_as_absent() -> None:
    nulls = dict.fromkeys(["subject", "time", "datacontenttype", "dataschema", "myextension", "data_base64"])
    assert json_format.decode(body(**nulls)) == CloudEvent("1", "/s", "t")


def test_data_null_is_a_payload() -> None:
    event = json_format.decode(body(data=None))
    assert event.data is None
    assert json_format.encode(event) == with_data("null")


def test_no_data_member_is_no_data() -> None:
    event = json_format.decode(body())
    assert event.data is ABSENT
    assert json_format.encode(event) == f"{HEAD}}}".encode()


def test_string_under_json_content_is_not_parsed_again() -> None:
    assert json_format.decode(body(data='{"a":1}')).data == '{"a":1}'
    assert json_format.decode(body(data='{"a":1}', datacontenttype="application/vnd.x+json")).data == '{"a":1}'


def test_absent_datacontenttype_stays_absent_in_json() -> None:
    event = json_format.decode(body(data={"a": 1}))
    assert event.datacontenttype is None
    assert b"datacontenttype" not in json_format.encode(event)


@pytest.mark.parametrize("content_type", ["text/json", "APPLICATION/JSON", "application/ld+JSON; charset=UTF-8", "x/json;a=b"])
def test_json_content_is_told_by_subtype_or_suffix_in_any_case(content_type: str) -> None:
    assert json_format.decode(body(data={"a": 1}, datacontenttype=content_type)).data == {"a": 1}


@pytest.mark.parametrize(
    "content_type", ["application/jsonp", "text/plain", "application/json-seq", "application/xml; t=+json"]
)
def test_object_under_content_that_is_not_json_is_refused(content_type: str) -> None:
    assert refusal(body(data={"a": 1}, datacontenttype=content_type)).reason == "data_type"


def test_text_under_xml_content_is_a_string() -> None:
    event = json_format.decode(body(data="<much wow='xml'/>", datacontenttype="application/xml"))
    assert event.data == "<much wow='xml'/>"


def test_base64_gives_bytes_and_nothing_is_assumed_of_them() -> None:
    event = json_format.decode(body(data_base64="eyJhIjoxfQ=="))
    assert (event.data, event.datacontenttype) == (b'{"a":1}', None)
    assert json_format.decode(body(data_base64="eyJhIjoxfQ==", datacontenttype="application/json")).data == b'{"a":1}'
    assert json_format.encode(event) == f'{HEAD},"data_base64":"eyJhIjoxfQ=="}}'.encode()


def test_empty_base64_is_empty_data() -> None:
    assert json_format.decode(body(data_base64="")).data == b""


@pytest.mark.parametrize("data", ["x", None])
def test_data_beside_data_base64_is_refused(data: str | None) -> None:
    error = refusal(body(data=data, data_base64="eA=="))
    assert (error.reason, error.pointer) == ("data_conflict", "/data_base64")


@pytest.mark.parametrize("text", ["e", "eA", "eA=", "eA===", "e A==", "eA==\n", "-_==", "中", 5, ["eA=="], True])
def test_invalid_base64_is_refused(text: Any) -> None:
    assert refusal(body(data_base64=text)).reason == "invalid_base64"


@pytest.mark.parametrize("value", [1.0, [], {}, 1e3])
def test_extension_that_is_no_string_integer_or_boolean_is_refused(value: Any) -> None:
    error = refusal(body(myextension=value))
    assert (error.reason, error.attribute) == ("attribute_type", "myextension")


@pytest.mark.parametrize("name", ["myExtension", "my_extension", "my-extension", "科技", "a/b~c"])
def test_member_that_is_no_attribute_name_is_refused_with_an_escaped_pointer(name: str) -> None:
    error = refusal(body(**{name: "x"}))
    assert (error.reason, error.attribute) == ("attribute_name", name)
    assert error.pointer == "/" + name.replace("~", "~0").replace("/", "~1")


# The text


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (f'{HEAD},"id":"2"}}', "/id"),
        (f'{HEAD},"data":{{"a":[0,{{"b":1,"b":1}}]}}}}', "/data/a/1/b"),
        (f'{HEAD},"data":{{"a/b":{{"~":1,"~":2}}}}}}', "/data/a~1b/~0"),
        (f'{HEAD},"data":1,"data":2}}', "/data"),
    ],
)
def test_duplicate_key_is_refused_where_it_stands(text: str, pointer: str) -> None:
    error = refusal(text.encode())
    assert (error.reason, error.pointer) == ("duplicate_key", pointer)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400 + ".0"])
def test_number_that_is_not_finite_is_refused_where_it_stands(number: str) -> None:
    error = refusal(with_data(f'{{"a":[1,{number}]}}'))
    assert (error.reason, error.pointer) == ("not_finite", "/data/a/1")


def test_pointer_too_long_is_cut_to_an_ancestor() -> None:
    error = refusal(with_data(f'{{"a":{{"{"k" * 5000}":[NaN]}}}}'))
    assert (error.reason, error.pointer) == ("not_finite", "/data/a")
    assert len(error.message) < 400


def test_integer_of_more_digits_than_python_takes_is_refused_where_it_stands() -> None:
    error = refusal(with_data(f'{{"a":{"9" * 5000}}}'))
    assert (error.reason, error.pointer) == ("number_too_long", "/data/a")


def test_large_integer_that_python_takes_comes_back_exactly() -> None:
    number = 10**400 + 1
    event = json_format.decode(with_data(str(number)))
    assert event.data == number
    assert json_format.decode(json_format.encode(event)) == event


@pytest.mark.parametrize(
    "text",
    [b'{"id":"\xff"}', b'{"id":"\xc0\xa0"}', b'{"id":"\xed\xa0\x80"}', "{}".encode("utf-16"), b"\xfe\xff\x00{\x00}"],
)
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    assert refusal(text).reason in ("invalid_utf8", "invalid_json")


def test_overlong_and_surrogate_bytes_are_not_utf8() -> None:
    assert refusal(b'{"id":"\xc0\xa0"}').reason == refusal(b'{"id":"\xed\xa0\x80"}').reason == "invalid_utf8"


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (with_data('"\\ud83d"'), "/data"),
        (with_data('{"a":["x\\uDE00y"]}'), "/data/a/0"),
        (with_data('{"\\udead":1}'), "/data"),
        (f'{HEAD},"subject":"\\ud800"}}'.encode(), "/subject"),
    ],
)
def test_lone_surrogate_escape_is_refused_where_it_stands(text: bytes, pointer: str) -> None:
    error = refusal(text)
    assert (error.reason, error.pointer) == ("lone_surrogate", pointer)


def test_surrogate_pair_escape_is_one_character() -> None:
    assert json_format.decode(with_data('"\\ud83d\\ude00 \\u4e2d"')).data == "😀 中"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"nul", b"{}{}", b"\xef\xbb\xbf{}", b"{'a':1}", b'{"a":01}', b'{"a":1,}', b'{"a":"\n"}', b"\x00"],
)
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    assert refusal(text).reason == "invalid_json"


def test_byte_order_mark_is_named() -> None:
    assert "byte order mark" in refusal(b"\xef\xbb\xbf{}").message


def test_fault_in_a_text_that_breaks_off_later_is_still_answered() -> None:
    assert refusal(b'{"a":NaN,').reason == "invalid_json"


@pytest.mark.parametrize("text", [b"[]", b"null", b'"x"', b"5", b"[{}]"])
def test_json_that_is_no_object_is_refused(text: bytes) -> None:
    assert refusal(text).reason == "not_an_object"


# Limits


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_data_nests_to_the_limit_and_no_deeper() -> None:
    event = json_format.decode(with_data(nested(DATA_DEPTH_MAX)))
    assert json_format.decode(json_format.encode(event)) == event
    assert refusal(with_data(nested(DATA_DEPTH_MAX + 1))).reason == "too_deep"
    assert refusal(with_data('{"a":' * 65 + "1" + "}" * 65)).reason == "too_deep"


@pytest.mark.parametrize("text", ["[" * 500_000, nested(200_000), '{"a":' * 100_000])
def test_depth_that_would_exhaust_the_stack_is_refused(text: str) -> None:
    assert refusal(with_data(text)).reason == "too_deep"


def test_wide_data_is_not_deep() -> None:
    assert json_format.decode(with_data(json.dumps([[]] * 1000))).data == [[]] * 1000


def test_brackets_inside_strings_do_not_nest() -> None:
    assert json_format.decode(with_data(json.dumps("[" * 1000))).data == "[" * 1000


def test_too_deep_or_circular_data_is_not_written() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = 0
    for _ in range(DATA_DEPTH_MAX + 1):
        deep = [deep]
    with pytest.raises(CloudEventError) as caught:
        json_format.encode(CloudEvent("1", "/s", "t", data=deep))
    assert caught.value.reason == "too_deep"
    with pytest.raises(CloudEventError) as caught:
        json_format.encode(CloudEvent("1", "/s", "t", data=circle))
    assert caught.value.reason == "data_not_json"


@pytest.mark.parametrize("data", [float("nan"), float("inf"), {1, 2}, object(), [datetime(2026, 1, 1, tzinfo=UTC)], [b"x"]])
def test_data_that_is_not_json_is_not_written(data: Any) -> None:
    with pytest.raises(CloudEventError) as caught:
        json_format.encode(CloudEvent("1", "/s", "t", data=data))
    assert (caught.value.reason, caught.value.pointer) == ("data_not_json", "/data")


def test_lone_surrogate_in_data_is_not_written() -> None:
    with pytest.raises(CloudEventError) as caught:
        json_format.encode(CloudEvent("1", "/s", "t", data="\ud800"))
    assert caught.value.reason == "lone_surrogate"


def test_event_of_64_kib_and_of_the_limit_itself_is_taken_and_one_byte_more_is_not() -> None:
    head = len(with_data('""'))
    assert json_format.decode(with_data('"' + "x" * 65_536 + '"')).data == "x" * 65_536
    assert json_format.decode(with_data('"' + "x" * (EVENT_BYTES_MAX - head) + '"'))
    assert refusal(with_data('"' + "x" * (EVENT_BYTES_MAX - head + 1) + '"')).reason == "too_large"


def test_size_limit_is_an_argument() -> None:
    with pytest.raises(CloudEventError, match="at most 10 are taken") as caught:
        json_format.decode(body(), event_bytes_max=10)
    assert caught.value.reason == "too_large"


# Batch


def test_batch_keeps_its_order_and_may_be_empty() -> None:
    events = [CloudEvent("1", "/s", "t", data=None), CloudEvent("2", "/s", "t", data=b"x"), CloudEvent("3", "/s", "t")]
    assert json_format.decode_batch(json_format.encode_batch(events)) == events
    assert json_format.decode_batch(b" [ ] ") == []
    assert json_format.encode_batch([]) == b"[]"


def test_faulty_event_refuses_the_batch_and_says_its_index() -> None:
    error = batch_refusal(b"[" + body() + b"," + body(source="a b") + b"]")
    assert (error.reason, error.attribute, error.pointer) == ("not_a_uri_reference", "source", "/1/source")
    assert error.message.startswith("event 1 of the batch: ")


def test_faulty_text_in_a_batch_says_its_index() -> None:
    assert batch_refusal(b"[" + body() + b"," + with_data("[NaN]") + b"]").pointer == "/1/data/0"


@pytest.mark.parametrize("text", [body(), b"null", b'"x"'])
def test_batch_that_is_no_array_is_refused(text: bytes) -> None:
    assert batch_refusal(text).reason == "not_an_array"


def test_batch_element_that_is_no_object_is_refused() -> None:
    error = batch_refusal(b"[[]]")
    assert (error.reason, error.pointer) == ("not_an_object", "/0")


def test_batch_limits_are_arguments() -> None:
    two = b"[" + body() + b"," + body() + b"]"
    assert len(json_format.decode_batch(two, batch_events_max=2)) == 2
    assert batch_refusal(two, batch_events_max=1).reason == "too_many_events"
    assert batch_refusal(two, batch_bytes_max=10).reason == "too_large"


def test_one_event_too_large_is_found_in_a_batch() -> None:
    error = batch_refusal(b"[" + body() + b"," + body(data="x" * 200) + b"]", event_bytes_max=100)
    assert (error.reason, error.pointer) == ("too_large", "/1")


def test_data_nests_as_deep_in_a_batch_as_alone() -> None:
    assert json_format.decode_batch(b"[" + with_data(nested(DATA_DEPTH_MAX)) + b"]")
    assert batch_refusal(b"[" + with_data(nested(DATA_DEPTH_MAX + 1)) + b"]").reason == "too_deep"
