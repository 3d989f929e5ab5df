"""Checks that a posted execution fits its Schema. Pure: all faults are returned at once, with pointers.

Details never quote clinical data or ids of patients; the pointer shows the place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from executions import shapes
from executions.facts import ChosenEngine, ExecutionRequest, OutputModel, Partner, SchemaFacts
from policy.places import is_below
from schemas.federated import FederatedOptions
from web import leniency
from web.errors import Fault
from web.jsontext import escape
from web.shape import MAX_FAULTS, check

MAX_PATIENT_ID = 200

_INPUT = "/data/input_elements"
_PARTNERS = f"{_INPUT}/platform_data/data_partners_patients"
_FEDERATED = f"{_INPUT}/federated_learning_configuration"
_ENGINES = "/data/ai_elements/ai_engines"
_OUTPUT_MODEL = "/data/output_elements/ai_model"

_PATH_FORBIDDEN = frozenset("{}\"'\\`$:;,*?<>|")


@dataclass(frozen=True)
class Rules:
    """The rules of settings for executions."""

    valid_data_partners: tuple[str, ...]
    partner_paths: Mapping[str, Sequence[str]]
    """Data partner to the folders that its path may be in."""


def shape_faults(document: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a posted document that do not depend on its Schema."""
    return check(document, shapes.EXECUTION)


def typed_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a posted document with numbers as numbers and ids of patients as text, whichever type was sent."""
    typed: dict[str, Any] = leniency.typed(dict(document), shapes.EXECUTION)
    inputs = _mapping(typed.get("input_elements"))
    platform_data = _mapping(inputs.get("platform_data"))
    partners = _mapping(platform_data.get("data_partners_patients"))
    changed = {name: after for name, entry in partners.items() if (after := _with_text_ids(entry)) is not entry}
    if not changed:
        return typed
    platform_data = {**platform_data, "data_partners_patients": {**partners, **changed}}
    return {**typed, "input_elements": {**inputs, "platform_data": platform_data}}


def _with_text_ids(entry: Any) -> Any:
    patients = _sequence(_mapping(entry).get("patients"))
    if not any(_has_number_as_id(patient) for patient in patients):
        return entry
    changed = [{**patient, "id": str(patient["id"])} if _has_number_as_id(patient) else patient for patient in patients]
    return {**entry, "patients": changed}


def _has_number_as_id(patient: Any) -> bool:
    return isinstance(patient, dict) and leniency.is_number_for_text(patient.get("id"))


def execution_faults(
    document: Mapping[str, Any], file_parts: Collection[str], schema: SchemaFacts, rules: Rules
) -> list[Fault]:
    """Return all faults of a posted document and of the names of its file parts."""
    faults = [
        *shape_faults(document),
        *_input_faults(document, schema, rules),
        *_engine_faults(document, schema),
        *_output_faults(document, schema),
        *_file_faults(file_parts, schema),
    ]
    return list(dict.fromkeys(faults))[:MAX_FAULTS]


def parse_request(document: Mapping[str, Any], schema: SchemaFacts) -> ExecutionRequest:
    """Return the request of a document without faults."""
    inputs = document.get("input_elements", {})
    partners = inputs.get("platform_data", {}).get("data_partners_patients", {})
    federated = inputs.get("federated_learning_configuration", {})
    model = document.get("output_elements", {}).get("ai_model")
    chosen = document.get("ai_elements", {}).get("ai_engines", [])
    return ExecutionRequest(
        schema=schema.name,
        partners=tuple(_partner(name, entry) for name, entry in partners.items()),
        number_iterations=federated.get("number_iterations"),
        engines=tuple(ChosenEngine(each["descriptor"], each["version"], each.get("ai_model")) for each in chosen),
        output_model=None
        if model is None
        else OutputModel(model["name"], model["description"], model.get("merge_type") or ""),
        federated_options=FederatedOptions.of(federated),
    )


def _partner(name: str, entry: Mapping[str, Any]) -> Partner:
    return Partner(
        name=name,
        system_path=entry["system_path"],
        patient_ids=tuple(patient["id"] for patient in entry["patients"]),
        entry=entry,
    )


def system_path_fault(path: str | None) -> str:
    """Return why a data partner's path cannot be mounted, or ''.

    The path becomes a `hostPath` and part of a manifest's text: it may hold neither `..` nor an expression.
    """
    if not path:
        return ""
    if not path.startswith("/"):
        return "must be an absolute path, or null"
    if ".." in path.split("/"):
        return "must not hold `..`"
    if _PATH_FORBIDDEN & set(path) or not path.isprintable():
        return "holds a character that is not allowed in a path"
    return ""


def _outside_fault(path: str, roots: Sequence[str]) -> str:
    if not path or is_below(path, roots):
        return ""
    if not roots:
        return "may not be mounted: the setting DATA_PARTNER_PATHS lists no folder for this data partner"
    return f"must be below a folder that DATA_PARTNER_PATHS lists for this data partner: {', '.join(roots)}"


def _input_faults(document: Mapping[str, Any], schema: SchemaFacts, rules: Rules) -> Iterator[Fault]:
    inputs = _mapping(document.get("input_elements"))
    takes_partners, has_partners = schema.elements.input.platform_data, "platform_data" in inputs
    yield from _presence(f"{_INPUT}/platform_data", has_partners, takes_partners, schema.name)
    has_rounds = "federated_learning_configuration" in inputs
    yield from _presence(_FEDERATED, has_rounds, schema.is_federated, schema.name)
    if not (takes_partners and has_partners):
        return
    if schema.is_federated and has_rounds and not shape_faults(document):
        yield from _federated_faults(inputs, schema)
    partners = _mapping(_mapping(inputs["platform_data"]).get("data_partners_patients"))
    for name, entry in partners.items():
        where = f"{_PARTNERS}/{escape(name)}"
        if name not in rules.valid_data_partners:
            known = ", ".join(rules.valid_data_partners)
            yield Fault(where, f"is not a data partner of this platform; must be one of: {known}")
        yield from _partner_faults(where, _mapping(entry), rules.partner_paths.get(name, ()))
    if schema.is_federated and len(partners) < 2:
        yield Fault(_PARTNERS, "must name at least two data partners: this Schema trains in a federated manner")
    if not schema.is_federated and len(partners) != 1:
        yield Fault(_PARTNERS, "must name exactly one data partner")


def _federated_faults(inputs: Mapping[str, Any], schema: SchemaFacts) -> Iterator[Fault]:
    """Yield the faults of the federated options: the Schema's defaults and a valid document's values together."""
    posted = FederatedOptions.of(inputs["federated_learning_configuration"])
    options = posted.over(schema.elements.input.federated_learning_defaults)
    said = posted.document()
    for field, detail in options.contradictions():
        yield Fault(f"{_FEDERATED}/{field}" if field in said else _FEDERATED, _of_schema(field, detail, field in said))
    partners = len(inputs["platform_data"]["data_partners_patients"])
    if options.minimum_clients is not None and options.minimum_clients > partners:
        where = f"{_FEDERATED}/minimum_clients"
        detail = f"must be at most {partners}, the number of data partners"
        if "minimum_clients" not in said:
            where, detail = (
                _PARTNERS,
                f"must name at least {options.minimum_clients} data partners: the Schema asks for that many clients",
            )
        yield Fault(where, detail)


def _of_schema(field: str, detail: str, posted: bool) -> str:
    return detail if posted else f"does not fit the Schema's defaults: {field} {detail}"


def _partner_faults(where: str, entry: Mapping[str, Any], roots: Sequence[str]) -> Iterator[Fault]:
    path = entry.get("system_path")
    problem = system_path_fault(path) or _outside_fault(path, roots) if isinstance(path, str) else ""
    if problem:
        yield Fault(f"{where}/system_path", problem)
    yield from islice(_patient_faults(f"{where}/patients", _sequence(entry.get("patients"))), MAX_FAULTS)


def _patient_faults(where: str, patients: list[Any]) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, patient in enumerate(patients):
        if not isinstance(patient, dict):
            yield Fault(f"{where}/{index}", "must be an object")
            continue
        patient_id = patient.get("id")
        if not isinstance(patient_id, str) or not 0 < len(patient_id) <= MAX_PATIENT_ID:
            detail = f"must be a string of 1 to {MAX_PATIENT_ID} characters" if "id" in patient else "is missing"
            yield Fault(f"{where}/{index}/id", detail)
        elif patient_id in seen:
            yield Fault(f"{where}/{index}/id", "is the id of an earlier patient")
        else:
            seen.add(patient_id)
        if not isinstance(patient.get("clinical_data", ...), dict | None):
            detail = "must be an object or null" if "clinical_data" in patient else "is missing"
            yield Fault(f"{where}/{index}/clinical_data", detail)


def _engine_faults(document: Mapping[str, Any], schema: SchemaFacts) -> Iterator[Fault]:
    slots = {slot.descriptor: slot for slot in schema.elements.engines}
    seen: set[str] = set()
    for index, chosen in enumerate(_sequence(_mapping(document.get("ai_elements")).get("ai_engines"))):
        descriptor = _mapping(chosen).get("descriptor")
        if not isinstance(descriptor, str):
            continue
        where = f"{_ENGINES}/{index}"
        slot = slots.get(descriptor)
        if slot is None:
            known = "is not an AI engine of the Schema; must be one of: " + ", ".join(slots)
            yield Fault(f"{where}/descriptor", known if slots else "is not expected: the Schema has no AI engines")
        elif descriptor in seen:
            yield Fault(f"{where}/descriptor", "is given more than once")
        else:
            yield from _presence(f"{where}/ai_model", chosen.get("ai_model") is not None, slot.ai_model, schema.name)
        seen.add(descriptor)
    for descriptor in slots:
        if descriptor not in seen:
            yield Fault(_ENGINES, f"must name the AI engine '{descriptor}': the Schema asks for it")


def _output_faults(document: Mapping[str, Any], schema: SchemaFacts) -> Iterator[Fault]:
    outputs = _mapping(document.get("output_elements"))
    yield from _presence(_OUTPUT_MODEL, "ai_model" in outputs, schema.elements.output.ai_model, schema.name)


def _file_faults(file_parts: Collection[str], schema: SchemaFacts) -> Iterator[Fault]:
    for name in schema.file_parts:
        if name not in file_parts:
            yield Fault(f"/files/{escape(name)}", f"is missing: the Schema '{schema.name}' asks for it")
    for name in file_parts:
        if name not in schema.file_parts:
            yield Fault(f"/files/{escape(name)}", f"is not asked for by the Schema '{schema.name}'")


def _presence(pointer: str, present: bool, wanted: bool, schema: str) -> Iterator[Fault]:
    if wanted and not present:
        yield Fault(pointer, f"is missing: the Schema '{schema}' asks for it")
    if present and not wanted:
        yield Fault(pointer, f"is not asked for by the Schema '{schema}'")


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return an object as it is and any other value as an empty object: the shape checks types."""
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
