"""The options of the Kafka adapter, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_MECHANISMS = (*_SCRAM, "PLAIN")


@dataclass(frozen=True)
class KafkaOptions:
    """How the service and the Workflows reach the brokers.

    `authority` holds the certificates to trust (PEM); if empty, those of the system. Without `workflow_username`, SASL
    gives each channel a user of its own. `claim_check_api` is this service's address if models are stored here and not
    sent over the topics; `replication_factor` -1 is the broker's default.
    """

    bootstrap_servers: str
    workflow_bootstrap_servers: str
    security_protocol: str
    authority: str
    sasl_mechanism: str
    username: str
    password: str
    workflow_username: str
    workflow_password: str
    replication_factor: int
    status_retention_seconds: int
    timeout_seconds: float
    claim_check_api: str

    @property
    def is_authenticated(self) -> bool:
        """Return whether the brokers ask for a user name."""
        return self.security_protocol.startswith("SASL_")

    @property
    def is_encrypted(self) -> bool:
        """Return whether connections use TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def gives_users(self) -> bool:
        """Return whether each channel has a user of its own."""
        return self.is_authenticated and not self.workflow_username


def read_options(given: Mapping[str, Any]) -> KafkaOptions:
    """Return checked options. Raises ValueError for wrong ones, and OSError for certificates that cannot be read."""
    servers = str(given["bootstrap_servers"])
    ca_file = str(given.get("ca_file", ""))
    options = KafkaOptions(
        bootstrap_servers=servers,
        workflow_bootstrap_servers=str(given.get("workflow_bootstrap_servers", "")) or servers,
        security_protocol=str(given.get("security_protocol", "PLAINTEXT")),
        authority=Path(ca_file).read_text() if ca_file else str(given.get("ca", "")),
        sasl_mechanism=str(given.get("sasl_mechanism", "SCRAM-SHA-512")),
        username=str(given.get("username", "")),
        password=str(given.get("password", "")),
        workflow_username=str(given.get("workflow_username", "")),
        workflow_password=str(given.get("workflow_password", "")),
        replication_factor=int(given.get("replication_factor", -1)),
        status_retention_seconds=int(given["status_retention_seconds"]),
        timeout_seconds=float(given.get("timeout_seconds", 15.0)),
        claim_check_api=str(given.get("claim_check_api", "")),
    )
    for name in (options.bootstrap_servers, options.workflow_bootstrap_servers):
        _check_servers(name)
    if options.security_protocol not in _PROTOCOLS:
        raise ValueError(f"security_protocol must be one of {', '.join(_PROTOCOLS)}, not {options.security_protocol!r}")
    if options.replication_factor < 1 and options.replication_factor != -1:
        raise ValueError(f"replication_factor must be at least 1, or -1, not {options.replication_factor}")
    if options.timeout_seconds <= 0:
        raise ValueError(f"timeout_seconds must be above 0, not {options.timeout_seconds:g}")
    if options.is_authenticated:
        _check_users(options)
    return options


def _check_servers(text: str) -> None:
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not part.rpartition(":")[0] or not part.rpartition(":")[2].isdecimal()]
    if wrong:
        raise ValueError(f"bootstrap_servers must be host:port, separated by commas; {wrong[0]!r} is not")


def _check_users(options: KafkaOptions) -> None:
    if options.sasl_mechanism not in _MECHANISMS:
        raise ValueError(f"sasl_mechanism must be one of {', '.join(_MECHANISMS)}, not {options.sasl_mechanism!r}")
    if not options.username or not options.password:
        raise ValueError("username and password are required with SASL")
    if options.workflow_username and not options.workflow_password:
        raise ValueError("workflow_password is required with workflow_username")
    if not options.workflow_username and options.sasl_mechanism not in _SCRAM:
        raise ValueError(
            f"{options.sasl_mechanism} cannot give each channel a user of its own: set workflow_username and "
            f"workflow_password, or use {' or '.join(_SCRAM)}"
        )
