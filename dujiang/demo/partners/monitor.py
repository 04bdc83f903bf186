"""Infrastructure monitors: Alertmanager's webhooks, a monitor that publishes CloudEvents itself, and the operators on duty."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from dujiang.demo.partners.acts import Act, Event, Stage, Webhook, text_of

DUTY = "/partners/ops-duty"
ROOM = "/partners/monitor-env-2"
REFRESH_S = 4  # the room's monitor repeats so often; three times silent and its alert expires
MONITORS = ("hall-1", "city-net")
FIRING_MAX = 40
GROUP_MAX = 4
KINDS = (
    ("HostDown", "critical", "主机失联"),
    ("DiskNearlyFull", "warning", "磁盘将满"),
    ("LinkFlapping", "high", "链路抖动"),
    ("CertificateExpiring", "info", "证书将到期"),
    ("UpsOnBattery", "page", "UPS 电池供电"),
)
NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alert as its monitor knows it."""

    monitor: str
    kind: int
    host: int
    starts_at: str

    @property
    def fingerprint(self) -> str:
        return blake2b(f"{self.kind}/{self.host}".encode(), digest_size=8).hexdigest()

    @property
    def key(self) -> str:
        return f"{self.monitor}/{self.fingerprint}"

    def as_json(self, ends_at: str | None) -> dict[str, Any]:
        """As Alertmanager 0.2x writes it in its webhook, version 4."""
        name, severity, summary = KINDS[self.kind]
        return {
            "status": "firing" if ends_at is None else "resolved",
            "labels": {"alertname": name, "instance": f"node-{self.host:02d}", "severity": severity},
            "annotations": {"summary": f"{summary} node-{self.host:02d}"},
            "startsAt": self.starts_at,
            "endsAt": ends_at or NEVER,
            "generatorURL": "",
            "fingerprint": self.fingerprint,
        }


def monitor(stage: Stage) -> Iterator[Act]:
    """Alerts fire, repeat and resolve; a part is acknowledged or closed; the room's monitor falls silent at times."""
    firing: dict[str, Alarm] = {}
    ended: Webhook | None = None
    room = _room(stage)
    while True:
        fate = stage.draw.random()
        if fate < 0.3 or not firing:
            yield _raised(stage, firing)
        elif fate < 0.5:
            yield _webhook([stage.draw.choice(list(firing.values()))], None)
        elif fate < 0.7 or len(firing) > FIRING_MAX:
            alarm = firing.pop(stage.draw.choice(list(firing)))
            ended = _webhook([alarm], text_of(stage.clock.now()))
            yield ended
        elif fate < 0.74 and ended is not None:
            yield ended  # Alertmanager repeats a resolved alert with its group's next message
        elif fate < 0.86:
            yield _handled(stage, stage.draw.choice(list(firing.values())))
        elif fate < 0.87:
            yield Webhook("hall-1", {**ended.body, "version": "3"} if ended else {"version": "3", "alerts": []}, is_wrong=True)
        else:
            yield next(room)


def _raised(stage: Stage, firing: dict[str, Alarm]) -> Webhook:
    name, kind, now = stage.draw.choice(MONITORS), stage.draw.randrange(len(KINDS)), text_of(stage.clock.now())
    hosts = stage.draw.sample(range(24), stage.draw.randint(1, GROUP_MAX))
    alarms = [Alarm(name, kind, host, now) for host in hosts]
    known = [firing.setdefault(alarm.key, alarm) for alarm in alarms]
    return _webhook(known, None)


def _webhook(alarms: list[Alarm], ends_at: str | None) -> Webhook:
    name = KINDS[alarms[0].kind][0]
    body = {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if ends_at is None else "resolved",
        "receiver": "dujiang",
        "groupLabels": {"alertname": name},
        "commonLabels": {"alertname": name},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.invalid",
        "alerts": [alarm.as_json(ends_at) for alarm in alarms],
    }
    return Webhook(alarms[0].monitor, body)


def _handled(stage: Stage, alarm: Alarm) -> Event:
    """Mostly an acknowledgement; closing while it fires needs force, so a close without it is against the rules."""
    now = stage.clock.now()
    if stage.chance(0.75):
        return stage.event(DUTY, "infra.alert.acknowledged", alarm.key, now, {"by": "duty-a"})
    forced = stage.chance(0.5)
    data = {"by": "duty-b", "reason": "计划内检修" if forced else "", "force": forced}
    return stage.event(DUTY, "infra.alert.closed", alarm.key, now, data)


def _room(stage: Stage) -> Iterator[Event]:
    """Temperature of the machine room: repeats, goes silent, sometimes hands in an older reading late."""
    while True:
        rack = stage.draw.randrange(12)
        key, started = f"env-2/rack-{stage.run}-{rack:02d}", stage.clock.now()
        for _ in range(stage.draw.randint(1, 4)):
            late = timedelta(seconds=30) if stage.chance(0.2) else timedelta(0)
            data = {
                "status": "firing",
                "severity": "high",
                "title": f"机柜 {rack:02d} 进风温度过高",
                "starts_at": text_of(started),
                "refresh_s": REFRESH_S,
            }
            yield stage.event(ROOM, "infra.monitor.received", key, stage.clock.now() - late, data)
