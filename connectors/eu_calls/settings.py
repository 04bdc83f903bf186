"""What the connector can be told."""

from datetime import date, time
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator


class EuCallsSettings(BaseModel):
    """`extracted_on`: the list's day where the file's name has none. A deadline is a date; it means that local time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extracted_on: date | None = Field(None, description="the list's day where the file's name has none")
    row_bytes_max: int = Field(default=1 << 20, gt=0, description="bytes of one row")
    deadline_time: time = Field(time(17), description="local time of day that a deadline's date means")
    deadline_zone: str = Field("Europe/Brussels", description="time zone of the deadlines, by its tz database name")
    lists_open_only: bool = Field(
        default=True, description="true: the drop lists open and forthcoming calls; a closed one is odd"
    )

    @field_validator("deadline_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, LookupError, ValueError) as error:
            raise ValueError(f"{name!r} is not a time zone of the tz database (Europe/Brussels is one)") from error
        return name
