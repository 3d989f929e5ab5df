"""Questions to the model registry: over HTTP, never inside a transaction, and only if settings say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from executions import conf
from executions.facts import EngineSnapshot, ExecutionRequest, SchemaFacts
from registry.client import AIEngineVersionInfo, AIModelInfo, RegistryClient, RegistryNotFound, registry_client
from registry.rules import CONTAINER_NAME, CONTAINER_VERSION
from schemas.elements import EngineElement
from web.errors import Fault

_ENGINES = "/data/ai_elements/ai_engines"
OUTPUT_MODEL_NAME = "/data/output_elements/ai_model/name"

# These values become image names and parts of a podSpecPatch: any other text could change more of the pod.
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
    """Return a client of the model registry in settings, or None if settings say not to ask one."""
    return registry_client() if settings.VALIDATE_WITH_MAAS else None


def chosen_engines_checked(
    chosen: Sequence[Mapping[str, Any]], schema: SchemaFacts, registry: RegistryClient | None
) -> tuple[tuple[EngineSnapshot, ...], list[Fault]]:
    """Return the registry's data on the chosen AI engines, in their order, and faults where they do not fit the Schema.

    `chosen` are the document's items, checked before. Raises RegistryUnavailable.
    """
    if registry is None:
        return tuple(conf.default_snapshot() for _ in chosen), []
    slots = {slot.descriptor: slot for slot in schema.elements.engines}
    snapshots: list[EngineSnapshot] = []
    faults: list[Fault] = []
    for index, engine in enumerate(chosen):
        where = f"{_ENGINES}/{index}"
        model = _model(engine.get("ai_model"), registry, where, faults)
        try:
            version = registry.get_version(engine["version"])
        except RegistryNotFound:
            faults.append(Fault(f"{where}/version", "is not in the model registry"))
            continue
        faults += _misfits(version, slots[engine["descriptor"]], where)
        if model is not None:
            faults += _model_misfits(model, version, registry, where)
        snapshots.append(_snapshot(version, model))
    return tuple(snapshots), faults


def output_model_faults(request: ExecutionRequest, registry: RegistryClient | None) -> list[Fault]:
    """Return why the registry would refuse the model that an execution is to train. Raises RegistryUnavailable.

    A model is identified by its name, its AI engine's version and its patients, and no Workflow overwrites another's
    model. If a Schema has several AI engines, any of them may be the one that trains: each is checked.
    """
    if registry is None or request.output_model is None:
        return []
    name, patients = request.output_model.name, request.patients
    for engine in request.engines:
        known = registry.find_model(name, engine.version, patients)
        if known is None:
            continue
        what = "the AI model that this execution starts from" if known == engine.ai_model else "an AI model"
        return [
            Fault(
                OUTPUT_MODEL_NAME,
                f"is the name of {what} ({known} in the model registry), with the same AI engine version and patients: "
                "choose another name, or delete that model",
            )
        ]
    return []


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


def _model(model_id: int | None, registry: RegistryClient, where: str, faults: list[Fault]) -> AIModelInfo | None:
    """Return a model; a missing one is added to `faults`."""
    if model_id is not None:
        try:
            return registry.get_model(model_id)
        except RegistryNotFound:
            faults.append(Fault(f"{where}/ai_model", "is not in the model registry"))
    return None


def _model_misfits(
    model: AIModelInfo, version: AIEngineVersionInfo, registry: RegistryClient, where: str
) -> Iterator[Fault]:
    """Yield a fault for a model of another AI engine; other versions of the same AI engine are accepted."""
    if model.ai_engine_version_id == version.id:
        return
    try:
        made_by = registry.get_version(model.ai_engine_version_id)
    except RegistryNotFound:
        yield Fault(f"{where}/ai_model", "was trained by an AI engine version that is not in the model registry")
        return
    if made_by.ai_engine_id != version.ai_engine_id:
        yield Fault(
            f"{where}/ai_model",
            f"was trained by another AI engine, {made_by.container_name} {made_by.container_version}; "
            f"this version belongs to {version.container_name}",
        )


def _misfits(version: AIEngineVersionInfo, slot: EngineElement, where: str) -> Iterator[Fault]:
    missing = [name for name in slot.functionalities if name not in version.functionalities]
    if missing:
        yield Fault(f"{where}/version", "lacks functionality that the Schema asks for: " + ", ".join(missing))
    if slot.role_type not in ("*", version.role_type):
        yield Fault(
            f"{where}/version",
            f"belongs to an AI engine with the role type '{version.role_type}'; the Schema asks for '{slot.role_type}'",
        )
    for field, form in _FORMS.items():
        if not form.fullmatch(getattr(version, field)):
            yield Fault(f"{where}/version", f"has a {field} in the model registry that cannot be used")


def _snapshot(version: AIEngineVersionInfo, model: AIModelInfo | None) -> EngineSnapshot:
    retries = model.download_resume_retries if model else conf.default_snapshot().download_resume_retries
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
