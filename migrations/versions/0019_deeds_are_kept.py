"""What people did in the console is only added to, as the log of changes is: no statement alters or removes a deed"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KEPT = """
CREATE OR REPLACE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{} is only added to'{};
END $$"""


def upgrade() -> None:
    op.execute(KEPT.format("%", ", TG_TABLE_NAME"))
    op.execute(
        "CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON console_deed"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_keep()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_keep ON console_deed")
    op.execute(KEPT.format("audit_entry", ""))
