"""The Bureau's decisions: one file per subject, pure functions and their `Step`. No I/O, no clock, no Kafka, no SQL."""
