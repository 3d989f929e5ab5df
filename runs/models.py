"""One row for each Workflow: what is wanted, what the engine says, how it ended."""

from __future__ import annotations

from django.db import models


class RunPhase(models.TextChoices):
    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


TERMINAL_PHASES = frozenset({RunPhase.SUCCEEDED, RunPhase.FAILED, RunPhase.STOPPED, RunPhase.LOST})


class RunReason(models.TextChoices):
    """Why a run is in its phase, for whoever has to explain an end that is not a success."""

    NONE = ""
    ENGINE = "engine"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    LOST = "lost"


class WorkflowRun(models.Model):
    name = models.CharField(max_length=63, unique=True)
    owner_kind = models.CharField(max_length=40)
    owner_id = models.PositiveBigIntegerField()
    attempt = models.PositiveIntegerField(default=1)
    engine = models.CharField(max_length=40, help_text="Alias of the engine in settings.ENGINES.")
    manifest = models.JSONField()
    manifest_digest = models.CharField(max_length=64)
    config_maps = models.JSONField(default=dict, help_text="ConfigMaps that travel with the Workflow.")

    phase = models.CharField(max_length=12, choices=RunPhase, default=RunPhase.QUEUED)
    reason = models.CharField(max_length=12, choices=RunReason, default=RunReason.NONE, blank=True)
    message = models.TextField(blank=True)
    progress = models.CharField(max_length=20, blank=True)
    nodes = models.JSONField(default=dict)
    workflow_uid = models.CharField(max_length=64, blank=True)
    workflow_version = models.CharField(max_length=64, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True, help_text="When the whole run must have ended.")
    pending_deadline_at = models.DateTimeField(null=True, blank=True, help_text="When it must have started.")
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    delete_requested_at = models.DateTimeField(null=True, blank=True)

    # The outbox: who is carrying this row's wish to the engine, and when to try again.
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    claimed_by = models.CharField(max_length=80, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    @property
    def is_terminal(self) -> bool:
        return self.phase in TERMINAL_PHASES


class RunEvent(models.Model):
    """What happened to a run, in order; never changed, never deleted before its run."""

    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    cause = models.CharField(max_length=20, help_text="api, controller, engine, deadline, reconcile, callback")
    from_phase = models.CharField(max_length=12, blank=True)
    to_phase = models.CharField(max_length=12, blank=True)
    message = models.TextField(blank=True)
