"""The guard against forged requests: every spelling of an inner address, in the URL or behind a name, is refused."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.webhooks.destinations import (
    MQTT,
    WEB,
    DestinationRefused,
    Rules,
    Scheme,
    check_address,
    checked_addresses,
    parse,
    reached_by,
)

STRICT = Rules()
PLAIN = Rules(is_plain_allowed=True)
INNER = (
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",  # metadata of most clouds
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "198.18.0.1",
)
INNER_SIX = (
    "::",
    "::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata over IPv6
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
)


def _refusal(url: str, rules: Rules = STRICT, scheme: Scheme = WEB) -> str:
    with pytest.raises(DestinationRefused) as refusal:
        parse(url, rules, scheme)
    return refusal.value.reason


@pytest.mark.parametrize("address", INNER)
def test_an_inner_ipv4_address_is_refused(address: str) -> None:
    assert _refusal(f"https://{address}/hook") == "address_private"


@pytest.mark.parametrize("address", INNER_SIX)
def test_an_inner_ipv6_address_is_refused_wrapped_or_not(address: str) -> None:
    assert _refusal(f"https://[{address}]/hook") == "address_private"


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address_passes(address: str) -> None:
    check_address(ipaddress.ip_address(address), STRICT)


@given(number=st.integers(0, 2**32 - 1))
def test_a_wrapped_address_is_public_only_if_the_inner_one_is(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    for outer in (f"::ffff:{inner}", f"64:ff9b::{inner}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::"):
        assert _passes(ipaddress.ip_address(outer)) <= _passes(inner)


@given(number=st.integers(0, 2**128 - 1))
def test_what_passes_is_global_to_python_too(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if _passes(address):
        assert all(reached.is_global for reached in reached_by(address) if address not in ipaddress.ip_network("64:ff9b::/96"))


def _passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        check_address(address, STRICT)
    except DestinationRefused:
        return False
    return True


def _spellings(number: int) -> list[str]:
    a, b, c, d = number.to_bytes(4, "big")
    return [
        f"{number}",
        f"0x{number:x}",
        f"0X{number:X}",
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a:03d}.{b:03d}.{c:03d}.{d:03d}",
        f"0x{a:x}.{b}.0{c:o}.{d}",
    ]


@given(number=st.integers(0, 2**32 - 1))
def test_no_unusual_spelling_of_any_address_passes(number: int) -> None:
    """Whatever inet_aton reads, and our parser would read otherwise or not at all."""
    plain = str(ipaddress.IPv4Address(number))
    for spelling in _spellings(number):
        for dot in ("", "."):
            if spelling + dot in (plain, plain + "."):
                continue
            assert _refusal(f"https://{spelling}{dot}/") == "host"


@given(number=st.integers(0, 2**32 - 1))
def test_the_spellings_are_those_that_the_system_takes(number: int) -> None:
    """Otherwise the test above would prove nothing."""
    packed = number.to_bytes(4, "big")
    readable = [spelling for spelling in _spellings(number) if _aton(spelling) == packed]
    assert len(readable) >= 7


def _aton(text: str) -> bytes | None:
    try:
        return socket.inet_aton(text)
    except OSError:
        return None


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://①②⑦.0.0.1/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    ],
)
def test_loopback_in_disguise_is_refused(url: str) -> None:
    assert _refusal(url) == "address_private"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "scheme"),
        ("ftp://example.org/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("//example.org/", "scheme"),
        ("https:///path", "scheme"),
        ("example.org/hook", "scheme"),
        ("https://user@example.org/", "userinfo"),
        ("https://user:word@example.org/", "userinfo"),
        ("https://example.org@127.0.0.1/", "userinfo"),
        ("https://@example.org/", "userinfo"),
        ("https://example.org:22/", "port"),
        ("https://example.org:80/", "port"),
        ("https://example.org:99999/", "url_malformed"),
        ("https://example.org:x/", "url_malformed"),
        ("https://example.org/#part", "fragment"),
        ("https://example.org\\@127.0.0.1/", "url_malformed"),
        ("https://example.org/a b", "url_malformed"),
        ("https://exa\nmple.org/", "url_malformed"),
        ("https://exa\tmple.org/", "url_malformed"),
        ("https://localhost/", "host_inner"),
        ("https://LOCALHOST./", "host_inner"),
        ("https://a.localhost/", "host_inner"),
        ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "host_inner"),
        ("https://metadata.google.internal/", "host_inner"),
        ("https://printer.local/", "host_inner"),
        ("https://a..b/", "host"),
        ("https://-a.org/", "host"),
        ("https://a%2eb.org/", "host"),
        ("https://[fe80::1%25eth0]/", "host"),
        ("https://[127.0.0.1]/", "url_malformed"),
        ("https://" + "a." * 130 + "org/", "host"),
        ("https://example.org/" + "a" * 2000, "url_long"),
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str, reason: str) -> None:
    assert _refusal(url) == reason


def test_a_name_is_made_canonical_and_keeps_path_and_query() -> None:
    made = parse("https://Bücher.Example.ORG.:8443/Päth?q=1", STRICT)
    assert (made.host, made.port, made.url) == (
        "xn--bcher-kva.example.org",
        8443,
        "https://xn--bcher-kva.example.org:8443/Päth?q=1",
    )


def test_http_is_taken_where_the_operator_allows_it() -> None:
    assert parse("http://example.org/", PLAIN).port == 80


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://broker.example.org/", "scheme"),
        ("mqtt://broker.example.org/", "scheme"),
        ("mqtts://user:word@broker.example.org", "userinfo"),
        ("mqtts://broker.example.org:443", "port"),
        ("mqtts://broker.example.org:1883", "port"),
        ("mqtts://broker.example.org/topic", "path"),
        ("mqtts://broker.example.org?topic=a", "path"),
        ("mqtts://127.0.0.1:8883", "address_private"),
        ("mqtts://0x7f.1:8883", "host"),
        ("mqtts://[::ffff:10.0.0.1]", "address_private"),
        ("mqtts://broker.internal", "host_inner"),
    ],
)
def test_what_is_no_public_broker_is_refused(url: str, reason: str) -> None:
    assert _refusal(url, STRICT, MQTT) == reason


def test_a_broker_is_a_name_and_a_port() -> None:
    made = parse("mqtts://Broker.Example.org:8883/", STRICT, MQTT)
    assert (made.host, made.port, made.scheme) == ("broker.example.org", 8883, "mqtts")
    assert parse("mqtt://broker.example.org", PLAIN, MQTT).port == 1883
    assert _refusal("mqtts://broker.example.org") == "scheme"  # a webhook's URL is none of these


def test_an_allowed_network_opens_itself_alone() -> None:
    rules = Rules(networks=(ipaddress.ip_network("10.20.0.0/16"),))
    assert parse("https://10.20.0.1/", rules).address == ipaddress.ip_address("10.20.0.1")
    assert _refusal("https://10.21.0.1/", rules) == "address_private"
    assert _refusal("https://127.0.0.1/", rules) == "address_private"


def test_one_inner_address_among_good_ones_refuses_the_name() -> None:
    assert checked_addresses("a.org", ["8.8.8.8"], STRICT) == [ipaddress.ip_address("8.8.8.8")]
    with pytest.raises(DestinationRefused) as refusal:
        checked_addresses("a.org", ["8.8.8.8", "10.0.0.1"], STRICT)
    assert refusal.value.reason == "address_private"


def test_a_name_without_or_with_too_many_addresses_is_refused() -> None:
    for addresses, reason in (([], "name_empty"), ([f"8.8.8.{n}" for n in range(17)], "name_wide")):
        with pytest.raises(DestinationRefused) as refusal:
            checked_addresses("a.org", addresses, STRICT)
        assert refusal.value.reason == reason


@given(text=st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/", f"https://[{text}]/"):
        try:
            made = parse(url, STRICT)
        except DestinationRefused:
            continue
        assert made.scheme == "https"
        assert made.host.isascii()
        assert parse(made.url, STRICT) == made
