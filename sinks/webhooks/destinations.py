"""Where deliveries may go: the guard against requests forged by way of a subscriber's URL (SSRF).

An URL is checked when it is registered and at each attempt; its host is resolved, every address is checked, and the
connection goes to one of these addresses and no other (`sender.py`, `sinks/queues/`). Names are never trusted, only addresses.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_CHARS_MAX: Final = 2_000
ADDRESSES_MAX: Final = 16  # of one name; more is no ordinary host
HOST_CHARS_MAX: Final = 253

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What a resolver takes for an IPv4 address although it does not look like one: 0x7f.1, 017700000001, 2130706433 (inet_aton).
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INNER_NAMES: Final = ("localhost", "local", "internal", "localdomain", "home.arpa", "lan", "intranet", "corp", "private")

# Beyond what Python calls not global: networks whose addresses lead on to others, or that no partner can live in.
_REFUSED: Final[tuple[Network, ...]] = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",  # this host on Linux
            "100.64.0.0/10",  # carrier-grade NAT; one cloud serves its metadata at 100.100.100.200
            "168.63.129.16/32",  # another cloud's host agent, a public address by its look
            "192.0.0.0/24",
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/96",  # IPv4-compatible
            "64:ff9b:1::/48",  # NAT64 inside a network
            "100::/64",
            "2001::/23",  # IETF's special uses, Teredo among them
            "fec0::/10",  # site-local of old
            "ff00::/8",
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class DestinationRefused(Exception):
    """Nothing may be sent there. `reason` is a stable code; the messages say what is expected instead."""

    def __init__(self, reason: str, message: str, message_zh: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message_zh = message_zh


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a protocol's URLs begin, with TLS and without, and the ports it usually has. The first is the default."""

    secure: str
    plain: str
    ports: tuple[int, ...]
    plain_ports: tuple[int, ...]
    example: str
    path: re.Pattern[str] | None = None  # all that may follow the server; None: any path and query
    path_is: str = ""  # in words
    path_is_zh: str = ""

    def default_port(self, scheme: str) -> int:
        return self.plain_ports[0] if scheme == self.plain else self.ports[0]


WEB: Final = Scheme("https", "http", (443, 8443), (80, 8080), "https://host/path")
MQTT: Final = Scheme(
    "mqtts",
    "mqtt",
    (8883,),
    (1883,),
    "mqtts://host:8883",
    re.compile(r"/?"),
    "the URL names a server and nothing on it; the topic is a setting",
    "URL 只应指明服务器，主题另行设置",
)
# What is signed must be what is sent: no character that any program would escape, and no segment that one would take away.
STORE: Final = Scheme(
    "https",
    "http",
    (443, 8443),
    (80, 8080),
    "https://endpoint/bucket/prefix",
    re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)*/?"),
    "the URL's path is bucket and prefix, of letters, digits and . _ ~ -, without a query",
    "URL 的路径为存储桶和前缀，只能含字母、数字和 . _ ~ -，且不带查询参数",
)


@dataclass(frozen=True)
class Rules:
    """What the operator allows. `networks`: reachable although private, for partners inside the government's network."""

    networks: tuple[Network, ...] = ()
    is_plain_allowed: bool = False  # without TLS
    ports: frozenset[int] | None = None  # None: those that the protocol usually has

    def ports_of(self, scheme: Scheme) -> frozenset[int]:
        if self.ports is not None:
            return self.ports
        return frozenset(scheme.ports + scheme.plain_ports if self.is_plain_allowed else scheme.ports)


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked URL. `host` is lower case, IDNA-encoded, without the root's dot; `address` is set when it is one."""

    url: str
    scheme: str
    host: str
    port: int
    address: Address | None


def parse(text: str, rules: Rules, scheme: Scheme = WEB) -> Destination:
    """A subscriber's URL, checked as far as that goes without resolving. Raises DestinationRefused."""
    _check_characters(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise DestinationRefused(
            "url_malformed", f"the URL cannot be read; write {scheme.example}", f"URL 无法解析，应写作 {scheme.example}"
        ) from None
    if parts.scheme not in (scheme.secure, scheme.plain) or not parts.hostname:
        raise DestinationRefused(
            "scheme",
            f"the URL is absolute and begins with {scheme.secure}://",
            f"应为以 {scheme.secure}:// 开头的完整 URL",
        )
    if parts.scheme == scheme.plain and not rules.is_plain_allowed:
        raise DestinationRefused(
            "scheme",
            f"deliveries go over {scheme.secure} only; write {scheme.secure}://",
            f"仅通过 {scheme.secure} 投递，请写作 {scheme.secure}://",
        )
    if "@" in parts.netloc:
        raise DestinationRefused(
            "userinfo",
            "the URL holds a user or password; leave it out, secrets are given apart from it",
            "URL 含用户名或密码，请去掉；密钥须另行提供",
        )
    if parts.fragment or text.endswith("#"):
        raise DestinationRefused(
            "fragment", "the URL has a fragment, which is never sent; leave it out", "URL 含片段（#），片段不会发送，请去掉"
        )
    if scheme.path is not None and (parts.query or not scheme.path.fullmatch(parts.path)):
        raise DestinationRefused("path", scheme.path_is, scheme.path_is_zh)
    if port is None:
        port = scheme.default_port(parts.scheme)
    allowed = rules.ports_of(scheme)
    if port not in allowed:
        ports = ", ".join(map(str, sorted(allowed)))
        raise DestinationRefused(
            "port", f"port {port} is not served; use one of {ports}", f"不向端口 {port} 投递，可用端口：{ports}"
        )
    host, address = _host(parts.hostname, is_bracketed=parts.netloc.startswith("["))
    if address is not None:
        check_address(address, rules)
    shown = f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host
    place = parts._replace(netloc=shown if port == scheme.default_port(parts.scheme) else f"{shown}:{port}")
    return Destination(place.geturl(), parts.scheme, host, port, address)


def check_address(address: Address, rules: Rules) -> None:
    """Raises DestinationRefused for an address that is not public, unless a rule names its network."""
    if not all(_is_allowed(reached, rules) or _is_public(reached) for reached in reached_by(address)):
        raise DestinationRefused(
            "address_private",
            "the host's address is not a public one; use a public host, or ask the operator to allow your network",
            "主机地址不是公网地址，请改用公网主机，或请运营方放行贵方网络",
        )


def checked_addresses(host: str, resolved: Sequence[str], rules: Rules) -> list[Address]:
    """What a name resolved to, all of it good. One bad address refuses the whole: which one is used is the attacker's choice.

    Raises DestinationRefused.
    """
    if not resolved:
        raise DestinationRefused("name_empty", f"{host} has no address", f"{host} 没有地址")
    if len(resolved) > ADDRESSES_MAX:
        raise DestinationRefused(
            "name_wide",
            f"{host} has {len(resolved)} addresses, at most {ADDRESSES_MAX} are taken",
            f"{host} 有 {len(resolved)} 个地址，最多 {ADDRESSES_MAX} 个",
        )
    addresses = [ipaddress.ip_address(text) for text in resolved]
    for address in addresses:
        check_address(address, rules)
    return addresses


def reached_by(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 addresses that routers or systems may take it for."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    found: list[Address] = [address]
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.teredo is not None:
        found.extend(address.teredo)
    return tuple(found)


@lru_cache(maxsize=4_096)
def _is_public(address: Address) -> bool:
    if any(address.version == network.version and address in network for network in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:  # judged by the IPv4 address inside, which `reached_by` gives
            return True
    return address.is_global and not address.is_multicast


def _is_allowed(address: Address, rules: Rules) -> bool:
    return any(address.version == network.version and address in network for network in rules.networks)


def _check_characters(text: str) -> None:
    if len(text) > URL_CHARS_MAX:
        raise DestinationRefused(
            "url_long",
            f"the URL has {len(text)} characters, at most {URL_CHARS_MAX} are taken",
            f"URL 有 {len(text)} 个字符，最多 {URL_CHARS_MAX} 个",
        )
    # urlsplit drops tabs and line ends, and clients disagree on backslashes: what is checked must be what is sent.
    if any(ord(character) <= 0x20 or character in "\\\x7f" for character in text):
        raise DestinationRefused(
            "url_malformed",
            "the URL has a space, a control character or a backslash; encode it",
            "URL 含空格、控制字符或反斜杠，请编码",
        )


def _host(text: str, *, is_bracketed: bool) -> tuple[str, Address | None]:
    if is_bracketed:
        if "%" in text:
            raise DestinationRefused(
                "host",
                "an address with a zone is of this machine alone; leave the zone out",
                "带区域标识的地址仅在本机有效，请去掉区域标识",
            )
        try:
            six = ipaddress.IPv6Address(text)
        except ValueError:
            raise DestinationRefused("host", "in brackets stands an IPv6 address", "方括号内应为 IPv6 地址") from None
        return str(six), six
    host = _ascii_host(text)
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        return host, _dotted(host)
    if len(host) > HOST_CHARS_MAX or not all(map(_LABEL.fullmatch, labels)):
        raise DestinationRefused(
            "host", "the host is no name of letters, digits, hyphens and dots", "主机名只能含字母、数字、连字符和点"
        )
    if any(host == name or host.endswith(f".{name}") for name in _INNER_NAMES):
        raise DestinationRefused(
            "host_inner", "the host's name is of an inner network; use a public one", "主机名属于内部网络，请改用公网主机名"
        )
    return host, None


def _dotted(host: str) -> Address:
    """An IPv4 address in the one spelling that all programs read alike."""
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        raise DestinationRefused(
            "host",
            "an IPv4 address has four decimal numbers without leading zeros; better use a name",
            "IPv4 地址应为四个无前导零的十进制数，最好改用主机名",
        ) from None


def _ascii_host(text: str) -> str:
    """Lower case and IDNA. Python's codec also maps full-width digits and dots (１２７。0.0.1), as clients do."""
    try:
        host = text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise DestinationRefused(
            "host",
            "the host cannot be written in ASCII (IDNA); write its xn-- form",
            "主机名无法转为 ASCII（IDNA），请写作 xn-- 形式",
        ) from None
    return host.removesuffix(".")
