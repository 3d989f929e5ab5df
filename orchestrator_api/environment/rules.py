"""Rules over several settings: which are needed where, and which exclude each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator_api.environment.addresses import PARTS, SQLITE, database_from_parts, parts_that_differ
from orchestrator_api.environment.choices import DEFAULT_DATA_DIR, adapter_of, engine_of
from orchestrator_api.environment.shown import one_line, shown
from orchestrator_api.environment.table import BY_NAME

_HOST = re.compile(r"\*|\.?[A-Za-z0-9_]([-A-Za-z0-9._]*)|\[[0-9A-Fa-f:.]+\]")
_DATABASE_PARTS = ("DATABASE_ENGINE", *PARTS)
_SASL = ("FEDERATED_KAFKA_USERNAME", "FEDERATED_KAFKA_PASSWORD")


@dataclass
class Findings:
    """Missing settings, faults, and warnings for the operator; each text is one line or part of one.

    `database` is Django's settings of the database that variables name, None for SQLite in the data folder.
    """

    missing: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    database: dict[str, Any] | None = None


def look_at(values: Mapping[str, Any], given: Mapping[str, str], *, serves: bool) -> Findings:
    """Return what is wrong with values that are each right by themselves; `serves`: callers come by a host's name."""
    found = Findings()
    _look_at_secret_and_hosts(found, values, serves)
    _look_at_database(found, values)
    _look_at_places(found, values)
    _look_at_partners(found, values)
    _look_at_engine(found, values, given)
    _look_at_kafka(found, values, given)
    found.notes += _notices(values)
    return found


def _look_at_secret_and_hosts(found: Findings, values: Mapping[str, Any], serves: bool) -> None:
    if values.get("DEBUG"):
        return
    has_secret, has_hosts = values.get("SECRET_KEY"), values.get("ALLOWED_HOSTS")
    if not has_secret:
        found.missing.append("SECRET_KEY")
    if not has_hosts and (serves or not has_secret):
        found.missing.append("ALLOWED_HOSTS")
    elif not has_hosts:
        found.notes.append("ALLOWED_HOSTS is not set: the API answers no request by a host name")
    for host in has_hosts or ():
        if not _HOST.fullmatch(host):
            said = f"ALLOWED_HOSTS: {shown(host, BY_NAME['ALLOWED_HOSTS'].form)} matches no host"
            found.notes.append(f"{said}: expected host names, without scheme and port")


def _look_at_database(found: Findings, values: Mapping[str, Any]) -> None:
    url = values.get("DATABASE_URL")
    parts = {name: values[name] for name in _DATABASE_PARTS if values.get(name)}
    if values.get("DEBUG") and parts:
        found.notes.append(
            f"{', '.join(parts)}: not used with DEBUG: the database is SQLite, or what DATABASE_URL names"
        )
    elif url and (differing := parts_that_differ(url, parts)):
        found.faults.append(f"DATABASE_URL and {', '.join(differing)} name two different databases: set one of them")
    elif parts and not url:
        is_sqlite = parts.get("DATABASE_ENGINE") == "sqlite3"
        if is_sqlite and (unused := sorted(set(parts) - {"DATABASE_ENGINE", "DATABASE_NAME"})):
            found.notes.append(f"{', '.join(unused)}: not used: DATABASE_ENGINE is SQLite")
        needed = ("DATABASE_ENGINE", "DATABASE_NAME", *(() if is_sqlite else ("DATABASE_USERNAME", "DATABASE_HOST")))
        missing = [name for name in needed if name not in parts]
        found.missing += missing
        found.database = None if missing else database_from_parts(parts)
    elif not url and not values.get("DEBUG"):
        why = "neither DATABASE_URL nor DATABASE_ENGINE is set"
        found.notes.append(f"the database is SQLite, which serves one machine: {why}")
    found.database = url or found.database


def _look_at_places(found: Findings, values: Mapping[str, Any]) -> None:
    # Files in STATIC_ROOT are served to everybody.
    data_dir = Path(values.get("DATA_DIR") or DEFAULT_DATA_DIR)
    media = Path(values.get("MEDIA_ROOT") or data_dir / "media")
    kept = [data_dir, media]
    if found.database and found.database["ENGINE"] == SQLITE:
        kept.append(Path(found.database["NAME"]).absolute())
    static = Path(values["STATIC_ROOT"]) if values.get("STATIC_ROOT") else None
    if static and (static.is_relative_to(media) or any(each.is_relative_to(static) for each in kept)):
        words = (
            "expected a folder that does not hold DATA_DIR, MEDIA_ROOT or the database, and is not inside MEDIA_ROOT"
        )
        found.faults.append(f"STATIC_ROOT={one_line(str(static))}: {words}")
    if values.get("MEDIA_URL", "").strip("/") == "static":
        found.faults.append("MEDIA_URL=static: expected another path than that of the static files")
    if values.get("STORAGE_URL") and values.get("MEDIA_ROOT"):
        found.notes.append("MEDIA_ROOT: not used with STORAGE_URL")


def _look_at_partners(found: Findings, values: Mapping[str, Any]) -> None:
    partners = values.get("VALID_DATA_PARTNERS", BY_NAME["VALID_DATA_PARTNERS"].default)
    for name in ("DATA_PARTNER_PATHS", "DATA_PARTNER_CLAIMS"):
        for partner in values.get(name, {}):
            if partner not in partners:
                found.faults.append(f"{name}: {partner} is not one of VALID_DATA_PARTNERS")


def _look_at_engine(found: Findings, values: Mapping[str, Any], given: Mapping[str, str]) -> None:
    engine = engine_of(given)
    if engine == "local" and values.get("LOCAL_ENGINE") is False:
        found.faults.append("LOCAL_ENGINE=false: expected true, since ENGINE is local")
    if engine == "argo" and not values.get("ORCHESTRATOR_API_HOSTNAME"):
        found.notes.append(
            "ORCHESTRATOR_API_HOSTNAME is not set: Workflows get "
            f"{BY_NAME['ORCHESTRATOR_API_HOSTNAME'].default}, which pods of a cluster cannot reach"
        )


def _look_at_kafka(found: Findings, values: Mapping[str, Any], given: Mapping[str, str]) -> None:
    if values.get("FEDERATED_ADAPTER", adapter_of(given)) != "kafka":
        return
    if not values.get("FEDERATED_KAFKA_BOOTSTRAP_SERVERS"):
        found.missing.append("FEDERATED_KAFKA_BOOTSTRAP_SERVERS")
    if not values.get("FEDERATED_KAFKA_SECURITY_PROTOCOL", "").startswith("SASL_"):
        return
    found.missing += [name for name in _SASL if not values.get(name)]
    if values.get("FEDERATED_KAFKA_WORKFLOW_USERNAME"):
        needed = ["FEDERATED_KAFKA_WORKFLOW_PASSWORD"]
    elif values.get("FEDERATED_KAFKA_SASL_MECHANISM") == "PLAIN":
        needed = ["FEDERATED_KAFKA_WORKFLOW_USERNAME", "FEDERATED_KAFKA_WORKFLOW_PASSWORD"]
    else:
        needed = []
    found.missing += [name for name in needed if not values.get(name)]


def _notices(values: Mapping[str, Any]) -> Iterator[str]:
    for name, variable in BY_NAME.items():
        if variable.notice and values.get(name):
            yield f"{name} is set, but {variable.notice}"
