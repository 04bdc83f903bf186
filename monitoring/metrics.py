"""The catalogue: every metric of the platform, its kind, unit, labels and meaning. Counted per batch, never per event.

Labels take few values: steps, topics, partitions, outcomes, reasons, partners. Never ids of events or entities.
"""

from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from monitoring.histogram import BatchHistogram

# Else each counter and histogram has a second series, which says when this process made it.
disable_created_metrics()  # type: ignore[no-untyped-call]

_PHASE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DELAY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LATENESS_S = (1, 10, 60, 600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
_READING_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RECORDS = (1, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


class EngineMetrics:
    """Of a worker's steps and sinks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "dujiang_events",
            "Records decided, by outcome; 'parked' waits for an earlier event and counts as rejected until then",
            ["step", "topic", "outcome"],
            registry=registry,
        )
        self.late = Counter(
            "dujiang_late_events",
            "Parked records settled later, by outcome",
            ["step", "topic", "outcome"],
            registry=registry,
        )
        self.quarantined = Counter(
            "dujiang_quarantined",
            "Records that can never work as they are, by reason",
            ["step", "reason"],
            registry=registry,
        )
        self.derived = Counter("dujiang_derived_events", "Events published by rules", ["step"], registry=registry)
        self.timers = Counter("dujiang_timers_fired", "Timers published when due", ["step"], registry=registry)
        self.timers_overdue = Gauge(
            "dujiang_timers_overdue",
            "Timers of the step, in all partitions, that were due over a minute ago and have not taken effect",
            ["step"],
            registry=registry,
        )
        self.batch_records = Histogram(
            "dujiang_batch_records", "Records a batch", ["step"], buckets=_RECORDS, registry=registry
        )
        self.phase_seconds = Histogram(
            "dujiang_batch_phase_seconds",
            "Time by phase: poll (for records), decide (decode, load, rule), wait (for the batch before to be written);"
            " beside them, in the writer's thread, publish (derived events acknowledged), store",
            ["step", "phase"],
            buckets=_PHASE_S,
            registry=registry,
        )
        self.arrival_delay_seconds = BatchHistogram(
            "dujiang_arrival_delay_seconds", "From the broker's record time to commit", ["step"], _DELAY_S, registry
        )
        self.event_delay_seconds = BatchHistogram(
            "dujiang_event_delay_seconds", "From the event's own time to commit", ["step"], _LATENESS_S, registry
        )
        self.lag_records = Gauge(
            "dujiang_lag_records",
            "Records in the log that are not committed yet",
            ["step", "topic", "partition"],
            registry=registry,
        )
        self.assigned_partitions = Gauge(
            "dujiang_assigned_partitions", "Partitions that the step has of the broker now", ["step"], registry=registry
        )
        self.rebalances = Counter(
            "dujiang_rebalances", "How often the broker gave the step partitions anew", ["step"], registry=registry
        )
        self.faults = Counter(
            "dujiang_faults",
            "Tries of a batch that failed, by kind: transient, environment, fenced",
            ["step", "kind"],
            registry=registry,
        )
        self.breaker_open = Gauge(
            "dujiang_breaker_open",
            "1 while a partition is paused by the breaker",
            ["step", "topic", "partition"],
            registry=registry,
        )
        self.cached_entities = Gauge("dujiang_cached_entities", "Entities held in memory", ["step"], registry=registry)
        self.last_commit_timestamp_seconds = Gauge(
            "dujiang_last_commit_timestamp_seconds",
            "When a step last committed (unix time)",
            ["step"],
            registry=registry,
        )
        self.unbalanced_records = Gauge(
            "dujiang_ledger_unbalanced_records",
            "Offsets passed minus outcomes booked; anything but 0 is a loss or a double count",
            ["step", "topic"],
            registry=registry,
        )


class DependencyMetrics:
    """Of what workers, gateways and deliverers stand on, as each process sees it: Kafka and PostgreSQL."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "dujiang_dependency_up",
            "1 after a try that reached it, 0 after one that did not; no series before the first: kafka, postgresql",
            ["dependency"],
            registry=registry,
        )
        self._failures = Counter(
            "dujiang_dependency_failures",
            "Tries that did not reach it: a connection to PostgreSQL that broke or could not be opened, a look at Kafka that"
            " found no broker",
            ["dependency"],
            registry=registry,
        )

    def reach(self, dependency: str) -> Callable[[bool], None]:
        """To be told after every try whether it reached it. Thread-safe; for tries, not for events."""
        failures = self._failures.labels(dependency)

        def told(is_reached: bool) -> None:
            self._up.labels(dependency).set(is_reached)
            if not is_reached:
                failures.inc()

        return told


class ServerMetrics:
    """Of Kafka and PostgreSQL, as a worker that runs `projects` finds them every 15 s; every such worker tells of the whole."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.brokers = Gauge("dujiang_kafka_brokers", "Brokers that the cluster has now", registry=registry)
        self.offline = Gauge(
            "dujiang_kafka_offline_partitions",
            "Partitions of all topics that have no leader: nothing can be written or read",
            registry=registry,
        )
        self.under_replicated = Gauge(
            "dujiang_kafka_under_replicated_partitions",
            "Partitions of all topics of which a replica does not follow its leader",
            registry=registry,
        )
        self.connections = Gauge(
            "dujiang_postgresql_connections", "Connections to the server, to any of its databases", registry=registry
        )
        self.connections_allowed = Gauge(
            "dujiang_postgresql_connections_allowed",
            "Connections that the server allows, without those reserved for administrators",
            registry=registry,
        )
        self.longest_transaction_seconds = Gauge(
            "dujiang_postgresql_longest_transaction_seconds",
            "How long the oldest open transaction in our database has been open; 0: none. Those of other roles are seen with"
            " the right pg_read_all_stats alone",
            registry=registry,
        )
        self.database_bytes = Gauge("dujiang_postgresql_database_bytes", "Room that our database takes", registry=registry)
        self.dead_rows = Gauge(
            "dujiang_postgresql_dead_rows",
            "Rows of a table, as the server estimates them, that wait to be cleared",
            ["table"],
            registry=registry,
        )
        self.rolled_back = Counter(
            "dujiang_postgresql_rolled_back_transactions",
            "Transactions in our database that were rolled back since the worker began",
            registry=registry,
        )
        self.deadlocks = Counter(
            "dujiang_postgresql_deadlocks", "Deadlocks in our database since the worker began", registry=registry
        )
        self.blocks = Counter(
            "dujiang_postgresql_blocks",
            "Pages of our database that were read since the worker began, by where they were found: cache (the server's own),"
            " disk (or the system's cache)",
            ["found"],
            registry=registry,
        )


class ReadingMetrics:
    """Of the worker that keeps the copies for readers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.timestamp_seconds = Gauge(
            "dujiang_reading_copy_timestamp_seconds",
            "What was committed by then is in the copy that lists and counts read (unix time); 0: no pass yet",
            ["copy"],
            registry=registry,
        )
        self.pass_seconds = Gauge(
            "dujiang_reading_copy_pass_seconds",
            "From the list of what had changed to its last piece, rests included",
            ["copy"],
            registry=registry,
        )


class AlertMetrics:
    """Of infrastructure alerts, as a worker that runs `alerts` finds them every ten seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.firing = Gauge(
            "dujiang_alerts_firing",
            "Alerts that their monitor says go on, silenced ones included; every such worker tells of all",
            ["severity"],
            registry=registry,
        )
        self.overdue = Gauge(
            "dujiang_alerts_overdue",
            "Of these, open ones that nobody acknowledged within the limit of their severity; a silence lets nobody be late",
            ["severity"],
            registry=registry,
        )


class ConnectorMetrics:
    """Of `dujiang connector kafka`, which goes on until it is stopped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.published = Counter(
            "dujiang_connector_published_records",
            "Records of a partner's topic that are in ours",
            ["partner", "topic"],
            registry=registry,
        )
        self.refused = Counter(
            "dujiang_connector_refused_records",
            "Records of a partner's topic that were refused and told of as a finding, by reason",
            ["partner", "topic", "reason"],
            registry=registry,
        )
        self.faults = Counter(
            "dujiang_connector_faults",
            "Faults after which the connector waited and began again where it stood, by kind: transient, environment",
            ["partner", "topic", "kind"],
            registry=registry,
        )
        self.lag_records = Gauge(
            "dujiang_connector_lag_records",
            "Offsets from where the connector stands to the end of the partner's topic, when its Kafka last answered",
            ["partner", "topic"],
            registry=registry,
        )
        self.last_carried_timestamp_seconds = Gauge(
            "dujiang_connector_last_carried_timestamp_seconds",
            "When the connector last carried records (unix time); 0: not since it was started",
            ["partner", "topic"],
            registry=registry,
        )
        self._event_age_seconds = Histogram(
            "dujiang_connector_event_age_seconds",
            "From an event's own time to when our Kafka has it, of what a partner published in a topic of its own",
            ["partner", "topic"],
            buckets=_LATENESS_S,
            registry=registry,
        )

    def begin(self, partner: str, topic: str) -> None:
        """Its series begin at 0 and not with the first record or fault: a rate never sees a counter's first value."""
        self.published.labels(partner, topic)
        self._event_age_seconds.labels(partner, topic)
        self.last_carried_timestamp_seconds.labels(partner, topic)
        for kind in ("transient", "environment"):
            self.faults.labels(partner, topic, kind)

    def event_ages_s(self, partner: str, topic: str, ages_s: Sequence[float]) -> None:
        """How old a batch's events were when Kafka had them."""
        age = self._event_age_seconds.labels(partner, topic)
        for age_s in ages_s:
            age.observe(age_s)


class AlertmanagerMetrics:
    """Of the gateway's webhook for Alertmanager."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter(
            "dujiang_alertmanager_accepted_alerts",
            "Alerts of Alertmanagers that Kafka has, repeats within a body included",
            registry=registry,
        )
        self.refused = Counter(
            "dujiang_alertmanager_refused_alerts",
            "Alerts of Alertmanagers that were refused for good and told of as a finding, by reason",
            ["reason"],
            registry=registry,
        )
        self.refused_bodies = Counter(
            "dujiang_alertmanager_refused_bodies",
            "Bodies that got a problem for an answer, by reason; only `unavailable` is sent again",
            ["reason"],
            registry=registry,
        )


class GatewayMetrics:
    """Of the HTTP gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Counter("dujiang_gateway_accepted_events", "Events acknowledged to publishers", registry=registry)
        self._refused = Counter(
            "dujiang_gateway_refused_events", "Events refused at the door, by reason", ["reason"], registry=registry
        )
        self._event_age_seconds = Histogram(
            "dujiang_gateway_event_age_seconds",
            "From an event's own time to its acceptance, by partner ('-' where there are no partners)",
            ["partner"],
            buckets=_LATENESS_S,
            registry=registry,
        )
        self._publish_seconds = Histogram(
            "dujiang_gateway_publish_seconds",
            "From a validated request to the broker's acknowledgement",
            buckets=_PHASE_S,
            registry=registry,
        )
        self._heard_timestamp_seconds = Gauge(
            "dujiang_partner_heard_timestamp_seconds",
            "When a partner that promised a rhythm was last heard of, or when it promised if that is later (unix time)",
            ["partner"],
            registry=registry,
        )
        self._promised_seconds = Gauge(
            "dujiang_partner_promised_seconds",
            "How often a partner promised to be heard of; one that promised nothing has none",
            ["partner"],
            registry=registry,
        )
        self._promising: set[str] = set()

    def accepted(self, count: int) -> None:
        """Events that Kafka has."""
        self._accepted.inc(count)

    def know_partner(self, partner: str) -> None:
        """Its series begin at 0 and not with its first batch: a rate never sees a counter's first value."""
        self._event_age_seconds.labels(partner)

    def event_ages_s(self, partner: str, ages_s: Sequence[float]) -> None:
        """How old a partner's events were when Kafka had them; partners are some tens."""
        age = self._event_age_seconds.labels(partner)
        for age_s in ages_s:
            age.observe(age_s)

    def refused(self, reason: str, count: int = 1) -> None:
        """Events that got a problem for an answer."""
        self._refused.labels(reason).inc(count)

    def publish_seconds(self, seconds: float) -> None:
        """One request's wait for the broker."""
        self._publish_seconds.observe(seconds)

    def promises(self, promises: Mapping[str, tuple[float, float]]) -> None:
        """Of every partner that promises a rhythm: when it was last heard of (unix time), and how often it promised to be."""
        for partner in self._promising - promises.keys():
            self._heard_timestamp_seconds.remove(partner)
            self._promised_seconds.remove(partner)
        for partner, (heard_s, promised_s) in promises.items():
            self._heard_timestamp_seconds.labels(partner).set(heard_s)
            self._promised_seconds.labels(partner).set(promised_s)
        self._promising = set(promises)


class ConsoleMetrics:
    """Of the operators' console."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._page_seconds = Histogram(
            "dujiang_console_page_seconds",
            "From a request of somebody signed in to the page with its first figures, by the part of the console",
            ["page"],
            buckets=_READING_S,
            registry=registry,
        )
        self._query_seconds = Histogram(
            "dujiang_console_query_seconds",
            "From a page's question to PostgreSQL's answer or fault, with the wait for a free connection: of views, or of the"
            " console's own tables and what no view shows",
            ["asked"],
            buckets=_READING_S,
            registry=registry,
        )
        self._sign_ins = Counter(
            "dujiang_console_sign_ins",
            "Tries to sign in, by outcome: let_in, wrong, locked, busy (too many at once), away (the database)",
            ["outcome"],
            registry=registry,
        )
        self._open_pages = Gauge(
            "dujiang_console_open_pages", "Pages that are open in a browser and kept fresh", registry=registry
        )

    def page_seconds(self, page: str, seconds: float) -> None:
        """A page was made."""
        self._page_seconds.labels(page).observe(seconds)

    def query_seconds(self, asked: str, seconds: float) -> None:
        """A question was answered, or was not."""
        self._query_seconds.labels(asked).observe(seconds)

    def sign_in(self, outcome: str) -> None:
        """Somebody tried."""
        self._sign_ins.labels(outcome).inc()

    def open_pages(self, count: Callable[[], int]) -> None:
        """`count` is asked whenever Prometheus asks, in its thread."""
        self._open_pages.set_function(count)


class ReaderMetrics:
    """Of subscribers that read through the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delivered = Counter(
            "dujiang_gateway_delivered_events", "Events that readers got: by pull or by stream", ["way"], registry=registry
        )
        self._withheld = Counter(
            "dujiang_gateway_withheld_events",
            "Events of the types asked for that a reader may not see, by reason: right, classification",
            ["reason"],
            registry=registry,
        )
        self._readers = Gauge("dujiang_gateway_readers", "Pulls and streams under way", registry=registry)

    def delivered(self, way: str, count: int) -> None:
        """A page that went out."""
        self._delivered.labels(way).inc(count)

    def withheld(self, reason: str, count: int) -> None:
        """What was left out of it."""
        self._withheld.labels(reason).inc(count)

    def reading(self, readers: int) -> None:
        """As many as there are now."""
        self._readers.set(readers)


class DeliveryMetrics:
    """Of a deliverer: webhooks to subscribers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "dujiang_delivery_attempts",
            "Attempts to deliver, by outcome: acknowledged, throttled, timeout, …",
            ["outcome"],
            registry=registry,
        )
        self._attempt_seconds = Histogram(
            "dujiang_delivery_attempt_seconds",
            "From an attempt's beginning to its outcome",
            buckets=(*_PHASE_S, 30),
            registry=registry,
        )
        self._delay_seconds = Histogram(
            "dujiang_delivery_delay_seconds",
            "From the broker's record time to the subscriber's acknowledgement, of what came while its subscription was"
            " enabled; what is older, or sent again on request, has none",
            buckets=(*_DELAY_S, 3600, 6 * 3600, 86_400),
            registry=registry,
        )
        self._withheld = Counter(
            "dujiang_delivery_withheld_events",
            "Events that a filter selects and the subscriber may not have, by right or classification",
            registry=registry,
        )
        self._dead_letters = Counter(
            "dujiang_delivery_dead_letters", "Deliveries given up, by reason", ["reason"], registry=registry
        )
        self.subscriptions = Gauge("dujiang_delivery_subscriptions", "Subscriptions delivered to", registry=registry)
        self.waiting = Gauge("dujiang_delivery_waiting_events", "Deliveries numbered and not settled", registry=registry)
        self.in_flight = Gauge("dujiang_delivery_in_flight_attempts", "Attempts under way", registry=registry)
        self.circuits_open = Gauge(
            "dujiang_delivery_circuits_open", "Endpoints that get nothing but probes, since they do not work", registry=registry
        )

    def attempt(self, outcome: str, seconds: float) -> None:
        """One attempt has ended."""
        self._attempts.labels(outcome).inc()
        self._attempt_seconds.observe(seconds)

    def delay_seconds(self, seconds: float) -> None:
        """One delivery was acknowledged."""
        self._delay_seconds.observe(seconds)

    def withheld(self, count: int) -> None:
        """Events that must not go out."""
        if count:
            self._withheld.inc(count)

    def dead_letter(self, reason: str) -> None:
        """One delivery was given up."""
        self._dead_letters.labels(reason).inc()
