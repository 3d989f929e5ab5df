"""Executions as an owner of runs: what their Workflows need, wait for, and what their ends mean."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone

from executions import conf
from executions.facts import OWNER_KIND
from executions.models import ExecutionDataPartner
from executions.outcomes import failure_amended, reported_success, run_ended
from executions.partners import awaited_partners, waiting_words
from executions.rendering import CALLBACK_TOKEN_KEY, callback_secret_name
from runs.models import WorkflowRun
from runs.owners import Attachments, RunOwner
from runs.readiness import readiness
from web.grants import WorkflowGrant, issue_token

__all__ = ["OWNER_KIND", "ExecutionOwner"]


class ExecutionOwner(RunOwner):
    """Gives each Workflow its callback token, and fails executions whose Workflows ended in silence."""

    def prepare(self, run: WorkflowRun) -> Attachments:
        grant = WorkflowGrant(execution_id=run.owner_id, attempt=run.attempt, name=run.name)
        ends_at = run.deadline_at or timezone.now() + conf.longest_run()
        token = issue_token(grant, ends_at + conf.CALLBACK_GRACE)
        return Attachments(
            config_maps=run.config_maps,
            secrets={callback_secret_name(run.name): {CALLBACK_TOKEN_KEY: token}},
        )

    def phase_changed(self, run: WorkflowRun) -> None:
        if run.is_terminal:
            run_ended(run)

    def message_amended(self, run: WorkflowRun, before: str) -> None:
        failure_amended(run, before)

    def waits_for(self, run: WorkflowRun) -> str:
        names = ExecutionDataPartner.objects.filter(execution_id=run.owner_id).order_by("position")
        known = readiness([run.engine]).get(run.engine)
        return waiting_words(awaited_partners(names.values_list("name", flat=True), known))

    def has_succeeded(self, run: WorkflowRun) -> bool | None:
        return reported_success(run)

    def admin_address(self, owner_id: int) -> str:
        return reverse("admin:executions_execution_change", args=[owner_id])
