"""Words of projects in a table of their own: a search for a part of a word reads a sixth of what it read

The copy's rows are wide, so that a look through a million took two seconds. What is looked through changes when a title, a
leader or a contract's number does, which is seldom.
"""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ROLE = "dujiang_reader"  # made by 0003
BEFORE = str(import_module("migrations.versions.0013_reading_copy").REFRESH)
CHANGES = (
    ("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"),
    ("r.is_underspent AS old_underspent,", "r.is_underspent AS old_underspent, r.words AS old_words,"),
    (
        "    ), ended AS (",
        """    ), worded AS (
        INSERT INTO project_words (project_id, call_id, words) SELECT project_id, call_id, words FROM changed
        WHERE (old_words, old_call_id) IS DISTINCT FROM (words, call_id)
        ON CONFLICT (project_id) DO UPDATE SET call_id = excluded.call_id, words = excluded.words
    ), ended AS (""",
    ),
)


def _refresh() -> str:
    text = BEFORE
    for old, new in CHANGES:
        if text.count(old) != 1:
            raise ValueError(f"not once in the function of 0013: {old}")
        text = text.replace(old, new)
    return text


def upgrade() -> None:
    # A pass of the old function that ran beside this would copy projects without their words: wait for one, keep others out.
    op.execute("SELECT pg_advisory_xact_lock(7310913, hashtext('project'))")
    op.create_table(
        "project_words",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column(
            "words", sa.Text(collation="C"), nullable=False, comment="id, title, lead and contract in lower case, for search"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project_words")),
        comment="what is searched of projects, as of the copy",
    )
    op.execute("INSERT INTO project_words SELECT project_id, call_id, words FROM project_reading")
    op.execute(_refresh())
    op.execute("CREATE VIEW v_project_words AS SELECT project_id, call_id, words FROM project_words")
    op.execute(f"GRANT SELECT ON v_project_words TO {ROLE}")


def downgrade() -> None:
    op.execute("DROP VIEW v_project_words")
    op.execute(BEFORE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    op.drop_table("project_words")
