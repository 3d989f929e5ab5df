from pathlib import Path

import pytest

from runtime.errors import ArgumentsError
from runtime.federated_manager.settings import (
    ClientSettings,
    ServerSettings,
    failure_endpoint_in,
    read_settings,
)

SERVER = ["server", "15_-SEP-_", "3", "2", "merging_models"]
CLIENT = ["client", "15_-SEP-_", "partner-a", "3", "training_from_scratch"]
BOTH = {
    "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": "kafka:9092, [::1]:9093",
    "COMMUNICATION_ADAPTER_POLL_TIME_OUT": "1",
    "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": "10",
    "AI_ENGINE_LINKAGE_ADAPTER_MAX_ITERATION_TIME": "1200",
    "AI_ENGINE_LINKAGE_ADAPTER_MAX_INITIALIZATION_TIME": "60.5",
    "AI_ENGINE_LINKAGE_ADAPTER_MAX_FINALIZATION_TIME": "30",
    "AI_ENGINE_LINKAGE_ADAPTER_MAX_FINALIZATION_RETRIES": "3",
}
SERVERS = BOTH | {
    "COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME": "100",
    "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME": "200",
}
CLIENTS = BOTH | {
    "COMMUNICATION_ADAPTER_INITIALIZATION_MESSAGE_TIME_OUT": "300",
    "COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT": "400",
}


def _server(**more: str) -> ServerSettings:
    settings = read_settings(SERVER, SERVERS | more)
    assert isinstance(settings, ServerSettings)
    return settings


def _faults(argv: list[str], environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ArgumentsError) as raised:
        read_settings(argv, environment)
    return raised.value.faults


def test_a_server_has_the_contracts_defaults() -> None:
    settings = _server()

    assert (settings.channel_id, settings.iterations, settings.clients) == ("15_-SEP-_", 3, 2)
    assert (settings.minimum_clients, settings.continues, settings.aggregation) == (2, False, "engine")
    assert settings.unmerged_models == Path("/usr/application/output/model/")
    assert settings.merged_model == Path("/usr/application/input/models/")
    assert settings.metrics == Path("/usr/application/output/evaluation_metrics/")
    assert (settings.engine.client_host, settings.engine.server_host) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert (settings.engine.ping_url, settings.engine.callback_url) == ("/api/ping", "/api/callback")
    assert settings.channel.max_model_size == 10 * 1024
    assert settings.channel.security.protocol == "PLAINTEXT"
    assert settings.work.parent == Path("/usr/application/input")


def test_a_client_has_the_contracts_defaults() -> None:
    settings = read_settings([*CLIENT, "--failure-endpoint", "http://o/fail/"], CLIENTS)

    assert isinstance(settings, ClientSettings)
    assert (settings.client, settings.iterations) == ("partner-a", 3)
    assert settings.failure_endpoint == "http://o/fail/"
    assert settings.merged_model == Path("/usr/application/input/model/")
    assert settings.unmerged_model == Path("/usr/application/output/model/")
    assert settings.metrics == Path("/usr/application/output/evaluation_metrics.json")
    assert (settings.initialization_time_out, settings.start_time_out) == (300, 400)


def test_what_is_optional_is_read() -> None:
    settings = _server(
        FEDERATED_MINIMUM_CLIENTS="1",
        FEDERATED_ROUND_POLICY="continue",
        FEDERATED_AGGREGATION="trimmed_mean",
        FEDERATED_TRIM="0.1",
        FEDERATED_CHANNEL_PATIENCE="7",
        FEDERATED_WORK_FOLDER="/w",
        FEDERATED_KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        FEDERATED_KAFKA_USERNAME="u",
        FEDERATED_KAFKA_PASSWORD="p",
        FEDERATED_KAFKA_CA_FILE="/ca.pem",
    )

    assert (settings.minimum_clients, settings.continues) == (1, True)
    assert (settings.aggregation, settings.trim, settings.channel.patience) == ("trimmed_mean", 0.1, 7)
    assert settings.work.parent == Path("/w")
    security = settings.channel.security
    assert (security.encrypted, security.authenticated, security.mechanism) == (True, True, "SCRAM-SHA-512")
    assert (security.username, security.password, security.authority) == ("u", "p", Path("/ca.pem"))


def test_two_roles_have_two_work_folders() -> None:
    names = {read_settings([*CLIENT[:2], name, *CLIENT[3:]], CLIENTS).work.name for name in ("a", "b")}

    assert len(names | {_server().work.name}) == 3


def test_every_fault_is_named_at_once() -> None:
    faults = _faults(
        ["server", "id", "0", "2", "merging_models"],
        {
            "COMMUNICATION_ADAPTER_POLL_TIME_OUT": "soon",
            "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE": "1.5",
            "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": "kafka",
            "AI_ENGINE_LINKAGE_ADAPTER_CLIENT_HOST": "nowhere",
            "AI_ENGINE_LINKAGE_ADAPTER": "OTHER",
            "FEDERATED_TRIM": "0.5",
            "FEDERATED_PROGRESS_ENDPOINT": "ftp://x",
        },
    )

    told = "\n".join(faults)
    for fault in (
        "NUMBER_ITERATIONS: invalid",
        "COMMUNICATION_ADAPTER_POLL_TIME_OUT must be a number of at least 0, not 'soon'",
        "COMMUNICATION_ADAPTER_MAX_MODEL_SIZE must be a whole number, not 1.5",
        "'kafka' is not of the form host:port",
        "AI_ENGINE_LINKAGE_ADAPTER_CLIENT_HOST: 'nowhere' is not of the form host:port",
        "AI_ENGINE_LINKAGE_ADAPTER must be one of ASYNC_REST_API, not 'OTHER'",
        "AI_ENGINE_LINKAGE_ADAPTER_MAX_ITERATION_TIME is missing",
        "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME is missing",
        "FEDERATED_TRIM must be below 0.5, not 0.5",
        "FEDERATED_PROGRESS_ENDPOINT must be an HTTP address, not 'ftp://x'",
    ):
        assert fault in told


@pytest.mark.parametrize(
    ("argv", "environment", "fault"),
    [
        ([], SERVERS, "required: role"),
        ([*CLIENT[:4], "merging_models"], CLIENTS, "use_case: invalid choice"),
        ([*CLIENT[:2], "../up", *CLIENT[3:]], CLIENTS, "CLIENT_ID '../up' must be usable as the name of a file"),
        (SERVER, SERVERS | {"FEDERATED_MINIMUM_CLIENTS": "3"}, "FEDERATED_MINIMUM_CLIENTS must be from 1 to 2, not 3"),
        (SERVER, SERVERS | {"COMMUNICATION_ADAPTER": "MAIL"}, "COMMUNICATION_ADAPTER must be one of KAFKA, DATABASE"),
        (SERVER, SERVERS | {"COMMUNICATION_ADAPTER": "DATABASE"}, "_CONFIG must be an HTTP address"),
        (SERVER, SERVERS | {"FEDERATED_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "FEDERATED_KAFKA_USERNAME is missing"),
    ],
)
def test_a_fault_is_named(argv: list[str], environment: dict[str, str], fault: str) -> None:
    assert fault in "\n".join(_faults(argv, environment))


@pytest.mark.parametrize(
    ("argv", "endpoint"),
    [
        (["sever", "--failure-endpoint", "http://o/"], "http://o/"),
        (["--failure-endpoint=http://o/?a=b"], "http://o/?a=b"),
        (["--failure-endpoint"], ""),
        ([], ""),
    ],
)
def test_the_failure_endpoint_is_found_in_a_wrong_command_line(argv: list[str], endpoint: str) -> None:
    assert failure_endpoint_in(argv) == endpoint
