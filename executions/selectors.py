"""Reads of executions; only the one made for clinical data loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from executions.facts import OWNER_KIND, ExecutionRequest, SchemaFacts
from executions.fetched_parameters import MODEL_DESCRIPTION, MODEL_MERGE_TYPE, MODEL_NAME, PATIENTS
from executions.models import Execution, ExecutionAIEngine, ExecutionAttempt, ExecutionDataPartner
from executions.parameters import DEFAULT_MERGE_TYPE
from executions.partners import AwaitedPartner, awaited_partners, waiting_words
from executions.transitions import ENDED
from runs.models import RunPhase, WorkflowRun
from runs.readiness import readiness
from runs.selectors import runs_of
from schemas.elements import Elements
from schemas.models import EarlierSchemaVersion, Schema
from schemas.selectors import schema_version
from web.errors import NotFound


@dataclass(frozen=True)
class ShownEngine:
    """An AI engine of an execution, by the model registry's ids."""

    descriptor: str
    version: int
    ai_model: int | None


@dataclass(frozen=True)
class ShownAttempt:
    """One attempt of an execution: its outcome, and the name of its run, empty if none was started."""

    attempt: int
    schema_version: int
    state: str
    reason: str
    message: str
    run: str


@dataclass(frozen=True)
class ShownExecution:
    """An execution's row with its related rows, as far as answers show them: patients by partner, no clinical data.

    `held_up` says what its Workflow waits for, or which cluster node it lost; `awaited`, which data partners cannot
    start. Both are empty at its end.
    """

    row: Execution
    schema: str
    patients: Mapping[str, list[str]]
    engines: Sequence[ShownEngine]
    attempts: Sequence[ShownAttempt]
    held_up: str
    awaited: Sequence[AwaitedPartner]


def executions_shown(rows: Sequence[Execution]) -> list[ShownExecution]:
    """Return what answers show of executions, with at most six queries for any number of them.

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
    runs = _runs(ids)
    earlier = _earlier_attempts([row.pk for row in rows if row.attempt > 1])
    under_way = {row.pk: run for row in rows if row.state not in ENDED and (run := runs.get((row.pk, row.attempt)))}
    known = readiness(run.engine for pk, run in under_way.items() if patients[pk]) if under_way else {}
    shown = []
    for row in rows:
        run = under_way.get(row.pk)
        awaited = awaited_partners(patients[row.pk], known.get(run.engine)) if run and not run.is_terminal else []
        shown.append(
            ShownExecution(
                row,
                names[row.schema_id],
                patients[row.pk],
                engines[row.pk],
                _attempts(row, earlier.get(row.pk, []), runs),
                _held_up(run, awaited) if run else "",
                awaited,
            )
        )
    return shown


def execution_as_posted(row: Execution, request: ExecutionRequest, run: WorkflowRun | None) -> ShownExecution:
    """Return what answers show of an execution that has just been stored, without reading it again."""
    patients = {partner.name: list(partner.patient_ids) for partner in request.partners}
    engines = [ShownEngine(chosen.descriptor, chosen.version, chosen.ai_model) for chosen in request.engines]
    awaited: Sequence[AwaitedPartner] = []
    if run and patients:
        awaited = awaited_partners(patients, readiness([run.engine]).get(run.engine))
    attempts = _attempts(row, [], {(row.pk, row.attempt): run} if run else {})
    held_up = _held_up(run, awaited) if run else ""
    return ShownExecution(row, request.schema, patients, engines, attempts, held_up, awaited)


def _runs(execution_ids: Sequence[int]) -> dict[tuple[int, int], WorkflowRun]:
    """Return the runs of executions by execution and attempt, with only the columns that answers need."""
    runs = runs_of(OWNER_KIND, execution_ids).only(
        "owner_id", "attempt", "name", "engine", "phase", "message", "waiting_since"
    )
    return {(run.owner_id, run.attempt): run for run in runs}


def _earlier_attempts(execution_ids: Sequence[int]) -> dict[int, list[ExecutionAttempt]]:
    found: dict[int, list[ExecutionAttempt]] = {}
    if execution_ids:
        for attempt in ExecutionAttempt.objects.filter(execution__in=execution_ids).order_by("attempt"):
            found.setdefault(attempt.execution_id, []).append(attempt)
    return found


def _attempts(
    row: Execution, earlier: Sequence[ExecutionAttempt], runs: Mapping[tuple[int, int], WorkflowRun]
) -> list[ShownAttempt]:
    every: list[Execution | ExecutionAttempt] = [*earlier, row]
    names = [run.name if (run := runs.get((row.pk, each.attempt))) else "" for each in every]
    return [
        ShownAttempt(each.attempt, each.schema_version, each.state, each.reason, each.message, name)
        for each, name in zip(every, names, strict=True)
    ]


def _held_up(run: WorkflowRun, awaited: Sequence[AwaitedPartner]) -> str:
    """Return what a Workflow waits for that has not begun or does not proceed, or that it runs on a lost node."""
    if run.is_terminal:
        return ""
    is_waiting = run.phase == RunPhase.QUEUED or run.waiting_since
    return run.message or (waiting_words(awaited) if is_waiting else "")


def execution_bare(execution_id: int) -> Execution:
    """Return one execution's own row. Raises NotFound."""
    return _execution(Execution.objects.all(), execution_id)


def execution_locked(execution_id: int) -> Execution:
    """Return one execution's row, locked until the transaction ends. Raises NotFound."""
    return _execution(Execution.objects.select_for_update(), execution_id)


def parameter_values(execution: Execution) -> dict[str, Any]:
    """Return the parameters that step runners may fetch instead of reading them in their arguments, by name."""
    partners = ExecutionDataPartner.objects.filter(execution=execution).order_by("position")
    texts = {
        MODEL_NAME: execution.output_model_name,
        MODEL_DESCRIPTION: execution.output_model_description,
        MODEL_MERGE_TYPE: execution.output_model_merge_type or DEFAULT_MERGE_TYPE,
    }
    return {PATIENTS: dict(partners.values_list("name", "patient_ids")), **texts}


def schema_of(execution: Execution) -> Schema | EarlierSchemaVersion:
    """Return the version of the Schema that an execution's present attempt uses."""
    return schema_version(execution.schema, execution.schema_version)


def schema_facts(schema: Schema | EarlierSchemaVersion) -> SchemaFacts:
    """Return what a version of a Schema takes and gives, as plain data."""
    elements = Elements.of(schema.input_elements, schema.ai_elements, schema.output_elements)
    return SchemaFacts(schema.name, schema.implementation, elements)


def no_such_execution() -> NotFound:
    """Return the error for an execution that does not exist."""
    return NotFound("There is no such execution.")


def _execution(executions: QuerySet[Execution], execution_id: int) -> Execution:
    try:
        return executions.get(pk=execution_id)
    except Execution.DoesNotExist as error:
        raise no_such_execution() from error
