"""Limits of the codec, each with its name. Sizes are defaults: decoders take them as arguments."""

from typing import Final

from schemas.cloudevents.errors import CloudEventError

# One event on the wire. The norm asks for 64 KiB at least; Kafka's own default for a record is 1 MiB.
EVENT_BYTES_MAX: Final = 1024 * 1024
# One HTTP batch: the whole body, and the events in it.
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
BATCH_EVENTS_MAX: Final = 1000
# Arrays and objects inside one another, counted in `data` alone: a scalar is 0, `[]` is 1.
DATA_DEPTH_MAX: Final = 64


def check_size(size_bytes: int, bytes_max: int, what: str) -> None:
    """Raises `too_large`."""
    if size_bytes > bytes_max:
        raise CloudEventError(
            "too_large",
            f"{what} has {size_bytes} bytes, at most {bytes_max} are taken; send less data or a 'dataref'",
        )
