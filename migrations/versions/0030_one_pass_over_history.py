"""One pass for all copies that are made of the history, with one rest; a clock that was set back is noted where it is found

Three passes had a rest each: three shares of a connection. What they did stays as it was. The one begins where the counts of
sources ended: these must see each row once, and the other two take a row that they have for what it is.
"""

import re
from importlib import import_module

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_PIECES = import_module("migrations.versions.0023_copies_in_pieces")
_ADDED = import_module("migrations.versions.0025_scores_are_added_to")
_EPISODES = import_module("migrations.versions.0027_episodes_and_years")
_LISTED = import_module("migrations.versions.0029_refused_and_found")
MERGED = {  # pass: its function
    "event": str(_LISTED.REFRESH),
    "source": str(_ADDED.REFRESH),
    "episode": str(_EPISODES.EPISODES),
}
SIGNATURE = "CREATE FUNCTION copy_{name}_reading(began timestamptz, read_from timestamptz, up_to timestamptz) RETURNS"

BEGIN_BEFORE = str(_PIECES._changed(_ADDED.BEGIN_BEFORE, _ADDED.BEGIN_CHANGES))
# Noted where it is found, so that a pass in pieces goes on instead of beginning anew until the clock stands where it stood.
BEGIN_CHANGES = (
    ("    read_from := last.read_to;\n", ""),
    (
        "        read_from := '-infinity';  -- the clock was set back:"
        " what was written since carries an instant before read_to\n",
        """        -- The clock was set back: what was written since carries an instant before read_to.
        UPDATE reading_pass SET read_to = '-infinity', listed_at = '-infinity', started_at = least(started_at, at),
            finished_at = least(finished_at, at)
        WHERE name = pass RETURNING * INTO last;
""",
    ),
    ("    began := at;\n", "    read_from := last.read_to;\n    began := at;\n"),
)
PROJECT_BEFORE = str(_PIECES._changed(_EPISODES.PROJECT_BEFORE, _EPISODES.PROJECT_CHANGES))
PROJECT_CHANGES = (
    (
        "IF piece IS NULL OR this.read_from = '-infinity' THEN  -- whoever is listed is listed anew",
        "IF piece IS NULL OR (SELECT listed_at = '-infinity' FROM reading_pass WHERE name = 'project') THEN  -- list anew",
    ),
)

# ruff: noqa: S608 - our own constants
WHOLE = f"""
CREATE FUNCTION refresh_history_reading(rest float8 DEFAULT 0, rest_s_max float8 DEFAULT 'infinity') RETURNS integer
LANGUAGE plpgsql AS $body$
DECLARE
    this record;
    changes integer;
BEGIN
    SELECT * INTO this FROM begin_reading('history', rest);
    IF this.began IS NULL THEN
        RETURN NULL;
    END IF;
    changes := {" + ".join(f"copy_{name}_reading(this.began, this.read_from, this.up_to)" for name in MERGED)};
    UPDATE reading_pass SET started_at = this.began, finished_at = clock_timestamp(), read_to = this.up_to
    WHERE name = 'history';
    PERFORM rest_reading('history', this.began, rest, rest_s_max);
    RETURN changes;
END
$body$
"""


def _part(name: str) -> str:
    """What the pass of that name did between its beginning and its end."""
    text, changes = re.subn(
        rf"CREATE (OR REPLACE )?FUNCTION refresh_{name}_reading\(.*?\) RETURNS"
        r"|    this record;\n"
        r"|    SELECT \* INTO this FROM begin_reading.*?END IF;\n"
        r"|    UPDATE reading_pass .*?PERFORM rest_reading[^\n]*\n",
        lambda found: SIGNATURE.format(name=name) if found[0].startswith("CREATE") else "",
        MERGED[name],
        flags=re.DOTALL,
    )
    if changes != 4:
        raise ValueError(f"the pass {name} has another form")
    return text.replace("this.", "")


def upgrade() -> None:
    _keep_passes_out("project", *MERGED)
    op.execute(_replacing(_PIECES._changed(BEGIN_BEFORE, BEGIN_CHANGES)))
    op.execute(_replacing(_PIECES._changed(PROJECT_BEFORE, PROJECT_CHANGES)))
    for name in ("source", "event", "episode"):  # what the first has counted the others have seen, and go on from there
        op.execute(f"SELECT refresh_{name}_reading()")
    op.execute(_EPISODES.ENDED_UNTOLD)  # which a word that was read again may have undone
    op.execute("UPDATE reading_pass SET name = 'history', rests_until = '-infinity' WHERE name = 'source'")
    op.execute("DELETE FROM reading_pass WHERE name IN ('event', 'episode')")
    for name in MERGED:
        op.execute(f"DROP FUNCTION refresh_{name}_reading")
        op.execute(_part(name))
    op.execute(WHOLE)


def downgrade() -> None:
    _keep_passes_out("project", "history")
    op.execute("DROP FUNCTION refresh_history_reading")
    for name, function in MERGED.items():
        op.execute(f"DROP FUNCTION copy_{name}_reading")
        op.execute(function.replace("CREATE OR REPLACE FUNCTION", "CREATE FUNCTION"))
    for name in ("event", "episode"):
        op.execute(
            f"INSERT INTO reading_pass SELECT '{name}', started_at, finished_at, read_to"
            " FROM reading_pass WHERE name = 'history'"
        )
    op.execute("UPDATE reading_pass SET name = 'source' WHERE name = 'history'")
    op.execute(_replacing(PROJECT_BEFORE))
    op.execute(_replacing(BEGIN_BEFORE))


def _keep_passes_out(*names: str) -> None:
    for name in names:
        op.execute(f"SELECT pg_advisory_xact_lock(7310913, hashtext('{name}'))")


def _replacing(function: str) -> str:
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
