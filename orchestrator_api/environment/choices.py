"""Choices that are made before the settings are read, for processes that stay small."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEFAULT_DATA_DIR = Path(__file__).resolve().parent.parent.parent / "var"

# Words for true, as other installations of this kind write it, and some for false.
TRUE = ("yes", "true", "t", "y", "1")
FALSE = ("no", "false", "f", "n", "0", "off")
# Set for processes whose parent has already reported the warnings about settings.
TOLD = "ORCHESTRATOR_SETTINGS_TOLD"


def is_development(given: Mapping[str, str]) -> bool:
    """Return whether DEBUG is true."""
    return given.get("DEBUG", "").strip().lower() in TRUE


def engine_of(given: Mapping[str, str]) -> str:
    """Return the engine that new runs go to: the one that is named, else Argo where a variable for Argo is set."""
    names = ("ARGO_WORKFLOWS_NAMESPACE", "ARGO_WORKFLOWS_API_HOST")
    by_default = "argo" if any(given.get(name, "").strip() for name in names) else "local"
    return given.get("ENGINE", "").strip().lower() or by_default


def adapter_of(given: Mapping[str, str]) -> str:
    """Return what carries the messages of federated trainings where no variable names it."""
    return "kafka" if given.get("KAFKA_BOOTSTRAP_SERVERS", "").strip() else "database"
