"""From a checked request to the Workflow of one attempt: rendered, and queued as a run."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.utils import timezone

from executions import conf
from executions.facts import OWNER_KIND, ManagerVariables, RenderedExecution
from executions.federation import manager_variables
from executions.fetched_parameters import (
    FETCHED,
    MODEL_DESCRIPTION,
    MODEL_MERGE_TYPE,
    MODEL_NAME,
    PATIENTS,
    excesses,
)
from executions.granting import attached_names, workflow_grant
from executions.models import Execution
from executions.parameters import execution_parameters
from executions.posting import Posted
from executions.rendering import Rendering, render, workflow_name
from runs.gate import refused_by_engine, verdict_of
from runs.models import WorkflowRun
from runs.services import run_create
from web.errors import Fault, InvalidInput
from web.shape import MAX_FAULTS

_AT_SCHEMA = "/data/schema"
_OUTPUT_MODEL = "/data/output_elements/ai_model"
_PASTED = {
    PATIENTS: "/data/input_elements/platform_data/data_partners_patients",
    MODEL_NAME: f"{_OUTPUT_MODEL}/name",
    MODEL_DESCRIPTION: f"{_OUTPUT_MODEL}/description",
    MODEL_MERGE_TYPE: f"{_OUTPUT_MODEL}/merge_type",
}


def workflow_rendered(posted: Posted, execution: Execution) -> Rendering:
    """Return the Workflow of an execution's present attempt, under a unique name.

    Raises InvalidInput if the policy for manifests does not let it run.
    """
    name = workflow_name(execution.pk, execution.attempt)
    # This time is part of the channel's name, so an attempt does not read the messages of an earlier attempt.
    begun_at = execution.created_at if execution.attempt == 1 else timezone.now()
    rendered = posted.rendered(execution.pk, begun_at)
    if not posted.facts.is_started:
        parameters = execution_parameters(rendered, conf.platform(), settings.AI_ENGINE_CONFIG_MAP_NAME)
        return Rendering(name, {}, parameters, {})
    rendering = render(
        manifest=posted.version.manifest or {},
        execution=rendered,
        platform=conf.platform(),
        name=name,
        config_map_name=settings.AI_ENGINE_CONFIG_MAP_NAME,
        callback_images=settings.CALLBACK_TOKEN_IMAGES,
        managers=_managers(posted, rendered, execution.attempt),
        claims=conf.partner_claims(),
        transport=conf.transport(),
    )
    _hold_to_sizes(rendering)
    _hold_to_policy(rendering, rendered)
    return rendering


def _hold_to_sizes(rendering: Rendering) -> None:
    """Refuse a Workflow whose containers could never be started because their arguments or variables are too long.

    Raises InvalidInput.
    """
    found = [
        Fault(pointer, f"is too long for this Schema's manifest: {each.detail}")
        for each in excesses(rendering.manifest["spec"])
        for pointer in [_PASTED[name] for name in FETCHED if name in each.parameters] or [_AT_SCHEMA]
    ]
    if found:
        raise InvalidInput(faults=found[:MAX_FAULTS])


def _hold_to_policy(rendering: Rendering, execution: RenderedExecution) -> None:
    """Refuse a Workflow that the controller or its engine would refuse at submission. Raises InvalidInput."""
    grant = workflow_grant(
        execution_id=execution.id,
        partners=[partner.name for partner in execution.partners],
        engines=[engine.snapshot.container_name for engine in execution.engines],
        is_federated=execution.federated,
    )
    secrets, config_maps = attached_names(rendering)
    verdict = verdict_of(rendering.manifest, settings.ENGINE, replace(grant, secrets=secrets, config_maps=config_maps))
    faults = verdict.faults or refused_by_engine(rendering.manifest, settings.ENGINE)
    if faults:
        words = "the policy refuses the Workflow that would be rendered"
        found = [Fault(_AT_SCHEMA, f"{words}: {fault.pointer}: {fault.detail}") for fault in faults]
        raise InvalidInput(faults=found[:MAX_FAULTS])


def _managers(posted: Posted, rendered: RenderedExecution, attempt: int) -> ManagerVariables | None:
    if not posted.facts.is_federated:
        return None
    options = posted.request.federated_options.over(posted.facts.elements.input.federated_learning_defaults)
    return manager_variables(rendered, options, attempt, timezone.now() + conf.longest_run())


def workflow_queued(rendering: Rendering, execution: Execution) -> WorkflowRun:
    """Queue the Workflow of an execution's present attempt, in the caller's transaction; return its run."""
    deadlines = conf.deadlines()
    return run_create(
        owner_kind=OWNER_KIND,
        owner_id=execution.pk,
        name=rendering.name,
        manifest=rendering.manifest,
        config_maps=rendering.config_maps,
        attempt=execution.attempt,
        deadline_seconds=deadlines.whole,
        pending_deadline_seconds=deadlines.pending,
    )
