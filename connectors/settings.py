"""All connectors' settings; `dujiang/` fills them from its own."""

from pydantic import BaseModel, ConfigDict

from connectors.alertmanager.settings import AlertmanagerSettings
from connectors.eu_calls.settings import EuCallsSettings
from connectors.gtr.settings import GtrSettings
from connectors.kafka_topic.settings import KafkaTopicSettings


class ConnectorSettings(BaseModel):
    """One group a connector; a new connector with settings has its line here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gtr: GtrSettings = GtrSettings()
    eu_calls: EuCallsSettings = EuCallsSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()
    kafka_topic: KafkaTopicSettings = KafkaTopicSettings()


DEFAULT_SETTINGS = ConnectorSettings()
