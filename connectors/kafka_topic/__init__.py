"""A partner's own Kafka topic, read as the partner publishes: the gateway's checks, without HTTP."""
