"""A log of every change of partners, tokens, keys, subscriptions and secrets, whoever makes it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Table: what it is called in the log, the column that names one, and the column with its partner; "" asks the subscription.
AUDITED = {
    "partner": ("partner", "partner_id", "partner_id"),
    "partner_token": ("token", "prefix", "partner_id"),
    "partner_key": ("key", "kid", "partner_id"),
    "subscription": ("subscription", "subscription_id", "owner"),
    "subscription_secret": ("secret", "subscription_id", ""),
}

# The log cannot be deleted from, so what a partner writes freely is not copied into it: a query may hold a key, and what
# `config` and `protocolsettings` hold is its own affair. Digests still tell one change from another.
SHOWN = """
CREATE FUNCTION audit_shown(present jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
        WHEN value = 'null' THEN value
        WHEN key = 'sink' AND position('?' IN value #>> '{}') > 0
            THEN to_jsonb(split_part(value #>> '{}', '?', 1) || '?' || digest)
        WHEN key IN ('config', 'protocolsettings') AND value <> '{}' THEN to_jsonb(digest)
        ELSE value END), '{}')
    FROM jsonb_each(present), LATERAL (SELECT left(encode(sha256(convert_to(value::text, 'UTF8')), 'hex'), 16) AS digest) d
    WHERE key <> ALL (ARRAY['digest', 'secret', 'public_key', 'changed_at'])
$$"""
# A trigger, not the code that changes: a statement by hand is logged like any other, and nobody can forget it.
# What proves an identity is left out. Only what differs is kept, so a row says what was changed.
CHANGED = """
CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE audit_shown(to_jsonb(OLD)) END;
    new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE audit_shown(to_jsonb(NEW)) END;
    present jsonb := CASE WHEN TG_OP = 'DELETE' THEN old_row ELSE new_row END;
    by_row text;
BEGIN
    IF old_row = new_row THEN
        RETURN NULL;
    END IF;
    -- Its last word: who revoked rather than who issued.
    by_row := CASE WHEN TG_OP = 'DELETE' THEN NULL
        ELSE coalesce(present ->> 'revoked_by', present ->> 'changed_by', present ->> 'issued_by', present ->> 'added_by') END;
    INSERT INTO audit_entry (actor, application, thing, thing_id, partner, verb, before, after) VALUES (
        coalesce(nullif(current_setting('dujiang.actor', true), ''), 'operator:' || by_row, 'role:' || session_user),
        current_setting('application_name'),
        TG_ARGV[0],
        present ->> TG_ARGV[1],
        CASE WHEN TG_ARGV[2] = '' THEN (SELECT owner FROM subscription s WHERE s.subscription_id::text = present ->> TG_ARGV[1])
             ELSE present ->> TG_ARGV[2] END,
        CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
        (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(old_row)
            WHERE new_row -> key IS DISTINCT FROM value),
        (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(new_row)
            WHERE old_row -> key IS DISTINCT FROM value)
    );
    RETURN NULL;
END $$"""

KEPT = """
CREATE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_entry is only added to';
END $$"""


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
            comment="its number: a reader waits until no older one is under way",
        ),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="operator:…, partner:…, platform, or role:… of the database"),
        sa.Column("application", sa.Text(), nullable=False, comment="as the connection names itself"),
        sa.Column("thing", sa.Text(), nullable=False, comment="partner, token, key, subscription, secret"),
        sa.Column("thing_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=True, comment="whose it is"),
        sa.Column("verb", sa.Text(), nullable=False, comment="created, changed, deleted"),
        sa.Column("before", JSONB(), nullable=False, comment="of what differs"),
        sa.Column("after", JSONB(), nullable=False, comment="of what differs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        comment="who changed which right, token, key, subscription or secret; only added to",
    )
    op.create_index(
        op.f("ix_audit_entry_partner_transaction_id"), "audit_entry", ["partner", "transaction", "id"], unique=False
    )
    op.execute(SHOWN)
    op.execute(CHANGED)
    op.execute(KEPT)
    for table, (thing, key, partner) in AUDITED.items():
        op.execute(
            f"CREATE TRIGGER audit_{table} AFTER INSERT OR UPDATE OR DELETE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION audit_change('{thing}', '{key}', '{partner}')"
        )
    op.execute(
        "CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_keep()"
    )


def downgrade() -> None:
    for table in AUDITED:
        op.execute(f"DROP TRIGGER audit_{table} ON {table}")
    op.drop_table("audit_entry")
    op.execute("DROP FUNCTION audit_change")
    op.execute("DROP FUNCTION audit_shown")
    op.execute("DROP FUNCTION audit_keep")
