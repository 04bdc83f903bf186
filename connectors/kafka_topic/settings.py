"""What the connector can be told: whose topic, and where it stands."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class KafkaTopicSettings(BaseModel):
    """One topic of one partner. For another topic run another process, with settings of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partner: str = Field("", description="id of the partner whose rights count; `dujiang partners add` registers it")
    bootstrap: str = Field("", description="host:port list of the partner's Kafka")
    topic: str = Field("", description="the partner's topic: one CloudEvent a record, structured or binary")
    security_protocol: str = Field("PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    sasl_mechanism: str = Field("", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: no SASL")
    sasl_username: str = Field("", description="user that the partner gave us; it needs to read the topic, and nothing else")
    sasl_password: SecretStr = Field(SecretStr(""), description="password of that user")
    ssl_ca_location: str = Field("", description="file with the partner's certificate authority; empty: the system's")
    http_host: str = Field("127.0.0.1", description="address of the connector's health and metrics")
    http_port: int = Field(
        8684, ge=0, le=65_535, description="TCP port of health and metrics, another for each topic; 0: a free one"
    )
    records_max: int = Field(1_000, ge=1, le=10_000, description="records a batch")

    def client(self) -> dict[str, str]:
        """What a Kafka client needs."""
        given = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.get_secret_value(),
            "ssl.ca.location": self.ssl_ca_location,
        }
        return {name: value for name, value in given.items() if value}

    def missing(self) -> list[str]:
        """Settings without which there is nothing to read."""
        return [name for name in ("partner", "bootstrap", "topic") if not getattr(self, name)]
