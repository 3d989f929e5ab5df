"""Executions for operators: what runs, why it failed, and what can be done about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Prefetch, QuerySet
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from executions.models import Execution, ExecutionAIEngine, ExecutionDataPartner
from executions.owner import OWNER_KIND
from executions.services import execution_delete, execution_retry, execution_stop
from executions.transitions import ENDED
from runs.models import WorkflowRun
from runs.nodes import in_tree_order
from runs.selectors import runs_of
from schemas.models import Schema
from web.errors import OrchestratorError

if TYPE_CHECKING:
    # The admin's classes take type arguments in their stubs only.
    _ExecutionAdmin = admin.ModelAdmin[Execution]
    _EngineInline = admin.TabularInline[ExecutionAIEngine, Execution]
    _PartnerInline = admin.TabularInline[ExecutionDataPartner, Execution]
else:
    _ExecutionAdmin = admin.ModelAdmin
    _EngineInline = _PartnerInline = admin.TabularInline

NOTHING = "-"
_DETAILS = ("schema", "state", "reason", "message", "created_at", "updated_at", "retry_of")
_INPUTS = ("number_iterations", "external_data_link", "report_metadata_link")
_OUTPUTS = (
    "output_model_name",
    "output_model_description",
    "output_model_merge_type",
    "ai_model",
    "evaluation_metrics",
    "generic_file",
)
_WORKFLOW = ("run_link", "steps", "manifest")


class ExecutionChangeList(ChangeList):
    """The list's page, with each execution's last run beside it from one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        runs = {run.owner_id: run for run in runs_of(OWNER_KIND, [row.pk for row in rows])}
        for row in rows:
            row.last_run = runs.get(row.pk)
        self.result_list = rows


class AIEngineInline(_EngineInline):
    model = ExecutionAIEngine
    fields = readonly_fields = ("descriptor", "version", "ai_model", "user_vars_link", "snapshot")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="user variables")
    def user_vars_link(self, engine: ExecutionAIEngine) -> str | SafeString:
        path = f"download_user_vars/?descriptor={quote(engine.descriptor, safe='')}"
        return _download(engine.user_vars, engine.execution_id, path)


class DataPartnerInline(_PartnerInline):
    """A partner's patients by number only: clinical data has no place here."""

    model = ExecutionDataPartner
    fields = readonly_fields = ("name", "system_path", "patients")
    extra = 0
    can_delete = False

    @admin.display(description="patients")
    def patients(self, partner: ExecutionDataPartner) -> int:
        return len(partner.patient_ids)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExecutionDataPartner]:
        return super().get_queryset(request).defer("entry")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Execution)
class ExecutionAdmin(_ExecutionAdmin):
    list_display = ("id", "schema", "state", "reason", "age", "duration", "progress", "message_start")
    list_display_links = ("id",)
    list_filter = ("state", "reason", "created_at", "schema")
    list_per_page = 50
    list_select_related = False
    search_fields = ("=id", "schema__name", "output_model_name", "message")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    actions = ("stop_selected", "retry_selected")
    inlines = (DataPartnerInline, AIEngineInline)
    fieldsets = (
        (None, {"fields": _DETAILS}),
        ("Inputs", {"fields": _INPUTS}),
        ("Outputs", {"fields": _OUTPUTS}),
        ("Workflow", {"fields": _WORKFLOW}),
    )
    readonly_fields = (*_DETAILS, *_INPUTS, *_OUTPUTS, *_WORKFLOW)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ExecutionChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        schemas = Prefetch("schema", Schema.objects.only("name"))
        return super().get_queryset(request).prefetch_related(schemas)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Execution | None:
        execution = super().get_object(request, object_id, from_field)
        if execution is not None:
            runs = runs_of(OWNER_KIND, [execution.pk]).select_related("document", "node_table")
            execution.last_run = runs.last()  # type: ignore[attr-defined]
        return execution

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Execution) -> None:
        execution_delete(execution_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        for execution_id in list(queryset.values_list("pk", flat=True)):
            execution_delete(execution_id=execution_id)

    @admin.display(description="age", ordering="created_at")
    def age(self, execution: Execution) -> str:
        return timesince(execution.created_at, depth=1)

    @admin.display(description="ran for")
    def duration(self, execution: Execution) -> str:
        run = _run(execution)
        if run is None or run.started_at is None:
            return NOTHING
        seconds = round(((run.finished_at or timezone.now()) - run.started_at).total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    @admin.display(description="progress")
    def progress(self, execution: Execution) -> str:
        run = _run(execution)
        return (run.progress or run.phase) if run else NOTHING

    @admin.display(description="message")
    def message_start(self, execution: Execution) -> str:
        return execution.message[:120] or NOTHING

    @admin.display(description="external data")
    def external_data_link(self, execution: Execution) -> str | SafeString:
        return _download(execution.external_data, execution.pk, "download_external_data/")

    @admin.display(description="report metadata")
    def report_metadata_link(self, execution: Execution) -> str | SafeString:
        return _download(execution.report_metadata, execution.pk, "download_report_metadata/")

    @admin.display(description="run")
    def run_link(self, execution: Execution) -> str | SafeString:
        run = _run(execution)
        if run is None:
            return NOTHING
        url = reverse("admin:runs_workflowrun_change", args=[run.pk])
        return format_html('<a href="{}">{}</a> ({})', url, run.name, run.phase)

    @admin.display(description="steps")
    def steps(self, execution: Execution) -> str | SafeString:
        run = _run(execution)
        if run is None or not run.nodes:
            return NOTHING
        rows = format_html_join(
            "",
            '<tr><td style="padding-left: {}em">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>',
            (_step(depth, node) for depth, node in in_tree_order(run.nodes)),
        )
        head = "<th>Step</th><th>Phase</th><th>Started</th><th>Finished</th><th>Message</th>"
        return format_html("<table><tr>{}</tr>{}</table>", SafeString(head), rows)

    @admin.display(description="manifest")
    def manifest(self, execution: Execution) -> str | SafeString:
        run = _run(execution)
        if run is None:
            return NOTHING
        text = json.dumps(run.manifest, indent=2, ensure_ascii=False)
        return format_html('<pre style="white-space: pre-wrap; max-width: 100em">{}</pre>', text)

    @admin.action(description="Stop selected executions", permissions=["change"])
    def stop_selected(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        self._each(request, queryset.exclude(state__in=ENDED), "stopped", lambda pk: execution_stop(execution_id=pk))

    @admin.action(description="Retry selected executions as new ones", permissions=["change"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        self._each(request, queryset, "tried again", lambda pk: execution_retry(execution_id=pk))

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Execution], done: str, verb: Callable[[int], Execution]
    ) -> None:
        """Carry out a verb on each execution and say what became of it; one that cannot does not keep the others."""
        for execution_id in list(queryset.order_by("pk").values_list("pk", flat=True)):
            try:
                result = verb(execution_id)
            except OrchestratorError as error:
                details = "; ".join(f"{fault.pointer} {fault.detail}" for fault in error.faults) or error.detail
                self.message_user(request, f"Execution {execution_id}: {details}", messages.ERROR)
            else:
                as_new = f" as {result.pk}" if result.pk != execution_id else ""
                self.message_user(request, f"Execution {execution_id} was {done}{as_new}.", messages.SUCCESS)


def _run(execution: Execution) -> WorkflowRun | None:
    return getattr(execution, "last_run", None)


def _download(file: FieldFile, execution_id: int, path: str) -> str | SafeString:
    """Link to the API's own download: what is stored has no address of its own."""
    if not file:
        return NOTHING
    return format_html('<a href="{}{}">download</a>', reverse("execution-detail", args=[execution_id]), path)


def _step(depth: int, node: dict[str, Any]) -> tuple[Any, ...]:
    return (
        depth * 1.5,
        node.get("displayName") or node.get("name", ""),
        node.get("phase", ""),
        node.get("startedAt") or "",
        node.get("finishedAt") or "",
        node.get("message") or "",
    )
