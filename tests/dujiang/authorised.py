"""A Kafka that asks who somebody is and what he may: SCRAM on a listener of its own, the operator on the plain one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from dujiang.embedded.jars import class_path
from dujiang.embedded.kafka import KafkaServer
from dujiang.embedded.ports import LOOPBACK, settle_port

AUTHORISATION = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # Whoever comes by the plain listener; the controller does, too.
    "super.users": "User:ANONYMOUS",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PARTNERS:SASL_PLAINTEXT",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.partners.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
}


class AuthorisedKafka(KafkaServer):
    """`bootstrap` is the operator's; `partners` is where subscribers log in."""

    partners_port = 0

    @property
    def partners(self) -> str:
        return f"{LOOPBACK}:{self.partners_port}"

    def settle(self, port: int) -> None:
        super().settle(port)
        self.partners_port = settle_port(self._home / "partners.port", taken=[self._port, self._controller_port])

    def _properties(self, data: Path) -> str:
        given = super()._properties(data).splitlines()
        ours = [line for line in given if line.partition("=")[0] not in AUTHORISATION]
        more = f",PARTNERS://{self.partners}"
        ours = [line + more if line.startswith(("listeners=", "advertised.listeners=")) else line for line in ours]
        return "\n".join([*ours, *(f"{name}={value}" for name, value in AUTHORISATION.items()), ""])


@contextmanager
def authorised_kafka(home: Path) -> Iterator[AuthorisedKafka]:
    jars = class_path(platformdirs.user_cache_path("dujiang"), progress=lambda _: None)
    server = AuthorisedKafka(home, jars, heap="256m", die_with_parent=True)
    server.settle(0)
    server.start()
    try:
        yield server
    finally:
        server.stop()
