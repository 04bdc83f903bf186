"""All tables of the database: importing this module completes the engine's metadata."""

from engine.audit import AUDIT_ENTRY
from engine.subscriptions.tables import (
    SUBSCRIPTION,
    SUBSCRIPTION_ATTEMPT,
    SUBSCRIPTION_CALLBACK,
    SUBSCRIPTION_DEAD_LETTER,
    SUBSCRIPTION_DELIVERY,
    SUBSCRIPTION_POSITION,
    SUBSCRIPTION_PROGRESS,
    SUBSCRIPTION_READING,
    SUBSCRIPTION_SECRET,
    SUBSCRIPTION_SNAPSHOT,
)
from engine.tables import metadata
from gateway.console.tables import CONSOLE_DEED, CONSOLE_SESSION, CONSOLE_USER
from gateway.tables import PARTNER, PARTNER_HEARD, PARTNER_JTI, PARTNER_KEY, PARTNER_REFUSAL, PARTNER_TOKEN, RECEIPT
from sinks.history.tables import EVENT_HISTORY
from sinks.status.alerts import ALERT_STATUS
from sinks.status.calls import CALL_STATUS
from sinks.status.projects import PROJECT_STATUS
from sinks.status.reading import EVENT_READING, PROJECT_DUE, PROJECT_READING, PROJECT_SUMMARY, READING_PASS

__all__ = [
    "ALERT_STATUS",
    "AUDIT_ENTRY",
    "CALL_STATUS",
    "CONSOLE_DEED",
    "CONSOLE_SESSION",
    "CONSOLE_USER",
    "EVENT_HISTORY",
    "EVENT_READING",
    "PARTNER",
    "PARTNER_HEARD",
    "PARTNER_JTI",
    "PARTNER_KEY",
    "PARTNER_REFUSAL",
    "PARTNER_TOKEN",
    "PROJECT_DUE",
    "PROJECT_READING",
    "PROJECT_STATUS",
    "PROJECT_SUMMARY",
    "READING_PASS",
    "RECEIPT",
    "SUBSCRIPTION",
    "SUBSCRIPTION_ATTEMPT",
    "SUBSCRIPTION_CALLBACK",
    "SUBSCRIPTION_DEAD_LETTER",
    "SUBSCRIPTION_DELIVERY",
    "SUBSCRIPTION_POSITION",
    "SUBSCRIPTION_PROGRESS",
    "SUBSCRIPTION_READING",
    "SUBSCRIPTION_SECRET",
    "SUBSCRIPTION_SNAPSHOT",
    "metadata",
]
