"""Runs in the admin: they can be read and stopped; only the controller changes their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from runs.markup import manifest_yaml, node_table
from runs.models import Node, RunEvent, RunPhase, WorkflowRun
from runs.owners import owner_of
from runs.services import run_stop
from web.markup import badge, lasting, links, scrolling

# Django's own classes take no type parameter; only their stubs do.
if TYPE_CHECKING:
    _EventInlineBase = admin.TabularInline[RunEvent, WorkflowRun]
    _NodeAdminBase = admin.ModelAdmin[Node]
    _RunAdminBase = admin.ModelAdmin[WorkflowRun]
else:
    _EventInlineBase = admin.TabularInline
    _NodeAdminBase = admin.ModelAdmin
    _RunAdminBase = admin.ModelAdmin


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RunEventInline(_ReadOnly, _EventInlineBase):
    model = RunEvent
    fields = ("at", "cause", "from_phase", "to_phase", "message")
    readonly_fields = fields
    extra = 0
    verbose_name_plural = "events"


@admin.register(WorkflowRun)
class WorkflowRunAdmin(_ReadOnly, _RunAdminBase):
    list_display = ("name", "phase_badge", "owner", "progress", "created_at", "duration", "engine", "short_message")
    list_filter = ("phase", "reason", "engine", ("finished_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "message")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    actions = ("stop",)
    inlines = (RunEventInline,)
    fieldsets = (
        (
            None,
            {"fields": ("name", "phase_badge", "reason", "message", "progress", "owner", "attempt", "engine", "logs")},
        ),
        ("Steps", {"fields": ("steps",)}),
        (
            "Times",
            {
                "fields": (
                    ("created_at", "submitted_at", "started_at", "finished_at"),
                    ("deadline_at", "pending_deadline_at", "waiting_since"),
                    ("stop_requested_at", "delete_requested_at"),
                )
            },
        ),
        (
            "Actions at the engine",
            {
                "classes": ("collapse",),
                "fields": (
                    ("next_try_at", "tries", "claimed_by", "claimed_until"),
                    ("handed_over_at", "stop_sent_at", "terminate_sent_at", "workflow_ended_at", "released_at"),
                    ("workflow_uid", "workflow_version", "manifest_digest"),
                    "images",
                ),
            },
        ),
        ("Manifest", {"classes": ("collapse",), "fields": ("manifest_text",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
        # Only the page of one run shows large documents; the list must not load them.
        match = request.resolver_match
        is_one = match is not None and str(match.url_name).endswith("_change")
        queryset = super().get_queryset(request)
        return queryset.select_related("document", "node_table") if is_one else queryset

    @admin.display(description="phase", ordering="phase")
    def phase_badge(self, run: WorkflowRun) -> SafeString | str:
        return badge(run.phase)

    @admin.display(description="owner", ordering="owner_id")
    def owner(self, run: WorkflowRun) -> SafeString | str:
        text = f"{run.owner_kind} {run.owner_id}"
        try:
            address = owner_of(run).admin_address(run.owner_id)
        except KeyError:
            return text
        return links([(address, text)]) if address else text

    @admin.display(description="ran for")
    def duration(self, run: WorkflowRun) -> str:
        return lasting((run.finished_at or timezone.now()) - run.started_at if run.started_at else None)

    @admin.display(description="message")
    def short_message(self, run: WorkflowRun) -> str:
        return run.message if len(run.message) <= 100 else f"{run.message[:100]}…"

    @admin.display(description="steps")
    def steps(self, run: WorkflowRun) -> SafeString | str:
        return node_table(run)

    @admin.display(description="output")
    def logs(self, run: WorkflowRun) -> SafeString | str:
        return links([(reverse("run-logs", args=[run.name]), "log of its containers")])

    @admin.display(description="manifest")
    def manifest_text(self, run: WorkflowRun) -> SafeString:
        return scrolling(manifest_yaml(run.manifest))

    def has_stop_permission(self, request: HttpRequest) -> bool:
        """Let users stop runs who may change them; the rows cannot be changed in the admin."""
        return request.user.has_perm("runs.change_workflowrun")

    @admin.action(description="Stop the selected runs", permissions=["stop"])
    def stop(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> None:
        ids = list(queryset.filter(finished_at=None, stop_requested_at=None).values_list("pk", flat=True))
        for run_id in ids:
            run_stop(run_id=run_id, message=f"Stopped by {request.user.get_username()}.")
        stopped = WorkflowRun.objects.filter(pk__in=ids, phase=RunPhase.STOPPED).count()
        self.message_user(
            request, f"Runs to stop: {len(ids)}. Stopped before they were submitted: {stopped}.", messages.SUCCESS
        )


@admin.register(Node)
class NodeAdmin(_ReadOnly, _NodeAdminBase):
    """The engines' machines, read-only: the controller keeps them up to date."""

    list_display = ("name", "engine", "partner", "ready", "message", "seen_at")
    list_filter = ("engine", "ready", "partner")
    search_fields = ("name", "partner", "message")
    fields = ("name", "engine", "partner", "ready", "message", "seen_at", "labels")
