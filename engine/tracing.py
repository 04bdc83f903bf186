"""A committed batch as spans: one for each record whose publisher keeps its trace, under that trace."""

from typing import Final

from engine.records import Work
from monitoring.tracing import Attributes, Spans
from schemas import traceparent

SPANS_OF_BATCH_MAX: Final = 200  # a flood of traced records must not become a flood of spans


class Tracer:
    """Told of whole batches, after they are committed: no event pays for the others' traces."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def processed(self, step: str, work: Work) -> None:
        """The span lasts as long as its batch took, since that is what its event waited for."""
        left = SPANS_OF_BATCH_MAX
        for record in work.records:
            if record.headers is None or len(record.headers) < 2:
                continue
            parent = traceparent.of_headers(record.headers)
            if parent is None or not traceparent.is_sampled(parent):
                continue
            attributes: Attributes = {
                "messaging.system": "kafka",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
                "messaging.batch.message_count": len(work.records),
            }
            self._spans.record(
                f"process {step}", "consumer", parent, attributes, began_s=work.began_s, ended_s=work.committed_s
            )
            left -= 1
            if not left:
                return
