"""Executions for operators: what runs, why it failed, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Prefetch, QuerySet
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from executions.attempts import execution_retry
from executions.models import Execution, ExecutionAIEngine, ExecutionAttempt, ExecutionDataPartner
from executions.owner import OWNER_KIND
from executions.round_markup import rounds_table
from executions.services import execution_delete, execution_stop
from executions.transitions import ENDED, State
from runs.markup import manifest_yaml, node_table
from runs.models import WorkflowRun
from runs.selectors import runs_of
from schemas.models import Schema
from web.addresses import registry_url
from web.errors import OrchestratorError
from web.markup import NOTHING, badge, lasting, links, scrolling

if TYPE_CHECKING:
    # The admin's classes take type arguments in their stubs only.
    _ExecutionAdmin = admin.ModelAdmin[Execution]
    _EngineInline = admin.TabularInline[ExecutionAIEngine, Execution]
    _PartnerInline = admin.TabularInline[ExecutionDataPartner, Execution]
    _AttemptInline = admin.TabularInline[ExecutionAttempt, Execution]
else:
    _ExecutionAdmin = admin.ModelAdmin
    _EngineInline = _PartnerInline = _AttemptInline = admin.TabularInline

_DETAILS = (
    "schema",
    "schema_version",
    "state_badge",
    "reason_text",
    "message",
    "created_at",
    "updated_at",
    "attempt",
    "api_link",
)
_BUTTONS = {"_stop": "Stopped.", "_retry": "Retried."}
_INPUTS = ("number_iterations", "federated_options", "external_data_link", "report_metadata_link")
_OUTPUTS = (
    "output_model_name",
    "output_model_description",
    "output_model_merge_type",
    "ai_model_link",
    "evaluation_metrics_links",
    "generic_file_link",
)


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
    fields = readonly_fields = ("descriptor", "image", "version_link", "ai_model_link", "user_vars_link")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="image")
    def image(self, engine: ExecutionAIEngine) -> str:
        known = engine.snapshot
        return f"{known.get('container_name', '?')}:{known.get('container_version', '?')}"

    @admin.display(description="version")
    def version_link(self, engine: ExecutionAIEngine) -> SafeString | str:
        return _registered("ai_engines_versions", engine.version)

    @admin.display(description="starts from")
    def ai_model_link(self, engine: ExecutionAIEngine) -> SafeString | str:
        return _registered("ai_models", engine.ai_model)

    @admin.display(description="user variables")
    def user_vars_link(self, engine: ExecutionAIEngine) -> str | SafeString:
        path = f"download_user_vars/?descriptor={quote(engine.descriptor, safe='')}"
        return _download(engine.user_vars, engine.execution_id, path)


class DataPartnerInline(_PartnerInline):
    """Shows how many patients a data partner has, and no clinical data."""

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


class AttemptInline(_AttemptInline):
    """How the attempts before the present one ended."""

    model = ExecutionAttempt
    fields = readonly_fields = ("attempt", "schema_version", "state", "reason", "message", "ended_at")
    extra = 0
    can_delete = False
    verbose_name_plural = "earlier attempts"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Execution)
class ExecutionAdmin(_ExecutionAdmin):
    list_display = ("id", "state_badge", "schema", "progress", "created_at", "duration", "why")
    list_display_links = ("id", "schema")
    list_filter = ("state", "reason", "schema", ("updated_at", admin.DateFieldListFilter))
    list_per_page = 50
    list_select_related = False
    search_fields = ("=id", "schema__name", "output_model_name", "message")
    search_help_text = "An id, or part of a Schema's name, an output model's name or a message."
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    actions = ("stop_selected", "retry_selected")
    inlines = (DataPartnerInline, AIEngineInline, AttemptInline)
    fieldsets = (
        (None, {"fields": _DETAILS}),
        ("Inputs", {"fields": _INPUTS}),
        ("Outputs", {"fields": _OUTPUTS}),
        ("Federated training", {"fields": ("rounds",)}),
        ("Workflow", {"fields": ("run_link",)}),
        ("Steps", {"fields": ("steps",)}),
        ("Manifest", {"classes": ("collapse",), "fields": ("manifest_text",)}),
    )
    readonly_fields = (*_DETAILS, *_INPUTS, *_OUTPUTS, "rounds", "run_link", "steps", "manifest_text")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ExecutionChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        schemas = Prefetch("schema", Schema.objects.only("name"))
        return super().get_queryset(request).prefetch_related(schemas)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Execution | None:
        execution = super().get_object(request, object_id, from_field)
        if execution is not None:
            runs = list(runs_of(OWNER_KIND, [execution.pk]))
            execution.last_run = runs[-1] if runs else None  # type: ignore[attr-defined]
            execution.runs = runs  # type: ignore[attr-defined]
        return execution

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Execution) -> None:
        execution_delete(execution_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        for execution_id in list(queryset.values_list("pk", flat=True)):
            execution_delete(execution_id=execution_id)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        execution = kwargs.get("obj")
        context["can_stop"] = execution is not None and execution.state not in ENDED
        context["can_retry"] = execution is not None and execution.state == State.FAILED
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Execution, form: Any, change: bool) -> None:
        """Write nothing: a callback may have changed the row since it was read."""

    def response_change(self, request: HttpRequest, obj: Execution) -> HttpResponse:
        """Carry out the action of the pressed button; the page has no button that saves fields."""
        here = reverse("admin:executions_execution_change", args=[obj.pk])
        if "_stop" in request.POST:
            self._each(request, [obj.pk], "stopped", lambda pk: execution_stop(execution_id=pk))
        elif "_retry" in request.POST:
            self._each(request, [obj.pk], "retried", lambda pk: execution_retry(execution_id=pk))
        return HttpResponseRedirect(here)

    def log_change(self, request: HttpRequest, obj: Execution, message: Any) -> Any:
        verb = next((text for name, text in _BUTTONS.items() if name in request.POST), message)
        return super().log_change(request, obj, verb)

    @admin.display(description="state", ordering="state")
    def state_badge(self, execution: Execution) -> SafeString | str:
        return badge(execution.state)

    @admin.display(description="reason", ordering="reason")
    def reason_text(self, execution: Execution) -> str:
        return execution.get_reason_display() if execution.reason else NOTHING

    @admin.display(description="ran for")
    def duration(self, execution: Execution) -> str:
        run = _run(execution)
        if run is None or run.started_at is None:
            return NOTHING
        return lasting((run.finished_at or timezone.now()) - run.started_at)

    @admin.display(description="progress")
    def progress(self, execution: Execution) -> str:
        run = _run(execution)
        return (run.progress or run.phase) if run else NOTHING

    @admin.display(description="why")
    def why(self, execution: Execution) -> str:
        said = [execution.get_reason_display()] if execution.reason else []
        return ": ".join([*said, *([execution.message[:120]] if execution.message else [])]) or NOTHING

    @admin.display(description="API resource")
    def api_link(self, execution: Execution) -> SafeString | str:
        url = reverse("execution-detail", args=[execution.pk])
        return links([(url, url)])

    @admin.display(description="AI model")
    def ai_model_link(self, execution: Execution) -> SafeString | str:
        return _registered("ai_models", execution.ai_model)

    @admin.display(description="evaluation metrics")
    def evaluation_metrics_links(self, execution: Execution) -> SafeString | str:
        ids = execution.evaluation_metrics or []
        return links((registry_url("evaluation_metrics", each), str(each)) for each in ids)

    @admin.display(description="generic file")
    def generic_file_link(self, execution: Execution) -> SafeString | str:
        return _registered("generic_files", execution.generic_file)

    @admin.display(description="external data")
    def external_data_link(self, execution: Execution) -> str | SafeString:
        return _download(execution.external_data, execution.pk, "download_external_data/")

    @admin.display(description="report metadata")
    def report_metadata_link(self, execution: Execution) -> str | SafeString:
        return _download(execution.report_metadata, execution.pk, "download_report_metadata/")

    @admin.display(description="runs")
    def run_link(self, execution: Execution) -> str | SafeString:
        runs: list[WorkflowRun] = getattr(execution, "runs", [])
        if not runs:
            return NOTHING
        return links((reverse("admin:runs_workflowrun_change", args=[run.pk]), run.name) for run in reversed(runs))

    @admin.display(description="rounds")
    def rounds(self, execution: Execution) -> SafeString | str:
        return rounds_table(execution)

    @admin.display(description="steps")
    def steps(self, execution: Execution) -> SafeString | str:
        run = _run(execution)
        return node_table(run) if run else "The execution has no Workflow."

    @admin.display(description="manifest")
    def manifest_text(self, execution: Execution) -> SafeString | str:
        run = _run(execution)
        return scrolling(manifest_yaml(run.manifest)) if run else NOTHING

    @admin.action(description="Stop selected executions", permissions=["change"])
    def stop_selected(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        self._each(request, _ids(queryset), "stopped", lambda pk: execution_stop(execution_id=pk))

    @admin.action(description="Retry selected executions that failed", permissions=["change"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Execution]) -> None:
        self._each(request, _ids(queryset), "retried", lambda pk: execution_retry(execution_id=pk))

    def _each(self, request: HttpRequest, ids: Iterable[int], done: str, verb: Callable[[int], Execution]) -> None:
        """Carry out a verb on each execution and report the result; when one fails, the others are still done."""
        for execution_id in ids:
            try:
                verb(execution_id)
            except OrchestratorError as error:
                details = "; ".join(f"{fault.pointer} {fault.detail}" for fault in error.faults) or error.detail
                self.message_user(request, f"Execution {execution_id}: {details}", messages.ERROR)
            else:
                self.message_user(request, f"Execution {execution_id} was {done}.", messages.SUCCESS)


def _run(execution: Execution) -> WorkflowRun | None:
    return getattr(execution, "last_run", None)


def _download(file: FieldFile, execution_id: int, path: str) -> str | SafeString:
    """Link to the API's download: a stored file has no URL of its own."""
    if not file:
        return NOTHING
    return format_html('<a href="{}{}">download</a>', reverse("execution-detail", args=[execution_id]), path)


def _ids(queryset: QuerySet[Execution]) -> list[int]:
    return list(queryset.order_by("pk").values_list("pk", flat=True))


def _registered(resource: str, id: int | None) -> SafeString | str:
    """Link to a resource of the model registry."""
    return links([(registry_url(resource, id), str(id))]) if id else NOTHING
