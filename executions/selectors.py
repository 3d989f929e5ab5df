"""Reads of executions; none of them loads clinical data but the one that is there for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from executions.facts import SchemaFacts
from executions.models import Execution, ExecutionAIEngine, ExecutionDataPartner
from schemas.elements import Elements
from schemas.models import Schema
from web.errors import NotFound


@dataclass(frozen=True)
class ShownEngine:
    """An AI engine of an execution, by the registry's ids."""

    descriptor: str
    version: int
    ai_model: int | None


@dataclass(frozen=True)
class ShownExecution:
    """An execution's row with what belongs to it, as far as answers show it: patients by partner, no clinical data."""

    row: Execution
    schema: str
    patients: Mapping[str, list[str]]
    engines: Sequence[ShownEngine]


def executions_shown(rows: Sequence[Execution]) -> list[ShownExecution]:
    """Return what answers show of executions, in three queries whatever their number.

    The rows beside them are read as plain tuples: a page holds hundreds of them.
    """
    ids = [row.pk for row in rows]
    schemas = Schema.objects.filter(pk__in={row.schema_id for row in rows}).order_by()
    names = dict(schemas.values_list("pk", "name"))
    patients: dict[int, dict[str, list[str]]] = {each: {} for each in ids}
    partners = ExecutionDataPartner.objects.filter(execution__in=ids).order_by("position")
    for execution_id, name, patient_ids in partners.values_list("execution_id", "name", "patient_ids"):
        patients[execution_id][name] = patient_ids
    engines: dict[int, list[ShownEngine]] = {each: [] for each in ids}
    chosen = ExecutionAIEngine.objects.filter(execution__in=ids).order_by("position")
    for execution_id, descriptor, version, ai_model in chosen.values_list(
        "execution_id", "descriptor", "version", "ai_model"
    ):
        engines[execution_id].append(ShownEngine(descriptor, version, ai_model))
    return [ShownExecution(row, names[row.schema_id], patients[row.pk], engines[row.pk]) for row in rows]


def execution_bare(execution_id: int) -> Execution:
    """Return one execution's own row. Raises NotFound."""
    return _execution(Execution.objects.all(), execution_id)


def execution_locked(execution_id: int) -> Execution:
    """Return one execution's row, locked until the transaction ends. Raises NotFound."""
    return _execution(Execution.objects.select_for_update(), execution_id)


def schema_facts(schema: Schema) -> SchemaFacts:
    """Return what a Schema takes and gives, as plain data."""
    elements = Elements.of(schema.input_elements, schema.ai_elements, schema.output_elements)
    return SchemaFacts(schema.name, schema.implementation, elements)


def no_such_execution() -> NotFound:
    """Return the error that says so."""
    return NotFound("There is no such execution.")


def _execution(executions: QuerySet[Execution], execution_id: int) -> Execution:
    try:
        return executions.get(pk=execution_id)
    except Execution.DoesNotExist as error:
        raise no_such_execution() from error
