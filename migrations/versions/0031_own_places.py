"""How far those have come that keep their own place: readers with a cursor, and Kafka's own consumers; and whose a source is

Gateways write down what each subscription's readers took last, deliverers what the consumer groups of KAFKA subscriptions
committed. No reading depends on either: both are for people, who ask which agencies lag behind.

Whose a source is, panels and the console's pages ask of one function, the twin of gateway/sources.py.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003

BEFORE = {"v_subscription": str(import_module("migrations.versions.0028_readers_and_repeats").VIEWS["v_subscription"])}
UNREAD_BEFORE = import_module("migrations.versions.0028_readers_and_repeats").UNREAD
UNREAD = """,
               CASE WHEN s.protocol <> 'KAFKA' OR p.place_seen_at > now() - interval '5 minutes'
                    THEN behind.unread END AS unread,
               CASE WHEN s.protocol IN ('PULL', 'SSE') THEN p.place_seen_at WHEN s.protocol = 'KAFKA' THEN (
                   SELECT max(moved_at) FROM subscription_reading r WHERE r.subscription_id = s.subscription_id
               ) END AS last_read_at,
               CASE WHEN s.protocol IN ('PULL', 'SSE') THEN
                        CASE WHEN p.place_seen_at IS NULL THEN 'never_read' ELSE 'read' END
                    WHEN s.protocol <> 'KAFKA' THEN 'delivered'
                    WHEN coalesce(p.place_seen_at <= now() - interval '5 minutes', true) THEN 'not_known'
                    WHEN EXISTS (SELECT FROM subscription_reading r WHERE r.subscription_id = s.subscription_id)
                    THEN 'committed' ELSE 'nothing_committed' END AS reading
        FROM subscription s
        LEFT JOIN v_subscription_unread behind USING (subscription_id)"""

# As gateway/sources.py has it.
NEAREST_SOURCE = """
CREATE FUNCTION nearest_source(source text, registered text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $body$
DECLARE
    above text := left(source, 256);  -- what is given to a partner is shorter
    slash integer;
BEGIN
    WHILE above <> '' AND NOT above = ANY (registered) LOOP
        slash := strpos(reverse(above), '/');
        above := CASE slash WHEN 0 THEN '' ELSE left(above, -slash) END;
    END LOOP;
    RETURN above;
END
$body$"""
VIEWS = {
    # Until a reader comes for the first time it stands where its subscription began. unread is null where no end is known.
    "v_subscription_place": """
        SELECT place.subscription_id, place.consumer, topic, partition, place.next_offset,
               e.end_offset - least(e.end_offset, place.next_offset) AS unread, place.moved_at
        FROM (
            SELECT o.subscription_id, '' AS consumer, o.topic, o.partition, o.next_offset, o.moved_at
            FROM subscription_position o
            WHERE NOT EXISTS (SELECT FROM subscription_progress p
                              WHERE p.subscription_id = o.subscription_id AND p.place_seen_at IS NOT NULL)
            UNION ALL
            SELECT r.subscription_id, r.consumer, r.topic, r.partition, r.next_offset, r.moved_at FROM subscription_reading r
        ) place LEFT JOIN log_end e USING (topic, partition)""",
    # Of several groups of one subscription the one that is furthest behind counts; of a partition that a group committed
    # nothing for, nobody knows where it stands.
    "v_subscription_unread": """
        SELECT subscription_id, max(records)::bigint AS unread
        FROM (
            SELECT subscription_id, consumer, sum(unread) AS records FROM v_subscription_place GROUP BY 1, 2
        ) consumers GROUP BY 1""",
    # What Kafka was not asked for lately is not known: old commits beside new ends would make up a lag. All places are compared
    # once: a question for each subscription would cost ten times as much.
    "v_subscription": BEFORE["v_subscription"].replace(UNREAD_BEFORE, UNREAD, 1),
}


def upgrade() -> None:
    op.add_column(
        "subscription_progress",
        sa.Column(
            "place_seen_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="a reader with a cursor last came, or Kafka was last asked for its groups; null: never, or delivered to",
        ),
    )
    op.create_table(
        "subscription_reading",
        sa.Column("subscription_id", UUID(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False, comment="a group of Kafka's; empty: readers with a cursor"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column(
            "moved_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="when it was first seen to stand there",
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscription.subscription_id"],
            name=op.f("fk_subscription_reading_subscription_id_subscription"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscription_id", "consumer", "topic", "partition", name=op.f("pk_subscription_reading")),
        comment="how far those have come that keep their own place; some seconds old, and no reading depends on it",
        postgresql_with={"fillfactor": "50"},
    )
    op.execute(NEAREST_SOURCE)
    for name, select in VIEWS.items():
        op.execute(f"CREATE OR REPLACE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")  # the last one stands on those before it
    for name, select in BEFORE.items():
        op.execute(f"CREATE VIEW {name} AS{select}")
        op.execute(f"GRANT SELECT ON {name} TO {ROLE}")
    op.execute("DROP FUNCTION nearest_source")
    op.drop_table("subscription_reading")
    op.drop_column("subscription_progress", "place_seen_at")
