"""The engine, the state tables and the history"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_status",
        sa.Column("alert_key", sa.Text(), nullable=False, comment="<monitor>/<fingerprint>"),
        sa.Column("episodes", sa.Integer(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=True, comment="firing, resolved, expired; null before any episode"),
        sa.Column("handling", sa.Text(), nullable=True, comment="open, acknowledged, closed"),
        sa.Column("suppression", sa.Text(), nullable=True, comment="none; windows, inhibition, flapping come later"),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attention_at", sa.DateTime(timezone=True), nullable=True, comment="since when it waits for a person"),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("refresh_s", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True, comment="event time of the last change"),
        sa.Column(
            "changed_by",
            sa.Text(),
            nullable=False,
            comment="source and id of the event, or the timer, that made the last change",
        ),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.Column("rejected", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="[[event id, reason], …]"),
        sa.Column("seen", sa.LargeBinary(), nullable=False, comment="64-bit hashes of (source, id), oldest first"),
        sa.Column("timer_at", sa.DateTime(timezone=True), nullable=True, comment="what the timer table holds for this key"),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("alert_key", name=op.f("pk_alert_status")),
        comment="where each infrastructure alert stands",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_table(
        "breaker",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "allowed_until",
            sa.BigInteger(),
            nullable=True,
            comment="an operator let records below this offset go to quarantine",
        ),
        sa.Column("allowed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("step", "topic", "partition", name=op.f("pk_breaker")),
        comment="partitions paused since a flood of bad records looks like our fault rather than theirs",
    )
    op.create_table(
        "call_status",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("programme", sa.Text(), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("budget", sa.BigInteger(), nullable=True),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("register_name", sa.Text(), nullable=False),
        sa.Column("source_status", sa.Text(), nullable=False, comment="the outside register's own word"),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True, comment="event time of the snapshot that is known"),
        sa.Column("phase", sa.Text(), nullable=True, comment="the phase last told to others"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True, comment="event time of the last change"),
        sa.Column(
            "changed_by",
            sa.Text(),
            nullable=False,
            comment="source and id of the event, or the timer, that made the last change",
        ),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.Column("rejected", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="[[event id, reason], …]"),
        sa.Column("seen", sa.LargeBinary(), nullable=False, comment="64-bit hashes of (source, id), oldest first"),
        sa.Column("timer_at", sa.DateTime(timezone=True), nullable=True, comment="what the timer table holds for this key"),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_status")),
        comment="where each call for proposals stands",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_table(
        "connector_file",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=False,
            comment="sha-256 of the content: the same file under another name is the same file",
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rows_done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("connector", "digest", name=op.f("pk_connector_file")),
        comment="file drops: each content once, resumed where a killed run had come to",
    )
    op.create_table(
        "connector_record",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "key", name=op.f("pk_connector_record")),
        comment="what a connector last published of each upstream record, so that an unchanged one is not published again",
    )
    op.create_table(
        "event_history",
        sa.Column("identity", sa.UUID(), nullable=False, comment="128-bit hash of (source, id): the event's identity"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, comment="the broker's record time"),
        sa.Column("stored_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("event", sa.Text(), nullable=False, comment="structured CloudEvent JSON, byte for byte where it came so"),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_event_history")),
        comment="every event once, from all topics",
    )
    op.create_index(op.f("ix_event_history_subject_event_time"), "event_history", ["subject", "event_time"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("step", "topic", "partition", name=op.f("pk_ledger")),
        comment="next offset per step and partition, moved by compare-and-set in the transaction that holds the effects",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "ledger_day",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("applied", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("superseded", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("quarantined", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("parked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("late_applied", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("late_rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gap", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("step", "topic", "partition", "day", name=op.f("pk_ledger_day")),
        comment="what became of every offset, by the day of its record; gap: offsets that hold no record (transaction markers)",
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "project_status",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True, comment="null until an application was applied"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("lead", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("contract_no", sa.Text(), nullable=False),
        sa.Column("contract_amount", sa.BigInteger(), nullable=False, comment="whole units of the currency"),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("start_on", sa.Date(), nullable=True),
        sa.Column("end_on", sa.Date(), nullable=True),
        sa.Column("disbursed", sa.BigInteger(), nullable=False),
        sa.Column(
            "milestones",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="[[id, due, status], …] in the contract's order",
        ),
        sa.Column("is_extended", sa.Boolean(), nullable=False),
        sa.Column("is_retried", sa.Boolean(), nullable=False),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("register_name", sa.Text(), nullable=False),
        sa.Column("source_status", sa.Text(), nullable=False, comment="the outside register's own word"),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "parked",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="events that wait for an earlier one",
        ),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True, comment="event time of the last change"),
        sa.Column(
            "changed_by",
            sa.Text(),
            nullable=False,
            comment="source and id of the event, or the timer, that made the last change",
        ),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("superseded", sa.Integer(), nullable=False),
        sa.Column("rejected", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="[[event id, reason], …]"),
        sa.Column("seen", sa.LargeBinary(), nullable=False, comment="64-bit hashes of (source, id), oldest first"),
        sa.Column("timer_at", sa.DateTime(timezone=True), nullable=True, comment="what the timer table holds for this key"),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_status")),
        comment="where each research project stands",
        postgresql_with={"fillfactor": "60"},
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("record_offset", sa.BigInteger(), nullable=False),
        sa.Column("record_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("record_key", sa.LargeBinary(), nullable=True),
        sa.Column(
            "headers",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="[[name, base64 of the value or null], …]",
        ),
        sa.Column("value", sa.LargeBinary(), nullable=True, comment="the record's bytes as they came; null for a tombstone"),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("event_type", sa.Text(), nullable=True),
        sa.Column("event_source", sa.Text(), nullable=True),
        sa.Column("contract", sa.Text(), nullable=True, comment="the contract and major version it was judged by"),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("pointer", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False, comment="waiting, replayed, parked"),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("topic", "partition", "record_offset", name=op.f("uq_quarantine_topic_partition_record_offset")),
        comment="records that can never work as they are, with all that is needed to repair and replay them",
    )
    op.create_index(op.f("ix_quarantine_state_reason"), "quarantine", ["state", "reason"], unique=False)
    op.create_table(
        "timer",
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("step", "key", name=op.f("pk_timer")),
        comment="not later than the key's next due instant; when it fires early the rule says so and it is set anew",
    )
    op.create_index("ix_timer_due", "timer", ["step", "partition", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_timer_due", table_name="timer")
    op.drop_table("timer")
    op.drop_index(op.f("ix_quarantine_state_reason"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_table("project_status")
    op.drop_table("ledger_day")
    op.drop_table("ledger")
    op.drop_index(op.f("ix_event_history_subject_event_time"), table_name="event_history")
    op.drop_table("event_history")
    op.drop_table("connector_record")
    op.drop_table("connector_file")
    op.drop_table("call_status")
    op.drop_table("breaker")
    op.drop_table("alert_status")
