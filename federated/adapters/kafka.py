"""Channels over Kafka: two topics for each channel, and the topic `status` that all channels share.

The limits for a message were tested on brokers (Kafka 3.9): a topic's `max.message.bytes` overrides the broker's
`message.max.bytes`, and `replica.fetch.max.bytes` does not stop replicas, since a first batch is always sent whole
(KIP-74). Two limits remain: `socket.request.max.bytes`, which no topic can change, and the size of a segment, which a
topic can.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from django.utils.crypto import salted_hmac
from kafka import KafkaProducer
from kafka import errors as kafka_errors
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from federated.adapters.base import ChannelAdapter, ChannelRefused, ChannelSpec, ChannelUnavailable
from federated.adapters.environment import common_environment
from federated.adapters.kafka_options import KafkaOptions, read_options
from federated.channels import TO_CLIENTS, failure_headers, read_channel_id

logger = logging.getLogger(__name__)

STATUS = "status"
_TO_CLIENTS = f"_{TO_CLIENTS}"
ENDS = ("_models_to_manager", _TO_CLIENTS)
PASSWORD_VARIABLE = "FEDERATED_KAFKA_PASSWORD"  # noqa: S105 - the variable's name, not its value
_SALT = "orchestrator.federated-kafka"
# The bytes in a topic's limit besides the model: keys, headers, the frames of the compression.
_OVERHEAD_SHARE, _OVERHEAD_BYTES = 10_000, 16_384
# The bytes of a request besides its one message.
_REQUEST_BYTES = 1024
_LARGEST_MESSAGE = 2**31 - 1 - _REQUEST_BYTES
# Room for evaluation metrics, if models do not go over the topics or are smaller than that.
_LEAST_BYTES = 1024 * 1024
_LEAST_RETENTION_SECONDS = 60
_LOOK_AGAIN_SECONDS = 0.05
_NEVER = (
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidTopicError,
    kafka_errors.PolicyViolationError,
)
_MAY_DO = (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE)


class KafkaAdapter(ChannelAdapter):
    """Options: `federated.adapters.kafka_options.KafkaOptions`, with `ca_file` or `ca` in place of `authority`."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self._options = read_options(options)
        self._tls = _tls_context(self._options)

    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        options = self._options
        told = {
            **common_environment(spec),
            "COMMUNICATION_ADAPTER": "KAFKA",
            "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": options.workflow_bootstrap_servers,
            "FEDERATED_KAFKA_SECURITY_PROTOCOL": options.security_protocol,
        }
        if options.is_encrypted and options.authority:
            told["FEDERATED_KAFKA_CA"] = options.authority
        if options.is_authenticated:
            told["FEDERATED_KAFKA_SASL_MECHANISM"] = options.sasl_mechanism
            told["FEDERATED_KAFKA_USERNAME"] = options.workflow_username or user_name(spec.id)
        if options.claim_check_api:
            told["FEDERATED_CLAIM_CHECK_URL"] = (
                f"{options.claim_check_api}/api/channels/{quote(spec.id, safe='')}/models/"
            )
        return told

    def secret_variables(self) -> tuple[str, ...]:
        return (PASSWORD_VARIABLE,) if self._options.is_authenticated else ()

    def open(self, spec: ChannelSpec) -> dict[str, str]:
        with self._admin(f"opening the channel {spec.id}") as admin:
            limit = message_limit(_LEAST_BYTES if self._options.claim_check_api else spec.max_model_bytes)
            broker = _BrokerLimits.of(admin)
            if limit > broker.largest_message:
                raise ChannelRefused(_too_large(spec, limit, broker.largest_message))
            if self._options.gives_users:
                self._make_user(admin, spec.id)
            self._make_topics(admin, spec, limit, broker)
        return {PASSWORD_VARIABLE: self._workflow_password(spec.id)} if self._options.is_authenticated else {}

    def fail(self, channel_id: str, reason: str) -> None:
        topic = f"{channel_id}{_TO_CLIENTS}"
        headers = [(name, value.encode()) for name, value in failure_headers(reason).items()]
        with self._translated(f"telling the clients of {channel_id} of a failure"):
            with self._connected(_Admin) as admin:
                if topic not in set(admin.list_topics()):
                    return
            with self._connected(_Producer) as producer:
                told = producer.send(topic, key=channel_id.encode(), value=None, headers=headers)
                told.get(self._options.timeout_seconds)

    def close(self, channel_id: str) -> None:
        with self._admin(f"closing the channel {channel_id}") as admin:
            # The topics are deleted last: while they exist, the channel's other parts can be found.
            if self._options.gives_users:
                _delete_user(admin, channel_id)
            self._delete_topics(admin, topics_of(channel_id))

    def remains(self) -> dict[str, tuple[str, ...]]:
        with self._admin("listing topics") as admin:
            names = admin.list_topics()
        found: dict[str, tuple[str, ...]] = defaultdict(tuple)
        for name in sorted(names):
            for end in ENDS:
                channel_id = name.removesuffix(end)
                if channel_id != name and read_channel_id(channel_id) is not None:
                    found[channel_id] += (name,)
        return dict(found)

    def _make_topics(self, admin: KafkaAdminClient, spec: ChannelSpec, limit: int, broker: _BrokerLimits) -> None:
        left = max((spec.ends_at - timezone.now()).total_seconds(), _LEAST_RETENTION_SECONDS)
        compacted = {"cleanup.policy": "compact,delete"}
        models = compacted | {
            "compression.type": "gzip",
            "max.message.bytes": str(limit),
            "retention.ms": str(int(left * 1000)),
        }
        if limit > broker.segment_bytes:
            models["segment.bytes"] = str(limit)
        status = compacted | {"retention.ms": str(self._options.status_retention_seconds * 1000)}
        wanted = dict.fromkeys(topics_of(spec.id), models) | {STATUS: status}
        there = set(admin.list_topics())
        replication = self._options.replication_factor
        missing = {
            name: {"num_partitions": 1, "replication_factor": replication, "configs": configs}
            for name, configs in wanted.items()
            if name not in there
        }
        if missing:
            answer = admin.create_topics(missing, raise_errors=False)
            _raise_errors(answer["topics"], kafka_errors.TopicAlreadyExistsError)
        admin.wait_for_topics(list(wanted), timeout_ms=self._milliseconds)

    def _delete_topics(self, admin: KafkaAdminClient, names: Sequence[str]) -> None:
        there = [name for name in names if name in set(admin.list_topics())]
        if not there:
            return
        answer = admin.delete_topics(there, raise_errors=False)
        _raise_errors(answer["topics"], kafka_errors.UnknownTopicOrPartitionError)
        end = time.monotonic() + self._options.timeout_seconds
        # Brokers delete topics asynchronously.
        while set(there) & set(admin.list_topics()):
            if time.monotonic() > end:
                raise ChannelUnavailable(f"Kafka has not deleted the topics {', '.join(there)} in time")
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _make_user(self, admin: KafkaAdminClient, channel_id: str) -> None:
        user = user_name(channel_id)
        upsertion = UserScramCredentialUpsertion(
            user, self._options.sasl_mechanism, self._workflow_password(channel_id)
        )
        refusal = admin.alter_user_scram_credentials([upsertion])[user]
        if refusal:
            raise ChannelUnavailable(f"Kafka does not create the user {user}: {refusal}")
        principal = f"User:{user}"
        rights = [
            ACL(principal, "*", operation, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, topic))
            for topic in (STATUS, *topics_of(channel_id))
            for operation in _MAY_DO
        ]
        failed = set(admin.create_acls(rights)["failed"])
        # Without an authorizer a broker allows everything to every user.
        failed.discard(kafka_errors.SecurityDisabledError)
        if failed:
            raise ChannelUnavailable(f"Kafka does not grant the user {user} its rights: {failed.pop().__name__}")

    def _workflow_password(self, channel_id: str) -> str:
        if self._options.workflow_username:
            return self._options.workflow_password
        return salted_hmac(_SALT, channel_id, algorithm="sha256").hexdigest()

    @property
    def _milliseconds(self) -> int:
        return int(self._options.timeout_seconds * 1000)

    @contextmanager
    def _admin(self, what: str) -> Iterator[KafkaAdminClient]:
        """Yield a connection, and translate Kafka's errors into ours."""
        with self._translated(what), self._connected(_Admin) as admin:
            yield admin

    def _connected(self, kind: type[Any]) -> Any:
        """Connect as an administrator or as a sender. Raises KafkaError and OSError."""
        options = self._options
        settings: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in options.bootstrap_servers.split(",")],
            "client_id": "orchestrator",
            "request_timeout_ms": self._milliseconds,
            "bootstrap_timeout_ms": self._milliseconds,
            "security_protocol": options.security_protocol,
            "ssl_context": self._tls,
        }
        if options.is_authenticated:
            settings |= {
                "sasl_mechanism": options.sasl_mechanism,
                "sasl_plain_username": options.username,
                "sasl_plain_password": options.password,
            }
        _knock(settings["bootstrap_servers"], self._tls, options.timeout_seconds)
        return kind(**settings)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except _NEVER as error:
            raise ChannelRefused(f"Kafka refuses {what}: {_short(error)}") from error
        except (kafka_errors.KafkaError, OSError) as error:
            raise ChannelUnavailable(
                f"Kafka at {self._options.bootstrap_servers} failed at {what}: {_short(error)}"
            ) from error


class _Admin(KafkaAdminClient):  # type: ignore[misc] # kafka-python has no types
    """An administrator's client that leaves no thread behind if it cannot connect."""

    def __init__(self, **configs: Any) -> None:
        try:
            super().__init__(**configs)
        except BaseException:
            if (net := getattr(self, "_net", None)) is not None:
                self._client.close()
                net.stop()
            raise


class _Producer(KafkaProducer):  # type: ignore[misc] # kafka-python has no types
    """A sender that does not wait for unsent messages when it is closed."""

    def __init__(self, **configs: Any) -> None:
        super().__init__(**configs, max_block_ms=configs["request_timeout_ms"], enable_idempotence=False)

    def __exit__(self, *_: object) -> None:
        self.close(timeout=0)


class _BrokerLimits:
    """The limits in the brokers' configurations, the lowest of all brokers; an unknown limit does not apply."""

    def __init__(self, configurations: Sequence[Mapping[str, Any]]) -> None:
        request = self._least(configurations, "socket.request.max.bytes", _LARGEST_MESSAGE + _REQUEST_BYTES)
        self.largest_message = min(request - _REQUEST_BYTES, _LARGEST_MESSAGE)
        self.segment_bytes = self._least(configurations, "log.segment.bytes", _LARGEST_MESSAGE)

    @classmethod
    def of(cls, admin: KafkaAdminClient) -> _BrokerLimits:
        """Ask all brokers of the cluster."""
        brokers = admin.describe_cluster()["brokers"]
        names = [str(broker["broker_id"]) for broker in brokers if not broker.get("is_fenced")]
        answer = admin.describe_configs([ConfigResource("BROKER", name) for name in names], config_filter="all")
        told = answer.get("broker", {})
        if not all(told.get(name) for name in names):
            logger.warning(
                "Kafka does not show its brokers' configuration; the sizes of models are not checked against it"
            )
        return cls([told.get(name, {}) for name in names])

    @staticmethod
    def _least(configurations: Sequence[Mapping[str, Any]], name: str, default: int) -> int:
        return min((int(each[name]["value"]) for each in configurations if name in each), default=default)


def topics_of(channel_id: str) -> tuple[str, ...]:
    """Return the names of a channel's own topics."""
    return tuple(f"{channel_id}{end}" for end in ENDS)


def user_name(channel_id: str) -> str:
    """Return the name of a channel's own user: short, with characters that every tool accepts."""
    return f"federated-{hashlib.sha256(channel_id.encode()).hexdigest()[:24]}"


def message_limit(model_bytes: int) -> int:
    """Return the `max.message.bytes` that a model of this many bytes needs."""
    size = max(model_bytes, _LEAST_BYTES)
    return size + size // _OVERHEAD_SHARE + _OVERHEAD_BYTES


def _knock(servers: Sequence[str], tls: ssl.SSLContext | None, timeout_seconds: float) -> None:
    """Raise OSError unless one of the servers accepts a connection: kafka-python leaves sockets open if none does."""
    for server in servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), timeout_seconds / len(servers)) as plain:
                if tls is not None:
                    tls.wrap_socket(plain, server_hostname=host).close()
        except OSError as error:
            last = error
        else:
            return
    raise last


def _tls_context(options: KafkaOptions) -> ssl.SSLContext | None:
    if not options.is_encrypted:
        return None
    return ssl.create_default_context(cadata=options.authority or None)


def _delete_user(admin: KafkaAdminClient, channel_id: str) -> None:
    user = user_name(channel_id)
    every = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    rights = ACLFilter(f"User:{user}", None, ACLOperation.ANY, ACLPermissionType.ANY, every)
    ((_filter, _deleted, error),) = admin.delete_acls([rights])
    if error not in (kafka_errors.NoError, kafka_errors.SecurityDisabledError):
        raise error(f"the rights of {user}")
    known = admin.describe_user_scram_credentials([user])[user]["credential_infos"]
    deletions = [UserScramCredentialDeletion(user, each["mechanism"]) for each in known]
    if deletions and (refusal := admin.alter_user_scram_credentials(deletions)[user]):
        raise ChannelUnavailable(f"Kafka does not delete the user {user}: {refusal}")


def _raise_errors(results: Sequence[Mapping[str, Any]], harmless: type[Exception]) -> None:
    for result in results:
        kind = kafka_errors.for_code(result["error_code"])
        if kind not in (kafka_errors.NoError, harmless):
            raise kind(f"{result['name']}: {result.get('error_message') or 'no reason given'}")


def _too_large(spec: ChannelSpec, limit: int, largest: int) -> str:
    return (
        f"The declared model of {spec.max_model_bytes} bytes needs messages of {limit} bytes; Kafka's brokers accept "
        f"{largest} bytes (socket.request.max.bytes). Declare a smaller model, or use claim check for models."
    )


def _short(error: Exception) -> str:
    # Some of kafka-python's errors quote whole requests.
    return str(error)[:300] or type(error).__name__
