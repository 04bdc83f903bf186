"""A file connector's run: a dropped file is picked up once, resumes after a kill, and tells what became of every row.

`seam` is what a connector speaks, `run` takes a file, `books` is what is kept of it, `report` what came of it. What a
file holds is the connector's business.
"""

from engine.filedrop.books import AlreadyRunning
from engine.filedrop.report import Report
from engine.filedrop.run import Options, run_file, settled, waiting
from engine.filedrop.seam import (
    Drop,
    FileConnector,
    FileRefused,
    Finding,
    Mapped,
    Outbox,
    Refused,
    Taken,
    Unusable,
    event_id,
    finding_fact,
    finding_of,
    is_subject,
    message_of,
)

__all__ = [
    "AlreadyRunning",
    "Drop",
    "FileConnector",
    "FileRefused",
    "Finding",
    "Mapped",
    "Options",
    "Outbox",
    "Refused",
    "Report",
    "Taken",
    "Unusable",
    "event_id",
    "finding_fact",
    "finding_of",
    "is_subject",
    "message_of",
    "run_file",
    "settled",
    "waiting",
]
