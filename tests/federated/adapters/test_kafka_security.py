"""The Kafka adapter at brokers that ask who is there: TLS, SCRAM users of channels, rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialUpsertion,
)

from federated.adapters.base import ChannelAdapter, ChannelUnavailable
from federated.adapters.kafka import PASSWORD_VARIABLE, KafkaAdapter, user_name
from runtime.federated_manager.errors import ChannelError
from runtime.federated_manager.messages import Topic
from tests.federated.adapters.contract import AdapterContract, Connect, new_spec
from tests.services.certificates import Authority
from tests.services.kafka import Kafka

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.kafka]
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
OWN_NAME, WORKFLOWS_NAME, PASSWORD = "orchestrator", "workflows", "a secret of the tests"
# As the how-to has them.
OWN_RIGHTS_ON_THE_CLUSTER = (ACLOperation.DESCRIBE, ACLOperation.DESCRIBE_CONFIGS, ACLOperation.ALTER)
OWN_RIGHTS_ON_TOPICS = (ACLOperation.CREATE, ACLOperation.DELETE, ACLOperation.DESCRIBE)
WORKFLOWS_RIGHTS_ON_TOPICS = (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE)


def right(name: str, operation: ACLOperation, kind: ResourceType) -> ACL:
    pattern = ResourcePattern(kind, "kafka-cluster" if kind == ResourceType.CLUSTER else "*")
    return ACL(f"User:{name}", "*", operation, ACLPermissionType.ALLOW, pattern)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker with three guarded doors, that lets nobody do what no right allows, but for the service."""
    issued = authority.issue("broker")
    key_store = tmp_path_factory.mktemp("broker") / "broker.pem"
    key_store.write_bytes(issued.key.read_bytes() + issued.certificate.read_bytes())
    doors = {"TLS": "SSL", "NAMED": "SASL_PLAINTEXT", "BOTH": "SASL_SSL"}
    properties = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(key_store),
    }
    properties |= {f"listener.name.{door.lower()}.scram-sha-512.sasl.jaas.config": SCRAM for door in ("NAMED", "BOTH")}
    with Kafka(properties, doors) as broker:
        with broker.admin() as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, "SCRAM-SHA-512", PASSWORD) for name in (OWN_NAME, WORKFLOWS_NAME)]
            )
            rights = [right(OWN_NAME, each, ResourceType.CLUSTER) for each in OWN_RIGHTS_ON_THE_CLUSTER]
            rights += [right(OWN_NAME, each, ResourceType.TOPIC) for each in OWN_RIGHTS_ON_TOPICS]
            rights += [right(WORKFLOWS_NAME, each, ResourceType.TOPIC) for each in WORKFLOWS_RIGHTS_ON_TOPICS]
            assert admin.create_acls(rights)["failed"] == []
        yield broker


def make_adapter(bootstrap: str, protocol: str, authority: Authority, **options: Any) -> KafkaAdapter:
    own = {
        "bootstrap_servers": bootstrap,
        "security_protocol": protocol,
        "ca_file": str(authority.certificate) if protocol.endswith("SSL") else "",
        "username": OWN_NAME,
        "password": PASSWORD,
        "status_retention_seconds": 3600,
        "timeout_seconds": 10,
    } | options
    return KafkaAdapter("kafka", own)


class TestOverTls(AdapterContract):
    @pytest.fixture
    def adapter(self, guarded: Kafka, authority: Authority) -> ChannelAdapter:
        return make_adapter(guarded.addresses["TLS"], "SSL", authority)


class TestWithUsersOfChannels(AdapterContract):
    @pytest.fixture
    def adapter(self, guarded: Kafka, authority: Authority) -> ChannelAdapter:
        return make_adapter(guarded.addresses["NAMED"], "SASL_PLAINTEXT", authority)


class TestWithUsersOfChannelsOverTls(AdapterContract):
    @pytest.fixture
    def adapter(self, guarded: Kafka, authority: Authority) -> ChannelAdapter:
        return make_adapter(guarded.addresses["BOTH"], "SASL_SSL", authority)

    def test_a_channels_user_gets_into_no_other_channel(self, adapter: ChannelAdapter, connect: Connect) -> None:
        spec, other = new_spec(), new_spec()
        adapter.open(other)
        stolen = adapter.open(spec) | {"FEDERATED_KAFKA_USERNAME": user_name(spec.id)}

        intruder = connect(other, stolen)

        with pytest.raises(ChannelError, match="Authorization"):
            intruder.publish(Topic.TO_CLIENTS, "k", {}, b"1")
        with pytest.raises(ChannelError, match="Authorization"):
            intruder.read(Topic.TO_MANAGER, 0)

    def test_a_closed_channels_user_is_gone(self, adapter: ChannelAdapter, connect: Connect, guarded: Kafka) -> None:
        spec = new_spec()
        values = adapter.open(spec)

        adapter.close(spec.id)

        with guarded.admin() as admin:
            user = user_name(spec.id)
            assert admin.describe_user_scram_credentials([user])[user]["credential_infos"] == []
            every = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
            mine = ACLFilter(f"User:{user}", None, ACLOperation.ANY, ACLPermissionType.ANY, every)
            assert admin.describe_acls(mine)[0] == []
        with pytest.raises(ChannelError, match=r"authentication|SaslAuthentication"):
            connect(spec, values).publish(Topic.STATUS, "k", {}, b"1")

    def test_another_password_opens_nothing(self, adapter: ChannelAdapter, connect: Connect) -> None:
        spec = new_spec()
        adapter.open(spec)

        with pytest.raises(ChannelError, match="authentication"):
            connect(spec, {PASSWORD_VARIABLE: "guessed"}).publish(Topic.STATUS, "k", {}, b"1")


class TestWithOneUserForAllWorkflows(AdapterContract):
    @pytest.fixture
    def adapter(self, guarded: Kafka, authority: Authority) -> ChannelAdapter:
        shared = {"workflow_username": WORKFLOWS_NAME, "workflow_password": PASSWORD}
        return make_adapter(guarded.addresses["BOTH"], "SASL_SSL", authority, **shared)


@pytest.mark.parametrize(
    ("options", "word"), [({"password": "wrong"}, "bootstrap"), ({"ca_file": ""}, "certificate verify failed")]
)
def test_a_broker_that_is_not_trusted_or_does_not_trust_us_is_unavailable(
    guarded: Kafka, authority: Authority, options: dict[str, str], word: str
) -> None:
    adapter = make_adapter(guarded.addresses["BOTH"], "SASL_SSL", authority, **{"timeout_seconds": 2, **options})

    with pytest.raises(ChannelUnavailable, match=word):
        adapter.remains()
