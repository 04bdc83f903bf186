"""All settings: one model, from `DUJIANG_*` environment variables and `dujiang.yaml`. Nothing else reads the environment.

`DUJIANG_KAFKA__BOOTSTRAP` sets `kafka.bootstrap`. Environment beats file beats default. A wrong value is refused at start.
"""

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as VariableError

from connectors.settings import ConnectorSettings
from engine.options import BatchOptions, BreakerOptions, EngineOptions, KafkaOptions, RetryOptions
from schemas.cloudevents.attributes import RESERVED_NAMES

FILE = "dujiang.yaml"
PREFIX = "DUJIANG_"


class SettingsError(Exception):
    """A setting has a wrong value; the message names field, place and remedy."""


def _whole_prefix(prefix: str) -> str:
    if not all(part.isalnum() and part.islower() for part in prefix.split(".")):
        raise ValueError("expected lower-case names parted by dots, such as gov.stiib")
    return prefix


def _listed(value: Any) -> Any:
    """A variable's text: parts between commas, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)  # its ValueError says what is wrong
    return [part.strip() for part in value.split(",") if part.strip()]


Part = TypeVar("Part")
Listed = Annotated[list[Part], NoDecode, BeforeValidator(_listed)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(_Group):
    """Where events flow."""

    bootstrap: str = Field("", description="host:port list; empty: the embedded Kafka of `data_dir`")
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str = Field("", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: no SASL")
    sasl_username: str = Field("", description="user of the SASL mechanism")
    sasl_password: SecretStr = Field(SecretStr(""), description="password of the SASL mechanism")
    ssl_ca_location: str = Field("", description="file with the certificate authority; empty: the system's")
    group_prefix: str = Field("dujiang", description="first part of the consumer groups' names")
    session_timeout_ms: int = Field(
        6_000, ge=1_000, le=300_000, description="ms until a silent worker's partitions go to others"
    )
    linger_ms: int = Field(5, ge=0, le=1_000, description="ms a producer waits for a batch to fill")
    delivery_timeout_ms: int = Field(30_000, ge=1_000, le=600_000, description="ms after which an unsent record is given up")
    replication: int = Field(1, ge=1, le=9, description="copies of each partition; 3 on a cluster")


class Database(_Group):
    """Where state, ledger, history and quarantine live."""

    dsn: SecretStr = Field(SecretStr(""), description="libpq URL; empty: the embedded PostgreSQL of `data_dir`")


def _extension(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,20}", name) or name in RESERVED_NAMES:
        raise ValueError("expected up to 20 of a-z and 0-9, and no attribute of CloudEvents' own")
    return name


class Gateway(_Group):
    """The HTTP front door."""

    host: str = Field("127.0.0.1", description="address to listen on; with `gateway.auth` none on loopback only")
    port: int = Field(8600, ge=0, le=65_535, description="TCP port; 0: a free one")
    auth: str = Field(
        "none", pattern="^(none|token)$", description="none: nobody is asked who he is; token: partners show theirs"
    )
    audience: str = Field(
        "dujiang",
        pattern=r"^[!#-\[\]-~]{1,255}$",
        description="`aud` of the JWTs that partners sign for this gateway; its address, say, so that no other takes them",
    )
    public_url: str = Field(
        "",
        pattern=r"^(https://[A-Za-z0-9.:/\[\]-]*[^/])?$",
        description="where webhook endpoints reach it, to consent by a callback; empty: they consent at once or not",
    )
    extensions: Listed[Annotated[str, AfterValidator(_extension)]] = Field(
        default_factory=lambda: ["region"],
        description="extension attributes that partners may set beside those that CloudEvents documents; any other is refused",
    )
    receipts_days: int = Field(7, ge=1, le=90, description="days in which a repeat gets the first receipt")


class Console(_Group):
    """The operators' web console."""

    host: str = Field("127.0.0.1", description="address to listen on; beyond loopback only with an https `console.public_url`")
    port: int = Field(8690, ge=0, le=65_535, description="TCP port; 0: a free one")
    http_host: str = Field("127.0.0.1", description="address of the console's metrics, apart from where people reach it")
    http_port: int = Field(8692, ge=0, le=65_535, description="TCP port of metrics; 0: a free one")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+)?$",
        description="where people reach it, such as https://console.example.cn; empty: on this machine only",
    )
    reader_dsn: SecretStr = Field(
        SecretStr(""), description="libpq URL of a role that may read the views; empty: `database.dsn`, in reading transactions"
    )
    session_hours: int = Field(12, ge=1, le=168, description="hours until a person signs in again")
    idle_minutes: int = Field(60, ge=5, le=1_440, description="minutes without a page or a deed until a session ends")
    grafana_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]/_-]+)?$",
        description="where people reach Grafana, for links from a step to its figures; empty: no links",
    )
    time_zone: str = Field("Asia/Shanghai", description="zone in which instants are shown (IANA name)")


class Worker(_Group):
    """The stream processors."""

    steps: Listed[str] = Field(
        default_factory=lambda: ["projects", "calls", "alerts", "history"],
        description="steps and sinks that this worker runs",
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="processes of one `dujiang worker`: one for each core that is free; as many as `nproc`: each kept to one",
    )
    http_host: str = Field("127.0.0.1", description="address of health and metrics")
    http_port: int = Field(
        8601, ge=0, le=65_535, description="TCP port of health and metrics, of the first of several processes; 0: free ones"
    )
    timer_poll_ms: int = Field(500, ge=50, le=60_000, description="ms between looks for due timers")
    timers: bool = Field(True, description="false: due timers are not published by themselves (see `dujiang timers advance`)")


def _network(text: str) -> str:
    ipaddress.ip_network(text)  # its ValueError says what is wrong
    return text


class Deliver(_Group):
    """Webhooks to subscribers."""

    http_host: str = Field("127.0.0.1", description="address of the deliverer's health and metrics")
    http_port: int = Field(8680, ge=0, le=65_535, description="TCP port of health and metrics; 0: a free one")
    origin: str = Field(
        "dujiang",
        pattern="^[A-Za-z0-9.-]+$",
        description="DNS name by which endpoints know the platform: WebHook-Request-Origin",
    )
    networks: Listed[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list, description="private networks that may be delivered to, such as 10.20.0.0/16"
    )
    http: bool = Field(False, description="true: endpoints without TLS (http, mqtt) are taken, too; for networks of your own")
    ports: Listed[Annotated[int, Field(ge=1, le=65_535)]] = Field(
        default_factory=list,
        description="ports that may be delivered to; empty: 443 and 8443, of brokers 8883; with http also 80, 8080 and 1883",
    )
    answer_s: float = Field(20.0, gt=0, le=60, description="s that an endpoint has for its answer")
    patience_h: float = Field(72.0, gt=0, le=720, description="h from an event's first attempt until it is a dead letter")
    failing_h: float = Field(120.0, gt=0, le=8_760, description="h without one good answer until a subscription is disabled")
    trace_days: int = Field(30, ge=1, le=3_650, description="days for which attempts are kept")


class Reconcile(_Group):
    """`dujiang subscriptions reconcile --every`."""

    http_host: str = Field("127.0.0.1", description="address of the reconciler's health")
    http_port: int = Field(8682, ge=0, le=65_535, description="TCP port of health; 0: a free one")


class Telemetry(_Group):
    """Traces to an OpenTelemetry collector."""

    otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="base address of the collector's OTLP over HTTP, such as http://127.0.0.1:4318; empty: no traces",
    )
    ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="share of traces kept of those that begin here; a publisher's own `traceparent` decides for it",
    )


class Batch(_Group):
    """How much is taken at once."""

    records_max: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="records a batch; steps of a worker that have a backlog share them, down to 1,000 each",
    )
    poll_ms: int = Field(100, ge=1, le=5_000, description="ms to wait for the first record")
    spacing_ms: int = Field(
        20, ge=0, le=1_000, description="ms at least from a batch to the next, unless that is full; less: less delay, more CPU"
    )
    cached_entities_max: int = Field(50_000, ge=0, le=10_000_000, description="entities held in memory a step")


class Breaker(_Group):
    """When a flood of bad records pauses a partition."""

    run_max: int = Field(200, ge=2, le=1_000_000, description="bad records in a row")
    ratio_max: float = Field(0.5, gt=0, le=1, description="share of bad records in the window, 0 to 1")
    window_records: int = Field(1_000, ge=10, le=1_000_000, description="records in the window")
    probe_s: float = Field(5.0, gt=0, le=3_600, description="s between looks at a paused partition")


class Retry(_Group):
    """Waits between tries of the same batch."""

    first_s: float = Field(0.2, gt=0, le=60, description="s before the first retry")
    last_s: float = Field(5.0, gt=0, le=600, description="s at most")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        yaml_file=FILE,
        yaml_file_encoding="utf-8",
        extra="forbid",
        frozen=True,
    )

    data_dir: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("dujiang"),
        description="folder of the embedded services' data",
    )
    cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("dujiang"),
        description="folder of downloads (Kafka's jars)",
    )
    type_prefix: Annotated[str, AfterValidator(_whole_prefix)] = Field(
        "gov.stiib", description="first part of every event type: reverse DNS of the Bureau"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="true: one JSON object a line; false: for people")
    kafka: Kafka = Field(default_factory=Kafka)
    database: Database = Field(default_factory=Database)
    gateway: Gateway = Field(default_factory=Gateway)
    console: Console = Field(default_factory=Console)
    worker: Worker = Field(default_factory=Worker)
    deliver: Deliver = Field(default_factory=Deliver)
    reconcile: Reconcile = Field(default_factory=Reconcile)
    telemetry: Telemetry = Field(default_factory=Telemetry)
    batch: Batch = Field(default_factory=Batch)
    breaker: Breaker = Field(default_factory=Breaker)
    retry: Retry = Field(default_factory=Retry)
    connectors: ConnectorSettings = Field(default_factory=ConnectorSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Any,
        env_settings: Any,
        dotenv_settings: Any,  # noqa: ARG003
        file_secret_settings: Any,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, then file; no .env, no secrets folder: two places are enough to look at."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    def engine_options(self, bootstrap: str, dsn: str) -> EngineOptions:
        """What a worker needs, with the services' addresses."""
        return EngineOptions(
            kafka=self.kafka_options(bootstrap),
            dsn=dsn,
            batch=BatchOptions(
                self.batch.records_max, self.batch.poll_ms / 1000, self.batch.spacing_ms / 1000, self.batch.cached_entities_max
            ),
            breaker=BreakerOptions(
                self.breaker.run_max, self.breaker.ratio_max, self.breaker.window_records, self.breaker.probe_s
            ),
            retry=RetryOptions(self.retry.first_s, self.retry.last_s),
            timer_poll_s=self.worker.timer_poll_ms / 1000,
            timers_enabled=self.worker.timers,
        )

    def kafka_options(self, bootstrap: str) -> KafkaOptions:
        """What a Kafka client needs."""
        security: dict[str, str] = {}
        if self.kafka.security_protocol != "PLAINTEXT":
            security["security.protocol"] = self.kafka.security_protocol
        if self.kafka.sasl_mechanism:
            security |= {
                "sasl.mechanism": self.kafka.sasl_mechanism,
                "sasl.username": self.kafka.sasl_username,
                "sasl.password": self.kafka.sasl_password.get_secret_value(),
            }
        if self.kafka.ssl_ca_location:
            security["ssl.ca.location"] = self.kafka.ssl_ca_location
        return KafkaOptions(
            bootstrap,
            group_prefix=self.kafka.group_prefix,
            security=security,
            session_timeout_ms=self.kafka.session_timeout_ms,
            linger_ms=self.kafka.linger_ms,
            delivery_timeout_ms=self.kafka.delivery_timeout_ms,
        )


def load() -> Settings:
    """The settings. Raises SettingsError for an unknown variable or a wrong value."""
    _refuse_unknown_variables()
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except VariableError as error:
        raise SettingsError(
            f"{error}: a variable of a whole group, such as {variable_of('deliver')}, holds one JSON object; mend it, or set"
            f" each setting by a variable of its own, such as {variable_of('deliver.networks')}"
        ) from None
    except (ValueError, OSError) as error:
        raise SettingsError(f"{FILE} cannot be read: {error}; mend or remove it") from None


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        path = ".".join(map(str, fault["loc"]))
        setting = re.sub(r"(\.\d+)+$", "", path)  # of a list the whole is set, not one part
        described = _described().get(setting)
        shown = "" if "password" in path or "dsn" in path else f" (is {fault['input']!r})"
        remedy = f"expected: {described}" if described else "no such setting; `dujiang settings` lists all"
        lines.append(f"{path}: {fault['msg']}{shown}; {remedy}; set {variable_of(setting)} or {setting} in {FILE}")
    return "\n".join(lines)


def variable_of(path: str) -> str:
    """The environment variable of a setting's path."""
    return PREFIX + path.upper().replace(".", "__")


def _refuse_unknown_variables() -> None:
    known = {variable_of(path) for path in _described()} | {variable_of(group) for group in Settings.model_fields}
    known |= {variable_of(f"connectors.{name}") for name in ConnectorSettings.model_fields}
    known |= {"DUJIANG_SHARED", "DUJIANG_FAILPOINT"}  # of the tests; named here so that a typing error is still found
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: no such setting; `dujiang settings` lists all, mend the name or unset it")


def _described() -> dict[str, str]:
    """Path to description, groups flattened."""
    return dict(_fields_of(Settings, ""))


def _fields_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from _fields_of(group, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description or ""


def rows(settings: Settings) -> list[dict[str, Any]]:
    """Every setting with value, variable and meaning; secrets hidden."""
    found = []
    for path, description in _described().items():
        value: Any = settings
        for part in path.split("."):
            value = getattr(value, part)
        if isinstance(value, SecretStr):
            value = "(set, hidden)" if value.get_secret_value() else ""
        found.append(
            {
                "setting": path,
                "value": str(value) if isinstance(value, Path) else value,
                "variable": variable_of(path),
                "meaning": description,
            }
        )
    return found
