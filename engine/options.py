"""What the engine can be told. Filled from the settings in `dujiang/`; every field has its unit in its name."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """Where the brokers are and how to speak to them. `security` holds further librdkafka settings (SASL, TLS)."""

    bootstrap: str
    client_id: str = "dujiang"
    group_prefix: str = "dujiang"
    security: dict[str, str] = field(default_factory=dict)
    session_timeout_ms: int = 6_000
    linger_ms: int = 5
    delivery_timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How much is taken at once, and what is remembered between batches.

    spacing_s: at least so long from a batch to the next, unless that is full. After a pause a record waits for nothing but the
    broker's answer.
    """

    records_max: int = 10_000
    poll_s: float = 0.1
    spacing_s: float = 0.02
    cached_entities_max: int = 50_000


@dataclass(frozen=True, slots=True)
class BreakerOptions:
    """When a flood of bad records means that something else is wrong. Counted per partition."""

    run_max: int = 200
    ratio_max: float = 0.5
    window_records: int = 1_000
    probe_s: float = 5.0


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Waits between tries of the same batch: doubled from first to last, with jitter."""

    first_s: float = 0.2
    last_s: float = 5.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """All of a worker's."""

    kafka: KafkaOptions
    dsn: str
    batch: BatchOptions = field(default_factory=BatchOptions)
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    retry: RetryOptions = field(default_factory=RetryOptions)
    timer_poll_s: float = 0.5
    timers_enabled: bool = True
