"""What a broker's reason code means for a delivery: MQTT 5.0, 2.4, sorted as the courier knows answers. Pure.

https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901031. Codes below 0x80 are success.
"""

from typing import Final

from sinks.webhooks.schedule import Answer, Outcome

PACKET_TOO_LARGE: Final = 0x95
PAYLOAD_INVALID: Final = 0x99

_NAMES: Final[dict[int, str]] = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version; the broker must speak MQTT 5",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
}
# What a broker says of us or of itself is no fault of an event's.
_OUTCOMES: Final[dict[int, Outcome]] = {
    **dict.fromkeys((0x85, 0x86, 0x87, 0x8A, 0x8C), "unauthorised"),
    **dict.fromkeys((0x88, 0x8B, 0x8D, 0x8E, 0x98, 0x9C, 0x9D, 0xA0), "unreachable"),
    **dict.fromkeys((0x81, 0x82, 0x84), "broken"),
    **dict.fromkeys((0x89, 0x96, 0x97, 0x9F), "throttled"),
    0x93: "overloaded",
}


def answer_of(packet: str, code: int) -> Answer:
    """Of a CONNACK, PUBACK or DISCONNECT. What is not named here is a failure of the broker's, and tried again."""
    if code < 0x80:
        return Answer("acknowledged")
    outcome = _OUTCOMES.get(code, "failed")
    if (packet, code) == ("PUBACK", PAYLOAD_INVALID):  # the same bytes will never do
        outcome = "unprocessable"
    return Answer(outcome, detail=f"{packet} 0x{code:02X}, {_NAMES.get(code, 'unknown reason')}")


def too_large(packet_bytes_max: int | None = None) -> Answer:
    """Of the one message that a broker will never take. `packet_bytes_max`: what it said that it takes."""
    limit = "" if packet_bytes_max is None else f"; it takes {packet_bytes_max} bytes"
    return Answer("unprocessable", detail=f"larger than the broker takes{limit}")
