"""What a broker's codes mean for a delivery, compared with those that paho knows."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from sinks.queues.reasons import answer_of, too_large
from sinks.webhooks.schedule import ENDPOINT_DOWN, SLOWING, Answer


@pytest.mark.parametrize(
    ("packet", "code", "outcome"),
    [
        ("PUBACK", 0x00, "acknowledged"),
        ("PUBACK", 0x10, "acknowledged"),  # nobody has subscribed: the broker's word is its own
        ("PUBACK", 0x80, "failed"),
        ("PUBACK", 0x87, "unauthorised"),
        ("PUBACK", 0x90, "failed"),
        ("PUBACK", 0x97, "throttled"),
        ("PUBACK", 0x99, "unprocessable"),
        ("DISCONNECT", 0x99, "failed"),  # of which message it does not say
        ("DISCONNECT", 0x8B, "unreachable"),
        ("DISCONNECT", 0x93, "overloaded"),
        ("DISCONNECT", 0x96, "throttled"),
        ("CONNACK", 0x84, "broken"),
        ("CONNACK", 0x86, "unauthorised"),
        ("CONNACK", 0x89, "throttled"),
        ("CONNACK", 0x95, "failed"),  # our greeting was too large: no event is to blame
        ("CONNACK", 0xFF, "failed"),
    ],
)
def test_a_code_becomes_an_answer(packet: str, code: int, outcome: str) -> None:
    assert answer_of(packet, code).outcome == outcome


def test_quotas_slow_down_and_no_refusal_of_ours_blames_an_event() -> None:
    assert answer_of("PUBACK", 0x97).outcome in SLOWING
    codes = [code for code in range(0x80, 0x100) if answer_of("CONNACK", code).outcome not in ENDPOINT_DOWN]
    assert codes == []


def test_the_partner_reads_packet_code_and_name() -> None:
    assert answer_of("CONNACK", 0x86) == Answer("unauthorised", detail="CONNACK 0x86, bad user name or password")
    assert too_large(1_024) == Answer("unprocessable", detail="larger than the broker takes; it takes 1024 bytes")


@pytest.mark.parametrize("packet", ["CONNACK", "PUBACK", "DISCONNECT"])
def test_every_code_that_the_library_knows_has_a_name(packet: str) -> None:
    kind = getattr(PacketTypes, packet)
    # Of packets that we never send: subscriptions.
    known = [
        code for code, names in ReasonCode.names.items() if code >= 0x80 and any(kind in packets for packets in names.values())
    ]
    unnamed = {code for code in known if "unknown" in answer_of(packet, code).detail}
    assert unnamed <= {0x8F, 0x94, 0x9E, 0xA1, 0xA2}
