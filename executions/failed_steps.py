"""Ends an execution when steps of its Workflow have failed for good while others still run.

The roles of a federated training report their own failures. A role that is killed reports nothing: the clients would
wait for a server that is gone, the server for a client, and an AI engine for orders, until a time-out of hours or days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from executions.callback_tokens import TokenKeys
from executions.models import Execution, ExecutionState, FailureReason, FederatedProgress
from executions.outcomes import failure_written, locked, wound_up
from executions.progress import FAILED, partner_names, role_to_failed
from executions.transitions import ENDED
from federated.services import ChannelRefused, ChannelUnavailable, channel_fail
from policy.parts import templates_of
from runs.last_words import step_last_words, with_last_words
from runs.models import WorkflowRun
from runs.nodes import Nodes, given_up, is_within
from runs.owners import NotReady
from web.errors import NotAllowedInState, NotFound
from web.grants import Role


@dataclass(frozen=True)
class _Step:
    """A step that has failed for good, or whose pod still runs after a failure; `partner` is its client's partner."""

    node: Mapping[str, Any]
    role: str
    partner: str = ""

    @property
    def name(self) -> str:
        return str(self.node.get("displayName") or self.node.get("id"))


def execution_steps_failed(run: WorkflowRun, channel_id: str, abandoned: Sequence[str]) -> None:
    """Fail the execution of a run if a failed step was needed, and tell the roles that wait for it.

    `abandoned` are pods that have failed and still run. Raises NotReady if the roles cannot be told now.
    """
    execution = Execution.objects.filter(pk=run.owner_id, attempt=run.attempt).first()
    if execution is None or execution.state == ExecutionState.SUCCEEDED:
        return
    for step in _failed(run, execution, abandoned):
        if step.role == Role.SERVER:
            _server_gone(run, step, channel_id)
        elif step.partner:
            _client_gone(run, step, execution)
        elif str(step.node.get("id")) in abandoned:
            _fail(run, _words(run, step))


def _failed(run: WorkflowRun, execution: Execution, abandoned: Sequence[str]) -> Iterator[_Step]:
    names = partner_names(execution)
    federated = execution.number_iterations is not None
    keys = TokenKeys(run.manifest["spec"], names, federated)
    roles = {str(template.get("name")): keys.of(template) for template in templates_of(run.manifest["spec"])}
    nodes = run.nodes
    for node in [*given_up(nodes), *(nodes[each] for each in abandoned if each in nodes)]:
        role = roles.get(str(node.get("templateName")), "").partition(".")[0]
        is_client = federated and role == Role.CLIENT
        yield _Step(node, role if federated else "", _partner(nodes, node, names) if is_client else "")


def _partner(nodes: Nodes, step: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the data partner whose client a step is, by the step's arguments; '' if they do not name just one."""
    inputs = (node.get("inputs") or {} for node in nodes.values() if is_within(node, step))
    values = {str(parameter.get("value")) for each in inputs for parameter in each.get("parameters") or ()}
    found = values & set(names)
    return found.pop() if len(found) == 1 else ""


def _server_gone(run: WorkflowRun, step: _Step, channel_id: str) -> None:
    """Fail an execution whose server is gone, and tell its clients the reason so that they end."""
    message = f"The server of the federated training has ended. {_words(run, step)}"
    _fail(run, message)
    if not channel_id:
        return
    try:
        channel_fail(channel_id, message)
    except (ChannelUnavailable, ChannelRefused) as error:
        raise NotReady(f"The clients cannot be told that the server has ended: {error}") from error


def _client_gone(run: WorkflowRun, step: _Step, execution: Execution) -> None:
    """Record that a client is gone, unless it has reported its own failure."""
    told = FederatedProgress.objects.filter(execution=execution, attempt=run.attempt, partner=step.partner)
    last = told.order_by("round").last()
    if last is not None and last.step == FAILED:
        return
    try:
        role_to_failed(
            execution_id=run.owner_id,
            partner=step.partner,
            document={"message": _words(run, step)},
            attempt=run.attempt,
        )
    except (NotFound, NotAllowedInState):
        return


def _fail(run: WorkflowRun, message: str) -> None:
    """Fail the execution of a run, unless it has ended; what still runs is stopped after a grace period."""
    with transaction.atomic():
        try:
            last, execution = locked(run.owner_id, run.attempt)
        except (NotFound, NotAllowedInState):
            return
        if execution.state not in ENDED:
            failure_written(execution, reason=FailureReason.ENGINE, message=message)
            wound_up(execution, last)


def _words(run: WorkflowRun, step: _Step) -> str:
    said = str(step.node.get("message") or "the step failed")
    return with_last_words(f"{step.name}: {said}", step_last_words(run, step.node))
