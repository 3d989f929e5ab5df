"""Runs in the admin: to read, and to stop; their rows are the controller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from runs.models import RunEvent, RunPhase, WorkflowRun
from runs.nodes import in_tree_order
from runs.services import run_stop

SHOWN_NODES = 2000

# Django's own classes take no type parameter; only their stubs do.
if TYPE_CHECKING:
    _EventInlineBase = admin.TabularInline[RunEvent, WorkflowRun]
    _RunAdminBase = admin.ModelAdmin[WorkflowRun]
else:
    _EventInlineBase = admin.TabularInline
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


@admin.register(WorkflowRun)
class WorkflowRunAdmin(_ReadOnly, _RunAdminBase):
    list_display = ("name", "phase", "owner", "engine", "progress", "age", "short_message")
    list_filter = ("phase", "reason", "owner_kind", "engine", "created_at")
    search_fields = ("name", "message")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    actions = ("stop",)
    inlines = (RunEventInline,)
    fieldsets = (
        (None, {"fields": ("name", "phase", "reason", "message", "progress", "owner", "attempt", "engine")}),
        ("Steps", {"fields": ("node_rows",)}),
        (
            "Times",
            {
                "fields": (
                    ("created_at", "submitted_at", "started_at", "finished_at"),
                    ("deadline_at", "pending_deadline_at", "stop_requested_at", "delete_requested_at"),
                )
            },
        ),
        (
            "Carrying it to the engine",
            {
                "classes": ("collapse",),
                "fields": (
                    ("next_try_at", "tries", "claimed_by", "claimed_until"),
                    ("handed_over_at", "stop_sent_at", "terminate_sent_at", "workflow_ended_at", "released_at"),
                    ("workflow_uid", "workflow_version", "manifest_digest"),
                ),
            },
        ),
        ("Manifest", {"classes": ("collapse",), "fields": ("manifest_text",)}),
    )

    @admin.display(description="owner", ordering="owner_id")
    def owner(self, run: WorkflowRun) -> str:
        return f"{run.owner_kind} {run.owner_id}"

    @admin.display(description="age", ordering="created_at")
    def age(self, run: WorkflowRun) -> str:
        return timesince(run.created_at, timezone.now(), depth=1)

    @admin.display(description="message")
    def short_message(self, run: WorkflowRun) -> str:
        return run.message if len(run.message) <= 100 else f"{run.message[:100]}…"

    @admin.display(description="")
    def node_rows(self, run: WorkflowRun) -> SafeString:
        nodes = list(in_tree_order(run.nodes))
        rows = format_html_join(
            "",
            '<tr><td style="padding-left:{}em">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>',
            (_cells(depth, node) for depth, node in nodes[:SHOWN_NODES]),
        )
        more = format_html("<p>… and {} more</p>", len(nodes) - SHOWN_NODES) if len(nodes) > SHOWN_NODES else ""
        titles = ("Node", "Type", "Phase", "Started", "Finished", "Message")
        head = format_html_join("", "<th>{}</th>", ((title,) for title in titles))
        return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}", head, rows, more)

    @admin.display(description="")
    def manifest_text(self, run: WorkflowRun) -> SafeString:
        text = yaml.safe_dump(run.manifest, sort_keys=False, allow_unicode=True, width=120)
        return format_html("<pre>{}</pre>", text)

    def has_stop_permission(self, request: HttpRequest) -> bool:
        """Let those stop runs who may change them; rows themselves nobody changes here."""
        return request.user.has_perm("runs.change_workflowrun")

    @admin.action(description="Stop the selected runs", permissions=["stop"])
    def stop(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> None:
        ids = list(queryset.filter(finished_at=None, stop_requested_at=None).values_list("pk", flat=True))
        for run_id in ids:
            run_stop(run_id=run_id, message=f"Stopped by {request.user.get_username()}.")
        stopped = WorkflowRun.objects.filter(pk__in=ids, phase=RunPhase.STOPPED).count()
        self.message_user(
            request, f"{len(ids)} asked to stop; {stopped} of them had not been submitted.", messages.SUCCESS
        )


def _cells(depth: int, node: dict[str, Any]) -> tuple[Any, ...]:
    return (
        depth,
        node.get("displayName") or node.get("name") or node.get("id", ""),
        node.get("type", ""),
        node.get("phase", ""),
        node.get("startedAt") or "",
        node.get("finishedAt") or "",
        node.get("message", ""),
    )
