"""The settings of a role, from command line and environment (contracts/federated-protocol.md, and further options)."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from runtime.errors import ArgumentsError
from runtime.federated_manager.channel.broker import Security
from runtime.federated_manager.channel.kafka import faults_of
from runtime.federated_manager.messages import is_safe_name
from runtime.small_server import split_host

KAFKA, DATABASE = "KAFKA", "DATABASE"
FAIL, CONTINUE = "fail", "continue"
AGGREGATIONS = ("engine", "weighted_mean", "trimmed_mean", "median")
TRAININGS = ("training_from_scratch", "training_from_pretrained_model")
MERGING = "merging_models"
KILOBYTE = 1024
_SECURITY = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True)
class ChannelSettings:
    """How to reach the channel; times in seconds, sizes in bytes."""

    adapter: str
    bootstrap: str
    poll_time_out: float
    max_model_size: int
    patience: float
    security: Security


@dataclass(frozen=True)
class EngineSettings:
    """The address and the time limits of the AI engine; times in seconds."""

    client_host: str
    server_host: str
    ping_url: str
    run_url: str
    end_url: str
    callback_url: str
    max_iteration_time: float
    max_initialization_time: float
    max_finalization_time: float
    max_finalization_retries: int


@dataclass(frozen=True)
class RoleSettings:
    """The settings of both roles; `work` is a folder for temporary files, beside the model that is sent."""

    channel_id: str
    iterations: int
    use_case: str
    failure_endpoint: str
    progress_endpoint: str
    claim_check_url: str
    channel: ChannelSettings
    engine: EngineSettings
    work: Path


@dataclass(frozen=True)
class ServerSettings(RoleSettings):
    """The server's further settings."""

    clients: int
    minimum_clients: int
    continues: bool
    aggregation: str
    trim: float
    max_initialization_time: float
    max_iteration_time: float
    unmerged_models: Path
    merged_model: Path
    metrics: Path


@dataclass(frozen=True)
class ClientSettings(RoleSettings):
    """A client's further settings."""

    client: str
    initialization_time_out: float
    start_time_out: float
    merged_model: Path
    unmerged_model: Path
    metrics: Path


@dataclass(frozen=True)
class CommandLine:
    """The command line; a server's third argument is a number, a client's second its id."""

    role: str
    channel_id: str
    iterations: int
    clients: int
    client: str
    use_case: str
    failure_endpoint: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting, so that the fault is reported like any other."""
        raise ArgumentsError([message])


def read_command_line(argv: Sequence[str]) -> CommandLine:
    """Split the command line; raise ArgumentsError when it does not follow the contract."""
    parser = _Parser(prog="federated_manager", description="The server or a client of a federated training.")
    roles = parser.add_subparsers(dest="role", required=True, parser_class=_Parser)
    server, client = roles.add_parser("server"), roles.add_parser("client")
    for role in (server, client):
        role.add_argument("channel_id", metavar="EXECUTION_ID")
        if role is client:
            role.add_argument("client", metavar="CLIENT_ID")
        role.add_argument("iterations", metavar="NUMBER_ITERATIONS", type=_positive)
        if role is server:
            role.add_argument("clients", metavar="NUMBER_CLIENTS", type=_positive)
        role.add_argument("use_case", choices=(MERGING,) if role is server else TRAININGS)
        role.add_argument("--failure-endpoint", default="", help="the address that gets a failure's message by PATCH")
    found = parser.parse_args(list(argv))
    return CommandLine(
        role=found.role,
        channel_id=found.channel_id,
        iterations=found.iterations,
        clients=getattr(found, "clients", 0),
        client=getattr(found, "client", ""),
        use_case=found.use_case,
        failure_endpoint=found.failure_endpoint,
    )


def failure_endpoint_in(argv: Sequence[str]) -> str:
    """Return the failure endpoint of a command line that may be wrong otherwise."""
    for given, following in pairwise([*argv, ""]):
        if given == "--failure-endpoint":
            return following
        if given.startswith("--failure-endpoint="):
            return given.partition("=")[2]
    return ""


def read_settings(argv: Sequence[str], environment: Mapping[str, str]) -> ServerSettings | ClientSettings:
    """Return a role's settings; raise ArgumentsError with every fault of command line and environment."""
    found = Environment(environment)
    line: CommandLine | None = None
    try:
        line = read_command_line(argv)
    except ArgumentsError as error:
        found.faults.extend(error.faults)
    role = line.role if line else next((word for word in argv if word in ("server", "client")), "")
    blank = CommandLine(role, "", 1, 1, "-", "", "")
    settings = _client(found, line or blank) if role == "client" else _server(found, line or blank)
    if found.faults:
        raise ArgumentsError(found.faults)
    return settings


class Environment:
    """Environment variables read one by one; their faults are collected in `faults`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a variable, the default when it's empty."""
        value = self._values.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.faults.append(f"{name} is missing")
        return default or ""

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number of at least 0."""
        text = self.text(name, None if default is None else repr(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            if text:
                self.faults.append(f"{name} must be a number of at least 0, not {text!r}")
            return 0.0
        return value

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number of at least 0."""
        value = self.number(name, default)
        if value != int(value):
            self.faults.append(f"{name} must be a whole number, not {value:g}")
        return int(value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return one of some values."""
        value = self.text(name, default)
        if value not in choices:
            self.faults.append(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def address(self, name: str, default: str) -> str:
        """Return host:port."""
        value = self.text(name, default)
        try:
            split_host(value)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
        return value

    def url(self, name: str) -> str:
        """Return an HTTP address, '' when it is not set."""
        value = self.text(name, "")
        if value and not value.startswith(("http://", "https://")):
            self.faults.append(f"{name} must be an HTTP address, not {value!r}")
        return value

    def path(self, name: str, default: str) -> Path:
        """Return a path."""
        return Path(self.text(name, default))


def _server(found: Environment, line: CommandLine) -> ServerSettings:
    merged = found.path("AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_OUTPUT_MERGED_MODEL_PATH", "/usr/application/input/models/")
    models = "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_INPUT_UNMERGED_MODELS_DIRECTORY_PATH"
    metrics = "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_INPUT_EVALUATION_METRICS_DIRECTORY_PATH"
    minimum = found.whole("FEDERATED_MINIMUM_CLIENTS", line.clients)
    if not 1 <= minimum <= line.clients:
        found.faults.append(f"FEDERATED_MINIMUM_CLIENTS must be from 1 to {line.clients}, not {minimum}")
    trim = found.number("FEDERATED_TRIM", 0.2)
    if trim >= 0.5:
        found.faults.append(f"FEDERATED_TRIM must be below 0.5, not {trim:g}")
    return ServerSettings(
        **_common(found, line, merged),
        clients=line.clients,
        minimum_clients=minimum,
        continues=found.choice("FEDERATED_ROUND_POLICY", (FAIL, CONTINUE), FAIL) == CONTINUE,
        aggregation=found.choice("FEDERATED_AGGREGATION", AGGREGATIONS, AGGREGATIONS[0]),
        trim=trim,
        max_initialization_time=found.number("COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME"),
        max_iteration_time=found.number("COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"),
        unmerged_models=found.path(models, "/usr/application/output/model/"),
        merged_model=merged,
        metrics=found.path(metrics, "/usr/application/output/evaluation_metrics/"),
    )


def _client(found: Environment, line: CommandLine) -> ClientSettings:
    prefix = "AI_ENGINE_MODEL_MANAGEMENT_ADAPTER_"
    unmerged = found.path(f"{prefix}OUTPUT_UNMERGED_MODEL_PATH", "/usr/application/output/model/")
    if not is_safe_name(line.client):
        found.faults.append(f"CLIENT_ID {line.client!r} must be usable as the name of a file")
    metrics = "/usr/application/output/evaluation_metrics.json"
    return ClientSettings(
        **_common(found, line, unmerged),
        client=line.client,
        initialization_time_out=found.number("COMMUNICATION_ADAPTER_INITIALIZATION_MESSAGE_TIME_OUT"),
        start_time_out=found.number("COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT"),
        merged_model=found.path(f"{prefix}INPUT_MERGED_MODEL_PATH", "/usr/application/input/model/"),
        unmerged_model=unmerged,
        metrics=found.path(f"{prefix}OUTPUT_EVALUATION_METRICS_PATH", metrics),
    )


def _common(found: Environment, line: CommandLine, sent: Path) -> dict[str, Any]:
    found.choice("PLATFORM_ADAPTER", ("INCISIVE",), "INCISIVE")
    found.choice("AI_ENGINE_MODEL_MANAGEMENT_ADAPTER", ("DEFAULT",), "DEFAULT")
    # Named after role and channel: several roles may share a folder, and a restarted role finds its own.
    name = hashlib.sha256(f"{line.role}/{line.channel_id}/{line.client}".encode()).hexdigest()[:16]
    return {
        "channel_id": line.channel_id,
        "iterations": line.iterations,
        "use_case": line.use_case,
        "failure_endpoint": line.failure_endpoint,
        "progress_endpoint": found.url("FEDERATED_PROGRESS_ENDPOINT"),
        "claim_check_url": found.url("FEDERATED_CLAIM_CHECK_URL"),
        "channel": _channel(found),
        "engine": _engine(found),
        "work": found.path("FEDERATED_WORK_FOLDER", str(sent.parent)) / f".federated-{name}",
    }


def _channel(found: Environment) -> ChannelSettings:
    adapter = found.choice("COMMUNICATION_ADAPTER", (KAFKA, DATABASE), KAFKA)
    name = "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG"
    if adapter == DATABASE:
        bootstrap = found.url(name)
        if not bootstrap:
            found.faults.append(f"{name} is missing")
    else:
        bootstrap = found.text(name)
        found.faults.extend(f"{name}: {fault}" for fault in faults_of(bootstrap) if bootstrap)
    return ChannelSettings(
        adapter=adapter,
        bootstrap=bootstrap,
        poll_time_out=found.number("COMMUNICATION_ADAPTER_POLL_TIME_OUT"),
        max_model_size=found.whole("COMMUNICATION_ADAPTER_MAX_MODEL_SIZE") * KILOBYTE,
        patience=found.number("FEDERATED_CHANNEL_PATIENCE", 300.0),
        security=_security(found),
    )


def _security(found: Environment) -> Security:
    protocol = found.choice("FEDERATED_KAFKA_SECURITY_PROTOCOL", _SECURITY, _SECURITY[0])
    file = found.text("FEDERATED_KAFKA_CA_FILE", "")
    authority, authority_text = Path(file) if file else None, found.text("FEDERATED_KAFKA_CA", "")
    if not protocol.startswith("SASL_"):
        return Security(protocol, authority=authority, authority_text=authority_text)
    return Security(
        protocol=protocol,
        mechanism=found.choice("FEDERATED_KAFKA_SASL_MECHANISM", _MECHANISMS, _MECHANISMS[-1]),
        username=found.text("FEDERATED_KAFKA_USERNAME"),
        password=found.text("FEDERATED_KAFKA_PASSWORD"),
        authority=authority,
        authority_text=authority_text,
    )


def _engine(found: Environment) -> EngineSettings:
    found.choice("AI_ENGINE_LINKAGE_ADAPTER", ("ASYNC_REST_API",), "ASYNC_REST_API")
    prefix = "AI_ENGINE_LINKAGE_ADAPTER_"
    return EngineSettings(
        client_host=found.address(f"{prefix}CLIENT_HOST", "127.0.0.1:8080"),
        server_host=found.address(f"{prefix}SERVER_HOST", "127.0.0.1:8081"),
        ping_url=found.text(f"{prefix}PING_URL", "/api/ping"),
        run_url=found.text(f"{prefix}RUN_URL", "/api/run"),
        end_url=found.text(f"{prefix}END_URL", "/api/end"),
        callback_url=found.text(f"{prefix}CALLBACK_URL", "/api/callback"),
        max_iteration_time=found.number(f"{prefix}MAX_ITERATION_TIME"),
        max_initialization_time=found.number(f"{prefix}MAX_INITIALIZATION_TIME"),
        max_finalization_time=found.number(f"{prefix}MAX_FINALIZATION_TIME"),
        max_finalization_retries=found.whole(f"{prefix}MAX_FINALIZATION_RETRIES"),
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("below 1")
    return value
