"""JWTs that a partner signs with its own key, in the place of an API token (docs/adr/0014). Pure.

| part | demanded |
| --- | --- |
| header | `alg` EdDSA (Ed25519) or ES256, `kid`; nothing else but `typ`: a token brings no key of its own |
| `iss` | the partner's id |
| `aud` | this gateway's name, alone |
| `iat`, `exp` | now between them, give or take SKEW_S; at most LIFE_S_MAX apart; `nbf` is heeded where given |
| `jti` | fresh: a second request with it is refused |
| `scope` | optional: scopes apart by spaces, each one of the partner's or narrower |

What the token alone shows is refused first, with every fault named. Then the key decides: no such partner, no such key, a
revoked one and a wrong signature sound alike and take as long, so whoever tries learns nothing.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway import catalogue
from gateway.identity import PARTNER_ID, REALM, SCOPE, SCOPE_CHARS_MAX, SCOPES_MAX, Identity, Partner, right_missing
from gateway.languages import Text
from gateway.problems import Place, Problem
from schemas.cloudevents import CloudEventError, json_text
from schemas.subscriptions import ONLY, allows

ALGORITHMS: Final = ("EdDSA", "ES256")
TOKEN_CHARS_MAX: Final = 8_192
LIFE_S_MAX: Final = 300
SKEW_S: Final = 30
KID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


_JTI = re.compile(r"[!-~]{1,255}")
_HEADER_MEMBERS: Final = frozenset(("alg", "kid", "typ"))
_INSTANT_S_MAX: Final = 253_402_300_799  # the last second of the year 9999

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey


class PartnerKey(NamedTuple):
    """A key in force, and whose it is. `algorithm` is what it was registered for: the token does not choose."""

    partner: Partner
    kid: str
    algorithm: str
    public: PublicKey
    expires_at: datetime


class Signed(NamedTuple):
    """A token that may be good, if its signature is."""

    token: str
    algorithm: str
    kid: str
    issuer: str
    jti: str
    expires_at: datetime
    scopes: tuple[str, ...]


def read(token: str, audience: str, now: datetime) -> Signed:
    """What the token says, its signature not looked at. Raises Problem that names every fault."""
    if len(token) > TOKEN_CHARS_MAX:
        raise _refused([Place("token_long", "", _text(*_LONG, len(token), TOKEN_CHARS_MAX))])
    header, claims = _part(token, 0, "/header"), _part(token, 1, "/claims")
    faults = [*_header_faults(header), *_claim_faults(claims, audience), *_time_faults(claims, now)]
    if faults:
        raise _refused(faults)
    scope = claims.get("scope")
    return Signed(
        token,
        header["alg"],
        header["kid"],
        claims["iss"],
        claims["jti"],
        datetime.fromtimestamp(claims["exp"], UTC),
        tuple(scope.split(" ")) if scope else (),
    )


def verify(signed: Signed, key: PartnerKey | None) -> Identity:
    """Whose it is and what it may. `key` is what `iss` and `kid` name, None where nothing. Raises Problem."""
    is_known = key is not None and key.algorithm == signed.algorithm
    public = key.public if key is not None and is_known else _decoy(signed.algorithm)
    try:
        # The one algorithm of the registered key: RFC 8725, 3.1.
        _SIGNATURES.decode(signed.token, cast(Any, public), algorithms=[signed.algorithm])
    except jwt.InvalidTokenError:
        is_known = False
    if key is None or not is_known:
        raise _refused([Place("signer_unknown", "/header/kid", _SIGNER_UNKNOWN)])
    wider = [scope for scope in signed.scopes if not _covers(key.partner.scopes, scope)]
    if wider:
        raise right_missing([Place("scope_wider", "/claims/scope", _text(*_SCOPE_WIDER, scope)) for scope in wider])
    return Identity(key.partner, signed.scopes, signed.expires_at, signed.kid, signed.jti)


def replayed() -> Problem:
    """The token came before."""
    return _refused([Place("jti_used", "/claims/jti", _JTI_USED)])


def kept_until(expires_at: datetime) -> datetime:
    """How long a `jti` must be remembered: gateways' clocks may differ by as much as partners' may."""
    return expires_at + timedelta(seconds=3 * SKEW_S)


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """Raises ValueError for what is no Ed25519 or P-256 key."""
    kind = (jwk.get("kty"), jwk.get("crv"))
    if kind == ("OKP", "Ed25519"):
        return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    if kind == ("EC", "P-256"):
        point = b"\x04" + _octets(jwk, "x") + _octets(jwk, "y")
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    raise ValueError(f"kty {kind[0]!r} with crv {kind[1]!r}: only OKP with Ed25519 and EC with P-256 are taken")


def algorithm_of(public: PublicKey) -> str:
    """The one algorithm of a key."""
    return "EdDSA" if isinstance(public, Ed25519PublicKey) else "ES256"


_SIGNATURES: Final = jwt.PyJWS(algorithms=list(ALGORITHMS))


def _part(token: str, index: int, pointer: str) -> dict[str, Any]:
    text = token.split(".")[index]
    try:
        value = json_text.parse(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, CloudEventError):
        value = None
    if not isinstance(value, dict):
        raise _refused([Place("not_json", pointer, _NOT_JSON)])
    return value


def _header_faults(header: Mapping[str, Any]) -> Iterator[Place]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        yield Place("alg_refused", "/header/alg", _ALG)
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        yield Place("kid_invalid", "/header/kid", _KID)
    if str(header.get("typ", "JWT")).upper() != "JWT":
        yield Place("typ_refused", "/header/typ", _TYP)
    for name in sorted(header.keys() - _HEADER_MEMBERS):
        pointer = f"/header/{name}" if re.fullmatch(r"[A-Za-z0-9_#-]{1,40}", name) else "/header"
        yield Place("header_member_refused", pointer, _MEMBER)


def _claim_faults(claims: Mapping[str, Any], audience: str) -> Iterator[Place]:
    issuer, jti, aud = claims.get("iss"), claims.get("jti"), claims.get("aud")
    if not isinstance(issuer, str) or not PARTNER_ID.fullmatch(issuer):
        yield Place("iss_invalid", "/claims/iss", _ISS)
    if aud not in (audience, [audience]):
        yield Place("aud_wrong", "/claims/aud", _text(*_AUD, audience))
    if not isinstance(jti, str) or not _JTI.fullmatch(jti):
        yield Place("jti_invalid", "/claims/jti", _JTI_FORM)
    if "scope" in claims and not _is_scope(claims["scope"]):
        yield Place("scope_invalid", "/claims/scope", _SCOPE)


def _is_scope(scope: object) -> bool:
    if not isinstance(scope, str):
        return False
    scopes = scope.split(" ")
    return len(scopes) <= SCOPES_MAX and all(len(one) <= SCOPE_CHARS_MAX and SCOPE.fullmatch(one) for one in scopes)


def _time_faults(claims: Mapping[str, Any], now: datetime) -> Iterator[Place]:
    times = {name: claims.get(name) for name in ("iat", "exp", "nbf")}
    wrong = [name for name, value in times.items() if not (_is_instant(value) or (name == "nbf" and name not in claims))]
    for name in wrong:
        yield Place(f"{name}_invalid", f"/claims/{name}", _INSTANT)
    if wrong:
        return
    now_s = now.timestamp()
    issued_s, expires_s, starts_s = times["iat"], times["exp"], times["nbf"]
    assert issued_s is not None  # noqa: S101 - else it would stand in `wrong`
    assert expires_s is not None  # noqa: S101
    if now_s >= expires_s + SKEW_S:
        yield Place("expired", "/claims/exp", _EXPIRED)
    if issued_s > now_s + SKEW_S:
        yield Place("iat_ahead", "/claims/iat", _AHEAD)
    if starts_s is not None and starts_s > now_s + SKEW_S:
        yield Place("nbf_ahead", "/claims/nbf", _AHEAD)
    if not 0 < expires_s - issued_s <= LIFE_S_MAX:
        yield Place("life_wrong", "/claims/exp", _LIFE)


def _is_instant(value: object) -> bool:
    """RFC 7519's NumericDate: seconds, whole or not. True is no number here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _INSTANT_S_MAX


def _covers(scopes: tuple[str, ...], wanted: str) -> bool:
    """Whether one of the scopes gives all that the wanted one does. What narrows gives nothing, so it is never too much."""
    return wanted.startswith(ONLY) or allows(scopes, wanted)


def _octets(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise ValueError(f"{name!r} must be 32 bytes in base64url without padding (43 characters)")
    return base64.urlsafe_b64decode(text + "=")


@lru_cache(maxsize=len(ALGORITHMS))
def _decoy(algorithm: str) -> PublicKey:
    """A key that nobody has: to find no key must take as long as to find the wrong one."""
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate().public_key()
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def _refused(places: list[Place]) -> Problem:
    kind = catalogue.SIGNED_TOKEN_INVALID
    headers = {"www-authenticate": f'{REALM}, error="invalid_token"'}
    return Problem(kind, places[0].detail, places, headers=headers)


def _text(en: str, zh: str, *values: object) -> Text:
    return Text(en.format(*values), zh.format(*values))


_LONG = ("the token has {0} characters, at most {1} are read", "令牌有 {0} 个字符，最多读取 {1} 个")
_NOT_JSON = Text(
    "this part is no JSON object in base64url; make the token with a JWT library",
    "该部分不是 base64url 编码的 JSON 对象，请用 JWT 库生成令牌",
)
_ALG = Text("'alg' must be EdDSA or ES256, as the key was registered", "alg 应为 EdDSA 或 ES256，并与登记的公钥一致")
_KID = Text(
    "'kid' must name the key as it was registered: 1 to 128 of A-Z, a-z, 0-9 and . _ ~ -",
    "kid 应为登记公钥时的名称：1 至 128 个字母、数字或 . _ ~ - 字符",
)
_TYP = Text("'typ' may only be JWT", "typ 只能为 JWT")
_MEMBER = Text(
    "only 'alg', 'kid' and 'typ' may stand in the header; keys are registered, a token brings none",
    "令牌头部只能含 alg、kid 和 typ；公钥须事先登记，不得随令牌携带",
)
_ISS = Text("'iss' must be your partner id", "iss 应为合作方编号")
_AUD = ("'aud' must be {0} and nothing beside it", "aud 应为 {0}，且不得另有其他值")
_JTI_FORM = Text(
    "'jti' must be 1 to 255 visible ASCII characters, a fresh UUID say", "jti 应为 1 至 255 个可见 ASCII 字符，例如新的 UUID"
)
_JTI_USED = Text(
    "a request with this 'jti' came before; sign a token for each request, repeats too",
    "该 jti 已使用过；每个请求（包括重发）都须签发新令牌",
)
_SCOPE = Text(
    "'scope' must hold scopes parted by single spaces, such as publish:gov.stiib.research.*; leave it out for all of yours",
    "scope 应为以单个空格分隔的权限，例如 publish:gov.stiib.research.*；省略则为全部权限",
)
_SCOPE_WIDER = ("{0} is more than the partner may", "{0} 超出合作方的权限")
_INSTANT = Text("this must be a number of seconds since 1970 (UTC)", "应为自 1970 年起的秒数（UTC）")
_EXPIRED = Text("the token has expired; sign another, and check the clock", "令牌已过期；请重新签发并校对时钟")
_AHEAD = Text(
    f"this lies more than {SKEW_S} s ahead; check the signer's clock", f"该时间晚于当前时间 {SKEW_S} 秒以上；请校对签发方的时钟"
)
_LIFE = Text(
    f"'exp' must come after 'iat' by at most {LIFE_S_MAX} s; sign a token for each request",
    f"exp 应晚于 iat，且相差不超过 {LIFE_S_MAX} 秒；请为每个请求单独签发",
)
_SIGNER_UNKNOWN = Text(
    "no key in force of that issuer with that kid made this signature; compare 'iss', 'kid' and the key with those registered",
    "签发方没有以该 kid 登记且有效的公钥能验证此签名；请核对 iss、kid 与所登记的公钥",
)
