"""Kafka Connect, standalone, with the Debezium JDBC sink: upsert of whole batches.

Best cell of a scan: a task a core, reduction buffer (the last row per key of a batch), arrays instead of rows of parameters
(`unnest`), batches of 5,000 for consumer and sink. It reads flat rows that carry their schema, as a JDBC sink needs them, not
the CloudEvents themselves.
"""

from pathlib import Path

from benchmarks.peers.jvm import LOGGING, class_path, java, unpacked
from benchmarks.peers.peer import WORKERS, Peer, Place, Program
from benchmarks.peers.traffic import FLAT
from dujiang.embedded.files import write_whole
from dujiang.embedded.jars import KAFKA_VERSION
from dujiang.embedded.ports import free_port

DEBEZIUM = "3.6.0.Final"
DEBEZIUM_SHA256 = "c23af8d416f0f801ffb0271b1a8fd9b5360ff8d66b0dd650e066bb56ecfddc05"
COORDINATES = (
    f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}",
    f"org.apache.kafka:connect-json:{KAFKA_VERSION}",
    LOGGING,
)
BATCH = 5_000


def _jars(cache: Path) -> str:
    return class_path(cache, f"connect-{KAFKA_VERSION}", COORDINATES)


def _plugin(cache: Path) -> Path:
    return unpacked(cache, "io.debezium", "debezium-connector-jdbc", DEBEZIUM, DEBEZIUM_SHA256)


def _prepare(cache: Path) -> None:
    _jars(cache)
    _plugin(cache)


def _programs(place: Place) -> list[Program]:
    worker = {
        "bootstrap.servers": place.load.at.bootstrap,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "plugin.path": str(_plugin(place.cache)),
        "plugin.discovery": "service_load",
        "offset.storage.file.filename": str(place.folder / "offsets"),
        "offset.flush.interval.ms": "1000",
        "listeners": f"http://127.0.0.1:{free_port()}",
    }
    files = [_written(place.folder / "worker.properties", worker), _written(place.folder / "sink.properties", _sink(place))]
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    return [Program(java(_jars(place.cache), main, files, heap="2g", scratch=place.folder))]


def _sink(place: Place) -> dict[str, str]:
    database = place.database()
    return {
        "name": place.group,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": str(WORKERS),
        "topics": place.load.at.topic(FLAT.name),
        "connection.url": (
            f"jdbc:postgresql://{database.host}:{database.port}/{database.name}?currentSchema={database.schema}"
        ),
        "connection.username": database.user,
        "connection.password": database.password,
        "collection.name.format": f"{database.schema}.status",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "project_id",
        "schema.evolution": "none",
        "use.reduction.buffer": "true",
        "batch.size": str(BATCH),
        "dialect.postgres.unnest.insert.enabled": "true",
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.fetch.min.bytes": str(1_048_576),
        "consumer.override.auto.offset.reset": "earliest",
    }


def _written(path: Path, settings: dict[str, str]) -> str:
    text = "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())
    write_whole(path, text, mode=0o600)
    return str(path)


CONNECT = Peer(
    "connect",
    f"Connect {KAFKA_VERSION} standalone, Debezium JDBC sink {DEBEZIUM}, {WORKERS} tasks, upsert, reduction buffer, unnest,"
    f" batch {BATCH}",
    "no rule, no ledger (at least once), no quarantine (a row that the database refuses stops its task), no derived events;"
    " flat rows that carry their schema instead of CloudEvents",
    _programs,
    needs_flat=True,
    prepare=_prepare,
)
