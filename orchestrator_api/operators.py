"""The operators' site: current work first, then the lists of objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from executions.models import Execution, ExecutionState
from orchestrator_api.logins import ThrottledLoginForm, remember_browser
from runs.models import WorkflowRun

_ORDER = ("executions", "runs", "schemas", "registry", "orchestrator_api", "auth")
_RECENTLY = timedelta(hours=24)


@dataclass(frozen=True)
class Figure:
    """One number of the first page, with a link to the list that it counts."""

    title: str
    number: int
    address: str
    tone: str


class OperatorsSite(admin.AdminSite):
    site_header = "Orchestrator"
    site_title = "Orchestrator"
    index_title = "Operation"
    index_template = "operators/index.html"
    login_form = ThrottledLoginForm
    # Lists of executions need the width; the first page leads everywhere.
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the login, tell when to try again after too many failures, and mark a browser after a login."""
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            remember_browser(request, response)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if seconds := getattr(form, "retry_after_seconds", 0):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(seconds)
        return response

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """List the apps by how often an operator needs them."""
        rooms: list[Any] = super().get_app_list(request, app_label)
        order = {label: place for place, label in enumerate(_ORDER)}
        return sorted(rooms, key=lambda room: order.get(room["app_label"], len(order)))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the current numbers above the list of apps, to users who may see executions."""
        may_look = request.user.has_perm("executions.view_execution")
        figures = figures_of_the_day() if may_look else []
        return super().index(request, {"figures": figures, **(extra_context or {})})


def figures_of_the_day() -> list[Figure]:
    """Count the executions that wait, run, or ended within the last day."""
    since = timezone.now() - _RECENTLY
    ended = Q(updated_at__gte=since)
    counts = Execution.objects.aggregate(
        pending=Count("pk", filter=Q(state=ExecutionState.PENDING)),
        running=Count("pk", filter=Q(state=ExecutionState.RUNNING)),
        succeeded=Count("pk", filter=ended & Q(state=ExecutionState.SUCCEEDED)),
        failed=Count("pk", filter=ended & Q(state=ExecutionState.FAILED)),
    )
    executions = reverse("admin:executions_execution_changelist")
    recent = f"&updated_at__gte={since:%Y-%m-%dT%H:%M:%SZ}"
    open_runs = WorkflowRun.objects.filter(finished_at=None).count()
    return [
        Figure("pending", counts["pending"], f"{executions}?state__exact=pending", "quiet"),
        Figure("running", counts["running"], f"{executions}?state__exact=running", "busy"),
        Figure("succeeded in 24 hours", counts["succeeded"], f"{executions}?state__exact=succeeded{recent}", "ok"),
        Figure("failed in 24 hours", counts["failed"], f"{executions}?state__exact=failed{recent}", "bad"),
        Figure(
            "Workflows in progress",
            open_runs,
            reverse("admin:runs_workflowrun_changelist") + "?finished_at__isnull=True",
            "busy",
        ),
    ]
