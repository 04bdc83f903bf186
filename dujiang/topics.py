"""Topics on the broker: create what the table lacks, say what is there, how far each step is. Through kafka-python.

The control plane is kafka-python's: pure Python, and the tool that partners use too.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from dujiang.settings import Kafka
from engine.errors import EnvironmentFault, TransientFault
from engine.records import Place
from schemas.topics import TOPICS, Topic

REQUEST_TIMEOUT_MS = 15_000
CONNECT_S = 5.0
KAFKA_PORT = 9092


class Topics:
    """What a command can do with the broker's topics. Use `connected`."""

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin = admin

    def create(self, topics: Iterable[Topic], replication: int) -> list[str]:
        """Create those that are missing and return their names; existing ones stay as they are."""
        present = set(self._admin.list_topics())
        missing = {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": replication,
                "configs": topic.config(),
            }
            for topic in topics
            if topic.name not in present
        }
        if missing:
            self._admin.create_topics(missing, wait_for_metadata=True)
        return list(missing)

    def describe(self) -> list[dict[str, Any]]:
        """The table of topics beside what the broker has; topics of others are listed too."""
        present = {
            found["name"]: len(found["partitions"])
            for found in self._admin.describe_topics()
            if not found.get("is_internal") and not found["name"].startswith("__")
        }
        ours = [_row(topic, present.pop(topic.name, 0)) for topic in TOPICS.values()]
        others = [{"topic": name, "key": "", "partitions": count, "owner": "(not ours)"} for name, count in present.items()]
        return ours + others

    def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The end offset of every partition of those topics that exist."""
        wanted = set(topics)
        specs = {
            TopicPartition(found["name"], partition["partition_index"]): OffsetSpec.LATEST
            for found in self._admin.describe_topics()
            if found["name"] in wanted
            for partition in found["partitions"]
        }
        if not specs:
            return {}
        offsets: Mapping[TopicPartition, Any] = self._admin.list_partition_offsets(specs)
        return {(at.topic, at.partition): int(found.offset) for at, found in offsets.items()}


def _row(topic: Topic, partitions: int) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "key": topic.key,
        "partitions": partitions,
        "cleanup": topic.cleanup,
        "retention": "forever" if topic.retention_ms < 0 else f"{topic.retention_ms // 86_400_000} d",
        "classification": topic.classification,
        "owner": topic.owner,
        "exists": partitions > 0,
    }


@contextmanager
def connected(bootstrap: str, kafka: Kafka) -> Iterator[Topics]:
    """The broker's topics. Raises as `admin_of` does."""
    with admin_of(bootstrap, kafka) as admin:
        yield Topics(admin)


@contextmanager
def admin_of(bootstrap: str, kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """The control plane. Raises TransientFault when no broker answers, EnvironmentFault when it refuses us."""
    _refuse_silent(bootstrap)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
            **_security(kafka),
        )
    except KafkaError as error:
        raise TransientFault(f"Kafka: no answer from {bootstrap}: {error}; is it running (`dujiang up`)?") from error
    try:
        yield admin
    except KafkaError as error:
        if "uthoriz" in type(error).__name__:
            raise EnvironmentFault(f"Kafka: {error}", "grant this client the right on the cluster") from error
        raise TransientFault(f"Kafka: {type(error).__name__}: {error}") from error
    finally:
        admin.close()


def _refuse_silent(bootstrap: str) -> None:
    """Ask by a bare connection first: the client tries for half a minute, and leaves a thread behind each time it fails."""
    faults = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":") if ":" in address else (address.strip(), "", str(KAFKA_PORT))
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, ValueError) as error:
            faults.append(str(error))
        else:
            return
    raise TransientFault(f"Kafka: no answer from {bootstrap}: {'; '.join(faults)}; is it running (`dujiang up`)?")


def _security(kafka: Kafka) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if kafka.security_protocol != "PLAINTEXT":
        found["security_protocol"] = kafka.security_protocol
    if kafka.sasl_mechanism:
        found |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": kafka.sasl_password.get_secret_value(),
        }
    if kafka.ssl_ca_location:
        found["ssl_cafile"] = kafka.ssl_ca_location
    return found
