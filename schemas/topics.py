"""The table of topics: what flows where, keyed by what, kept how long, seen by whom.

A topic's name is `<domain>.<entity>.<event|state>`. All that can change an entity arrives through one topic, keyed by the
entity, so that its order is fixed. `.state` topics are compacted: the latest record of a key is its present state.
"""

from dataclasses import dataclass
from typing import Literal

DAY_MS = 24 * 3600 * 1000
FOREVER = -1
# An event may have 1 MiB (schemas.cloudevents.EVENT_BYTES_MAX). The broker takes more, so that one that is too large ends in
# quarantine with its reason rather than as a puzzle at the producer.
RECORD_BYTES_MAX = 6 * 1_048_576

Classification = Literal["public", "internal", "restricted"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table. `partitions` suits a bureau; a province doubles it in its settings."""

    name: str
    key: str
    partitions: int
    cleanup: Literal["delete", "compact"]
    retention_ms: int
    classification: Classification
    owner: str

    def config(self) -> dict[str, str]:
        """The broker's topic settings. Time stamps are the producer's, so that a replayed day keeps its day."""
        settings = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(RECORD_BYTES_MAX),
            "message.timestamp.type": "CreateTime",
        }
        if self.cleanup == "delete":
            settings["retention.ms"] = str(self.retention_ms)
        return settings


PROJECT_EVENT = Topic("research.project.event", "project id", 8, "delete", FOREVER, "internal", "innovation")
PROJECT_STATE = Topic("research.project.state", "project id", 8, "compact", FOREVER, "internal", "innovation")
CALL_EVENT = Topic("research.call.event", "call id", 2, "delete", FOREVER, "public", "innovation")
CALL_STATE = Topic("research.call.state", "call id", 2, "compact", FOREVER, "public", "innovation")
ALERT_EVENT = Topic("infra.alert.event", "monitor/fingerprint", 4, "delete", 365 * DAY_MS, "internal", "infrastructure")
ALERT_STATE = Topic("infra.alert.state", "monitor/fingerprint", 4, "compact", FOREVER, "internal", "infrastructure")
FINDING_EVENT = Topic("platform.finding.event", "entity id", 2, "delete", 90 * DAY_MS, "internal", "platform")

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (PROJECT_EVENT, PROJECT_STATE, CALL_EVENT, CALL_STATE, ALERT_EVENT, ALERT_STATE, FINDING_EVENT)
}
