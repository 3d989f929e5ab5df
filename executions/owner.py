"""Executions as an owner of runs: what their Workflows need and wait for, and what a run's end means."""

from __future__ import annotations

from collections.abc import Sequence

from django.urls import reverse
from django.utils import timezone

from executions import conf
from executions.callback_tokens import Holder, holders
from executions.facts import OWNER_KIND
from executions.failed_steps import execution_steps_failed
from executions.federation import channel_of
from executions.granting import workflow_grant
from executions.models import Execution, ExecutionDataPartner
from executions.outcomes import failure_amended, reported_success, run_began, run_ended
from executions.partners import awaited_partners, waiting_words
from executions.rendering import callback_secret_name
from federated.services import ChannelRefused, ChannelSpec, ChannelUnavailable, channel_close, channel_open
from policy.parts import manager_role
from policy.rules import Grant
from runs.models import RunPhase, WorkflowRun
from runs.owners import Attachments, CannotPrepare, NotReady, RunOwner
from runs.readiness import readiness
from web.grants import WorkflowGrant, issue_token

__all__ = ["OWNER_KIND", "ExecutionOwner"]


class ExecutionOwner(RunOwner):
    """Gives each Workflow its callback tokens, and fails executions whose Workflows ended without a callback."""

    def prepare(self, run: WorkflowRun) -> Attachments:
        secret = {**_opened(run), **_tokens(run)}
        return Attachments(
            config_maps=run.config_maps,
            secrets={callback_secret_name(run.name): secret},
            of_installation=frozenset(name for name in run.config_maps if manager_role(name)),
        )

    def grant(self, run: WorkflowRun) -> Grant:
        execution = Execution.objects.prefetch_related("ai_engines", "data_partners").get(pk=run.owner_id)
        return workflow_grant(
            execution_id=execution.pk,
            partners=[partner.name for partner in execution.data_partners.all()],
            engines=[engine.snapshot["container_name"] for engine in execution.ai_engines.all()],
            is_federated=execution.number_iterations is not None,
        )

    def needs_release(self, run: WorkflowRun) -> bool:
        return _is_federated(run)

    def release(self, run: WorkflowRun) -> None:
        channel = _channel(run)
        if channel is None:
            return
        try:
            channel_close(channel.id)
        except ChannelUnavailable as error:
            raise NotReady(f"The channel {channel.id} cannot be closed: {error}") from error

    def phase_changed(self, run: WorkflowRun) -> None:
        if run.is_terminal:
            run_ended(run)
        elif run.phase == RunPhase.RUNNING:
            run_began(run)

    def message_amended(self, run: WorkflowRun, before: str) -> None:
        failure_amended(run, before)

    def heeds_failed_steps(self, run: WorkflowRun) -> bool:
        return _is_federated(run)

    def steps_failed(self, run: WorkflowRun, abandoned: Sequence[str]) -> None:
        channel = _channel(run)
        execution_steps_failed(run, channel.id if channel is not None else "", abandoned)

    def waits_for(self, run: WorkflowRun) -> str:
        names = ExecutionDataPartner.objects.filter(execution_id=run.owner_id).order_by("position")
        known = readiness([run.engine]).get(run.engine)
        return waiting_words(awaited_partners(names.values_list("name", flat=True), known))

    def has_succeeded(self, run: WorkflowRun) -> bool | None:
        return reported_success(run)

    def admin_address(self, owner_id: int) -> str:
        return reverse("admin:executions_execution_change", args=[owner_id])


def _tokens(run: WorkflowRun) -> dict[str, str]:
    """Return a token for each role and data partner that the containers of a Workflow need."""
    partners = ExecutionDataPartner.objects.filter(execution_id=run.owner_id).order_by("position")
    names = list(partners.values_list("name", flat=True))
    federated = _is_federated(run)
    ends_at = (run.deadline_at or timezone.now() + conf.longest_run()) + conf.CALLBACK_GRACE
    return {
        key: issue_token(_grant(run, each), ends_at)
        for key, each in holders(run.manifest, callback_secret_name(run.name), names, federated).items()
    }


def _grant(run: WorkflowRun, holder: Holder) -> WorkflowGrant:
    return WorkflowGrant(run.owner_kind, run.owner_id, run.attempt, run.name, holder.role, holder.partner)


def _is_federated(run: WorkflowRun) -> bool:
    return Execution.objects.filter(pk=run.owner_id, number_iterations__isnull=False).exists()


def _channel(run: WorkflowRun) -> ChannelSpec | None:
    return channel_of(run, conf.longest_run(), timezone.now())


def _opened(run: WorkflowRun) -> dict[str, str]:
    """Open the channel that a Workflow was rendered for, and return its variables that belong in the Secret."""
    channel = _channel(run)
    if channel is None:
        return {}
    try:
        return channel_open(channel)
    except ChannelUnavailable as error:
        raise NotReady(f"The channel of the federated training cannot be opened: {error}") from error
    except ChannelRefused as error:
        raise CannotPrepare(f"The channel of the federated training cannot be opened: {error}") from error
