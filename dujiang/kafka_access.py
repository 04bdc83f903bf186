"""Users and rights of subscribers on the broker, through kafka-python: SCRAM-SHA-512 credentials and ACLs.

All users whose names begin with the prefix are ours alone: what else somebody gave them by hand is taken away. Nothing else on
the broker is touched.
"""

import time
from collections.abc import Callable, Collection, Iterable

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import KafkaError, NoError, SecurityDisabledError

from engine.errors import EnvironmentFault

ANY_HOST = "*"
_PRINCIPAL = "User:"
_ASK_AGAIN_S = 0.1
_READ = (ACLOperation.READ, ACLOperation.DESCRIBE)


def rights_of(user: str, topics: Iterable[str]) -> set[ACL]:
    """To read these topics whole, in groups named by `groups_of`. READ of a group includes DESCRIBE."""
    own_groups = ResourcePattern(ResourceType.GROUP, groups_of(user), ACLResourcePatternType.PREFIXED)
    rights = {_allowed(user, ACLOperation.READ, own_groups)}
    for topic in topics:
        rights |= {_allowed(user, operation, ResourcePattern(ResourceType.TOPIC, topic)) for operation in _READ}
    return rights


def groups_of(user: str) -> str:
    """What the names of a user's consumer groups begin with."""
    return f"{user}."


def said(right: ACL) -> str:
    """One right in a line, for people."""
    on = right.resource_pattern
    star = "*" if on.pattern_type is ACLResourcePatternType.PREFIXED else ""
    return f"{right.permission_type.name} {right.operation.name} {on.resource_type.name.lower()} {on.resource_name}{star}"


def user_of(right: ACL) -> str:
    """Whose right it is."""
    return str(right.principal.removeprefix(_PRINCIPAL))


class Access:
    """Users below one prefix, and their rights. Raises EnvironmentFault or KafkaError.

    `seen_s`: how long a broker may take to know of a change the controller has made; a loaded one takes a second.
    """

    def __init__(self, admin: KafkaAdminClient, prefix: str, seen_s: float = 10) -> None:
        self._admin = admin
        self._prefix = prefix
        self._seen_s = seen_s

    def rights(self) -> set[ACL]:
        """Of all our users. Raises EnvironmentFault when the broker asks nobody what he may."""
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        try:
            found, _ = self._admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything))
        except SecurityDisabledError as error:
            raise EnvironmentFault(
                "Kafka has no authorizer, so every user may read every topic / Kafka 未启用授权，任何用户都能读取任何主题",
                "set authorizer.class.name and super.users on the brokers / 请在 broker 上设置这两项",
            ) from error
        return {right for right in found if right.principal.startswith(_PRINCIPAL + self._prefix)}

    def users(self) -> set[str]:
        """All of ours that can log in."""
        known = self._admin.describe_user_scram_credentials()
        return {user for user, found in known.items() if user.startswith(self._prefix) and found["credential_infos"]}

    def put_user(self, user: str, password: str) -> None:
        """A new user, or a new password for one: connections that stand go on until Kafka asks again."""
        self._alter([UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, password)])
        # kafka-python takes a refusal without a message for a success
        self._await(lambda: user in self.users(), f"made the user {user}")

    def remove_users(self, users: Collection[str]) -> None:
        """Their credentials of every mechanism."""
        if not users:
            return
        known = self._admin.describe_user_scram_credentials(sorted(users))
        self._alter(
            [
                UserScramCredentialDeletion(user, credential["mechanism"])
                for user, found in known.items()
                for credential in found["credential_infos"]
            ]
        )
        self._await(lambda: self.users().isdisjoint(users), "removed the users " + ", ".join(sorted(users)))

    def allow(self, rights: Collection[ACL]) -> None:
        if not rights:
            return
        failed = self._admin.create_acls(list(rights))["failed"]
        if failed:
            raise failed[0]("rights could not be given")
        self._await(lambda: self.rights().issuperset(rights), f"given {len(rights)} rights")

    def take(self, rights: Collection[ACL]) -> None:
        if not rights:
            return
        taken = self._admin.delete_acls([_only(right) for right in rights])
        failed: list[type[KafkaError]] = [error for _, _, error in taken if error is not NoError]
        if failed:
            raise failed[0]("rights could not be taken away")
        self._await(lambda: self.rights().isdisjoint(rights), f"taken {len(rights)} rights away")

    def _alter(self, alterations: list[UserScramCredentialUpsertion | UserScramCredentialDeletion]) -> None:
        if not alterations:
            return
        for user, refused in self._admin.alter_user_scram_credentials(alterations).items():
            if refused is not None:
                raise EnvironmentFault(
                    f"Kafka refuses to change the user {user}: {refused}",
                    "see the broker's log; this client needs ALTER on the cluster",
                )

    def _await(self, holds: Callable[[], bool], done: str) -> None:
        until = time.monotonic() + self._seen_s
        while not holds():
            if time.monotonic() >= until:
                raise EnvironmentFault(f"Kafka has not {done}", "see the broker's log, and try again")
            time.sleep(_ASK_AGAIN_S)


def _allowed(user: str, operation: ACLOperation, on: ResourcePattern) -> ACL:
    return ACL(_PRINCIPAL + user, ANY_HOST, operation, ACLPermissionType.ALLOW, on)


def _only(right: ACL) -> ACLFilter:
    """A filter that matches this right alone."""
    on = right.resource_pattern
    pattern = ResourcePatternFilter(on.resource_type, on.resource_name, on.pattern_type)
    return ACLFilter(right.principal, right.host, right.operation, right.permission_type, pattern)
