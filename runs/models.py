"""One row for each Workflow: what is to be done, what the engine reports, how it ended.

The row itself stays small, since every change of phase rewrites it. Large documents have their own rows:
`RunDocument` (written once) and `RunNodes` (written while the Workflow runs).
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from runs.nodes import NodesEncoder


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
    """Why a run ended without success."""

    NONE = ""
    ENGINE = "engine"
    DEADLINE = "deadline"
    STOPPED = "stopped"
    LOST = "lost"


class RunCause(models.TextChoices):
    """What caused an event."""

    API = "api"
    CONTROLLER = "controller"
    ENGINE = "engine"
    DEADLINE = "deadline"
    RECONCILE = "reconcile"
    CALLBACK = "callback"


class WorkflowRun(models.Model):
    name = models.CharField(max_length=63, unique=True)
    owner_kind = models.CharField(max_length=40)
    owner_id = models.PositiveBigIntegerField()
    attempt = models.PositiveIntegerField(default=1)
    engine = models.CharField(max_length=40, help_text="Alias of the engine in settings.ENGINES.")
    manifest_digest = models.CharField(max_length=64)
    images = models.JSONField(
        default=dict, blank=True, help_text="Its images: name to digest, empty if the digest is not known."
    )

    phase = models.CharField(max_length=12, choices=RunPhase, default=RunPhase.QUEUED)
    reason = models.CharField(max_length=12, choices=RunReason, default=RunReason.NONE, blank=True)
    message = models.TextField(blank=True)
    progress = models.CharField(max_length=20, blank=True)
    workflow_uid = models.CharField(max_length=64, blank=True)
    workflow_version = models.CharField(max_length=64, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    handed_over_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When a controller first took the run; from then on the engine may have its Workflow.",
    )
    submitted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    workflow_ended_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When the Workflow had ended at the engine; may be later than the end of the run.",
    )
    released_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True, help_text="The time by which the run must have ended.")
    pending_deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="The time by which a step must have started; empty once one has."
    )
    waiting_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when a step waits at the engine; empty if none waits."
    )
    wind_up_at = models.DateTimeField(
        null=True, blank=True, help_text="When the Workflow is stopped because its execution has ended."
    )
    tend_at = models.DateTimeField(
        null=True, blank=True, help_text="When a controller handles steps that have failed while others still run."
    )
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    stop_sent_at = models.DateTimeField(null=True, blank=True)
    terminate_sent_at = models.DateTimeField(null=True, blank=True)
    delete_requested_at = models.DateTimeField(null=True, blank=True)

    # The outbox: which controller carries out this row's wish, and when to try again.
    next_try_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    claimed_by = models.CharField(max_length=80, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("owner_kind", "owner_id", "attempt"), name="run_one_of_each_attempt"),
            models.CheckConstraint(
                name="run_ended_exactly_when_terminal",
                condition=Q(phase__in=sorted(TERMINAL_PHASES), finished_at__isnull=False)
                | (~Q(phase__in=sorted(TERMINAL_PHASES)) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(name="run_phase_known", condition=Q(phase__in=RunPhase.values)),
        ]
        indexes = [
            models.Index(fields=("-created_at", "-id"), name="run_newest"),
            models.Index(fields=("phase", "-created_at", "-id"), name="run_by_phase"),
            models.Index(
                fields=("engine", "next_try_at"), condition=Q(next_try_at__isnull=False), name="run_with_a_wish"
            ),
            models.Index(fields=("claimed_by",), condition=Q(claimed_until__isnull=False), name="run_claimed"),
            models.Index(
                fields=("engine",),
                condition=Q(handed_over_at__isnull=False, workflow_ended_at__isnull=True),
                name="run_open_at_engine",
            ),
            models.Index(
                fields=("deadline_at",),
                condition=Q(finished_at__isnull=True, deadline_at__isnull=False),
                name="run_deadline",
            ),
            models.Index(
                fields=("pending_deadline_at",),
                condition=Q(finished_at__isnull=True, pending_deadline_at__isnull=False),
                name="run_pending_deadline",
            ),
            models.Index(
                fields=("engine", "waiting_since"),
                condition=Q(finished_at__isnull=True, waiting_since__isnull=False),
                name="run_waiting",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_terminal(self) -> bool:
        return self.phase in TERMINAL_PHASES

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = self.document.manifest
        return manifest

    @property
    def config_maps(self) -> dict[str, dict[str, str]]:
        config_maps: dict[str, dict[str, str]] = self.document.config_maps
        return config_maps

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        nodes: dict[str, dict[str, Any]] = self.node_table.nodes
        return nodes


class RunDocument(models.Model):
    """What is submitted to the engine; never changed."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, primary_key=True, related_name="document")
    manifest = models.JSONField()
    config_maps = models.JSONField(default=dict, help_text="ConfigMaps that are submitted with the Workflow.")


class RunNodes(models.Model):
    """The Workflow's nodes as the engine last reported them."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, primary_key=True, related_name="node_table")
    nodes = models.JSONField(default=dict, encoder=NodesEncoder)


class RunEvent(models.Model):
    """An event of a run; never changed, never deleted before its run."""

    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    cause = models.CharField(max_length=20, choices=RunCause)
    from_phase = models.CharField(max_length=12, blank=True)
    to_phase = models.CharField(max_length=12, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.run_id}: {self.from_phase} → {self.to_phase}"


class RunLog(models.Model):
    """The stored log of a run, for engines that do not keep logs; `note` says what is missing."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, primary_key=True, related_name="kept_log")
    file = models.FileField(upload_to="runs/logs", max_length=200, blank=True)
    lines = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0, help_text="Size before compression.")
    note = models.TextField(blank=True)
    kept_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"log of {self.run_id}"


class Node(models.Model):
    """A cluster node of an engine, as the engine last reported it; not a node of a Workflow."""

    engine = models.CharField(max_length=40)
    name = models.CharField(max_length=253)
    partner = models.CharField(
        max_length=200, blank=True, help_text="The data partner whose pods the cluster node takes."
    )
    labels = models.JSONField(default=dict)
    ready = models.BooleanField()
    message = models.TextField(blank=True, help_text="Why the cluster node is not ready.")
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("engine", "name")
        constraints = [models.UniqueConstraint(fields=("engine", "name"), name="node_once")]
        indexes = [models.Index(fields=("partner",), name="node_of_partner")]

    def __str__(self) -> str:
        return self.name
