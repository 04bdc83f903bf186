"""The Quix Streams application: read, make the row, sink. Runs in its own environment, so it imports nothing of ours.

python quix_app.py settings.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # not in our environment
from quixstreams.sinks.community.postgresql import PostgreSQLSink  # type: ignore[import-not-found]


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    application = Application(
        broker_address=settings["bootstrap"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        commit_every=settings["commit_every"],
        auto_create_topics=False,
        state_dir=settings["state_dir"],
        loglevel="WARNING",
    )
    sink = PostgreSQLSink(
        **settings["sink"],
        table_name="status",
        primary_key_columns="project_id",
        upsert_on_primary_key=True,
        schema_auto_update=False,
        include_metadata=False,
    )
    topic = application.topic(settings["topic"], value_deserializer="json")
    application.dataframe(topic).apply(row).sink(sink)
    application.run()


def row(event: dict[str, Any]) -> dict[str, Any]:
    """As every peer's; see traffic.row_of."""
    data = event["data"]
    return {
        "project_id": event["subject"],
        "version": int(event["id"].rpartition("-")[2]) + 1,
        "last_type": event["type"],
        "last_id": event["id"],
        "source": event["source"],
        "event_time": event["time"],
        "amount": data.get("amount"),
        "milestone": data.get("milestone_id"),
        "remark": data.get("remark"),
    }


if __name__ == "__main__":
    main()
