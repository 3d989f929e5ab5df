"""What executions ask the model registry: over HTTP, never inside a transaction, and only where settings say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from executions import conf
from executions.facts import EngineSnapshot, SchemaFacts
from registry.client import AIEngineVersionInfo, RegistryClient, RegistryNotFound, registry_client
from registry.rules import CONTAINER_NAME, CONTAINER_VERSION
from schemas.elements import EngineElement
from web.errors import Fault

_ENGINES = "/data/ai_elements/ai_engines"

# These values become image names and parts of a podSpecPatch: anything else could say more than it should.
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?")
_FORMS: Mapping[str, re.Pattern[str]] = {
    "container_name": CONTAINER_NAME,
    "container_version": CONTAINER_VERSION,
    "memory_request": _QUANTITY,
    "memory_limit": _QUANTITY,
    "cpu_request": _QUANTITY,
    "cpu_limit": _QUANTITY,
}


def get_registry() -> RegistryClient | None:
    """Return the registry that settings name, or None where they say not to ask one."""
    return registry_client() if settings.VALIDATE_WITH_MAAS else None


def chosen_engines_checked(
    chosen: Sequence[Mapping[str, Any]], schema: SchemaFacts, registry: RegistryClient | None
) -> tuple[tuple[EngineSnapshot, ...], list[Fault]]:
    """Return what the registry says of the chosen AI engines, in their order, and what does not fit the Schema.

    `chosen` are the document's own items, found without faults before. Raises RegistryUnavailable.
    """
    if registry is None:
        return tuple(conf.default_snapshot() for _ in chosen), []
    slots = {slot.descriptor: slot for slot in schema.elements.engines}
    snapshots: list[EngineSnapshot] = []
    faults: list[Fault] = []
    for index, engine in enumerate(chosen):
        where = f"{_ENGINES}/{index}"
        retries = _model_retries(engine.get("ai_model"), registry, where, faults)
        try:
            version = registry.get_version(engine["version"])
        except RegistryNotFound:
            faults.append(Fault(f"{where}/version", "is not in the model registry"))
            continue
        faults += _misfits(version, slots[engine["descriptor"]], where)
        snapshots.append(_snapshot(version, retries))
    return tuple(snapshots), faults


def outcome_faults(
    ai_model: int | None,
    evaluation_metrics: Sequence[int] | None,
    generic_file: int | None,
    registry: RegistryClient | None,
) -> list[Fault]:
    """Return which of a Workflow's reported products the registry does not have. Raises RegistryUnavailable."""
    if registry is None:
        return []
    products: list[tuple[str, int, Callable[[int], bool]]] = []
    if ai_model is not None:
        products.append(("/data/ai_model/ai_model", ai_model, registry.has_model))
    for index, metric in enumerate(evaluation_metrics or ()):
        pointer = f"/data/evaluation_metrics/{index}/evaluation_metric"
        products.append((pointer, metric, registry.has_evaluation_metric))
    if generic_file is not None:
        products.append(("/data/generic_file/generic_file", generic_file, registry.has_generic_file))
    return [Fault(pointer, "is not in the model registry") for pointer, row_id, has in products if not has(row_id)]


def _model_retries(model_id: int | None, registry: RegistryClient, where: str, faults: list[Fault]) -> int:
    """Return how often a model's download may be resumed; a model that is not there is noted in `faults`."""
    if model_id is not None:
        try:
            return registry.get_model(model_id).download_resume_retries
        except RegistryNotFound:
            faults.append(Fault(f"{where}/ai_model", "is not in the model registry"))
    return conf.default_snapshot().download_resume_retries


def _misfits(version: AIEngineVersionInfo, slot: EngineElement, where: str) -> Iterator[Fault]:
    missing = [name for name in slot.functionalities if name not in version.functionalities]
    if missing:
        yield Fault(f"{where}/version", "is of an AI engine version that cannot do: " + ", ".join(missing))
    if slot.role_type not in ("*", version.role_type):
        yield Fault(
            f"{where}/version",
            f"is of an AI engine with the role type '{version.role_type}'; the Schema asks for '{slot.role_type}'",
        )
    for field, form in _FORMS.items():
        if not form.fullmatch(getattr(version, field)):
            yield Fault(f"{where}/version", f"has a {field} in the model registry that cannot be used")


def _snapshot(version: AIEngineVersionInfo, retries: int) -> EngineSnapshot:
    return EngineSnapshot(
        container_name=version.container_name,
        container_version=version.container_version,
        max_iteration_time=version.max_iteration_time,
        memory_request=version.memory_request,
        memory_limit=version.memory_limit,
        cpu_request=version.cpu_request,
        cpu_limit=version.cpu_limit,
        download_resume_retries=retries,
    )
