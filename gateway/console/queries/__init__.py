"""What pages ask of PostgreSQL: SQL in, typed rows out. Every list has a limit.

Reads go by the views (`v_...`), so the reading role will do; what those leave out on purpose (an event's data, a quarantined
record's bytes, deeds) is asked for by functions whose names begin with `kept_`, over the console's own connection.
"""

from gateway.console.queries.alerts import (
    ASSIGNED_DAYS,
    ASSIGNED_MAX,
    SEVERITIES,
    AlertFilter,
    AlertRow,
    Assignment,
    alert,
    alerts,
    kept_assigned_to,
    kept_assignments,
    kept_user_names,
)
from gateway.console.queries.deeds import DEEDS_MAX, Deed, kept_deeds
from gateway.console.queries.now import (
    CALLS_MAX,
    NEWS_MAX,
    PULSE_MINUTES,
    SOURCES_MAX,
    TICK_S,
    Beat,
    ClosingCall,
    Needs,
    News,
    closing_calls,
    needs,
    news,
    pulse,
)
from gateway.console.queries.partners import PartnerRow, kept_partners
from gateway.console.queries.projects import (
    CLAIMS,
    Column,
    MilestoneRow,
    ProjectFilter,
    ProjectRow,
    ProjectSheet,
    board,
    project,
    projects,
)
from gateway.console.queries.quarantine import Cause, HeldFilter, HeldRow, HeldSheet, causes, held, kept_held
from gateway.console.queries.rows import FOUND_MAX, LIST_MAX, Page
from gateway.console.queries.search import Found, find_key, find_words, kept_found_partners
from gateway.console.queries.story import STORY_EVENTS_MAX, kept_events
from gateway.console.queries.way import Paused, paused

__all__ = [
    "ASSIGNED_DAYS",
    "ASSIGNED_MAX",
    "CALLS_MAX",
    "CLAIMS",
    "DEEDS_MAX",
    "FOUND_MAX",
    "LIST_MAX",
    "NEWS_MAX",
    "PULSE_MINUTES",
    "SEVERITIES",
    "SOURCES_MAX",
    "STORY_EVENTS_MAX",
    "TICK_S",
    "AlertFilter",
    "AlertRow",
    "Assignment",
    "Beat",
    "Cause",
    "ClosingCall",
    "Column",
    "Deed",
    "Found",
    "HeldFilter",
    "HeldRow",
    "HeldSheet",
    "MilestoneRow",
    "Needs",
    "News",
    "Page",
    "PartnerRow",
    "Paused",
    "ProjectFilter",
    "ProjectRow",
    "ProjectSheet",
    "alert",
    "alerts",
    "board",
    "causes",
    "closing_calls",
    "find_key",
    "find_words",
    "held",
    "kept_assigned_to",
    "kept_assignments",
    "kept_deeds",
    "kept_events",
    "kept_found_partners",
    "kept_held",
    "kept_partners",
    "kept_user_names",
    "needs",
    "news",
    "paused",
    "project",
    "projects",
    "pulse",
]
