"""Runs any step or sink: Kafka batches, keyed state, ledger, timers, quarantine, breaker, clock. Knows no subject."""
