"""Webhooks: events pushed to subscribers, signed, in order per key, until acknowledged or dead-lettered (docs/adr/0013)."""
