"""Checks a posted execution before it is stored: every check, no writes, and the questions to the model registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from executions import conf
from executions.facts import (
    EXTERNAL_DATA,
    EngineSnapshot,
    ExecutionRequest,
    RenderedEngine,
    RenderedExecution,
    SchemaFacts,
)
from executions.ports import choose_ports
from executions.registry import chosen_engines_checked, get_registry, output_model_faults
from executions.selectors import schema_facts
from executions.trainings import refuse_second_training
from executions.uploads import Uploads, upload_faults
from executions.validation import execution_faults, parse_request, shape_faults, typed_document
from schemas.models import EarlierSchemaVersion, Schema
from web.bodies import without_marks
from web.errors import Fault, InvalidInput


@dataclass(frozen=True)
class Posted:
    """A request that passed every check, with the model registry's data on its AI engines, in their order."""

    schema: Schema
    version: Schema | EarlierSchemaVersion
    """The version of the Schema that the Workflow is rendered from; `facts` belong to it."""
    facts: SchemaFacts
    request: ExecutionRequest
    snapshots: tuple[EngineSnapshot, ...]
    files: Uploads = field(default_factory=dict)

    def rendered(self, execution_id: int, created_at: datetime) -> RenderedExecution:
        """Return the data of the Workflow's parameters; the ports are chosen anew on each call."""
        ports = choose_ports(len(self.request.engines))
        return RenderedExecution(
            id=execution_id,
            created_at=created_at,
            federated=self.facts.is_federated,
            partners=self.request.partners,
            number_iterations=self.request.number_iterations,
            engines=tuple(
                RenderedEngine(*each) for each in zip(self.request.engines, self.snapshots, ports, strict=True)
            ),
            output_model=self.request.output_model,
        )


def check_posted(document: Mapping[str, Any], files: Uploads, *, start: bool = True) -> Posted:
    """Check a posted execution against its Schema, its files and the registry; asks the registry over HTTP.

    Whether a model of the same name exists is checked only if the execution is to be started.
    Raises InvalidInput with every fault, TooLarge, and ServiceUnavailable if the registry does not answer.
    """
    document = typed_document(document)
    files = without_marks(files, [part for part in files if part != EXTERNAL_DATA])
    schema = _schema(document.get("schema"))
    if schema is None:
        missing = [Fault("/data/schema", "is not the name of a Schema")]
        raise InvalidInput(faults=shape_faults(document) or missing)
    facts = schema_facts(schema)
    faults = execution_faults(document, files, facts, conf.rules()) + upload_faults(files, facts)
    snapshots: tuple[EngineSnapshot, ...] = ()
    if not any(fault.pointer.startswith("/data/ai_elements") for fault in faults):
        chosen = (document.get("ai_elements") or {}).get("ai_engines", [])
        snapshots, registry_faults = chosen_engines_checked(chosen, facts, get_registry())
        faults += registry_faults
    if faults:
        raise InvalidInput(faults=faults)
    request = parse_request(document, facts)
    if start and facts.is_started:
        refuse_second_training(request)
        faults = output_model_faults(request, get_registry())
    if faults:
        raise InvalidInput(faults=faults)
    return Posted(schema, schema, facts, request, snapshots, files)


def _schema(name: Any) -> Schema | None:
    try:
        return Schema.objects.get(name=name) if isinstance(name, str) else None
    except Schema.DoesNotExist:
        return None
