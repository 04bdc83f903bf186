"""What the connector can be told."""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field


class GtrSettings(BaseModel):
    """`extracted_on`: the extract's day where the file's name has none. Shares are fractions of the file's rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extracted_on: date | None = Field(None, description="the extract's day where the file's name has none")
    row_bytes_max: int = Field(default=65_536, gt=0, description="bytes of one row")
    zero_length_share_max: float = Field(
        default=0.05, ge=0, le=1, description="share of rows whose end is their start, above which it is a finding, 0 to 1"
    )
    zero_length_rows_min: int = Field(default=20, gt=0, description="rows; fewer say nothing about a share")
