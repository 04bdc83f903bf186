"""`protocolsettings` of the protocols that have any, as the CloudEvents Subscriptions API names them (3.2.2)."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from schemas.contract import STORABLE
from schemas.subscriptions.model import Protocol

TOPIC_CHARS_MAX: Final = 500
EXPIRY_S_MAX: Final = 2**32 - 1  # four bytes in MQTT


def _topic(name: str) -> str:
    """MQTT 5, 4.7.1: wildcards are for those who subscribe; 4.7.2: what begins with $ is the broker's own."""
    if "+" in name or "#" in name or name.startswith("$") or not name.isprintable():
        raise ValueError("a topic to publish to has no + and no #, begins with no $ and can be printed")
    return name


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Mqtt5Settings(_Settings):
    """How events are published to a broker."""

    topicname: Annotated[
        str, StringConstraints(min_length=1, max_length=TOPIC_CHARS_MAX, pattern=STORABLE), AfterValidator(_topic)
    ] = Field(description="the topic, the same for every event")
    qos: Literal[1] = Field(1, description="at least once: an event counts as delivered when the broker acknowledges it")
    retain: bool = Field(False, description="whether the broker keeps the latest for who subscribes later")
    expiry: int | None = Field(None, ge=1, le=EXPIRY_S_MAX, description="s after which the broker may drop what nobody fetched")


class S3Settings(_Settings):
    """How objects are signed. Where they go the sink says."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")] = Field(
        "us-east-1", description="of the signature; many stores of other makers take any"
    )


# Settings of the others are the subscriber's own and not looked at.
SETTINGS: Final[Mapping[Protocol, type[_Settings]]] = {"MQTT5": Mqtt5Settings, "S3": S3Settings}


def mqtt5_settings(stored: Mapping[str, Any]) -> Mqtt5Settings:
    """Of a subscription that was checked when it was made. Raises ValidationError for what never was."""
    return Mqtt5Settings.model_validate(dict(stored))


def s3_settings(stored: Mapping[str, Any]) -> S3Settings:
    """As `mqtt5_settings`."""
    return S3Settings.model_validate(dict(stored))
