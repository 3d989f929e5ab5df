"""The registry for operators: to look at and to delete; what has files comes in through the API, which checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from registry import services
from registry.authors import Author
from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile, Registered
from web.errors import Conflict, NotFound

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class RegisteredAdmin(_ModelAdmin):
    """Shows rows, and deletes them as the API does: with their files, and not while they are used."""

    ordering = ("-created_at", "-id")
    date_hierarchy = None
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_row(self, request: HttpRequest, row: Any) -> None:
        """Delete one row by its service."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: Registered) -> None:
        try:
            self.delete_row(request, obj)
        except NotFound:
            return
        except Conflict as error:
            self.message_user(request, f"{obj}: {error.detail}", messages.ERROR)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)


def _author(request: HttpRequest) -> Author:
    return Author(request.user.get_username())


@admin.register(AIEngine)
class AIEngineAdmin(RegisteredAdmin):
    list_display = ("name", "container_name", "owner", "role_type", "version_count", "created_at")
    list_filter = ("role_type", "owner", "created_at")
    search_fields = ("name", "container_name", "owner", "description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        engines: QuerySet[Any] = super().get_queryset(request).annotate(version_count=Count("versions"))
        return engines

    @admin.display(description="versions", ordering="version_count")
    def version_count(self, engine: Any) -> int:
        return int(engine.version_count)

    def delete_row(self, request: HttpRequest, row: AIEngine) -> None:
        services.ai_engine_delete(engine_id=row.pk)


@admin.register(AIEngineVersion)
class AIEngineVersionAdmin(RegisteredAdmin):
    list_display = ("ai_engine", "container_version", "functionality_names", "memory_limit", "cpu_limit", "created_at")
    list_display_links = ("ai_engine", "container_version")
    list_filter = ("explains", "created_at")
    list_select_related = ("ai_engine",)
    search_fields = ("ai_engine__name", "container_version", "description")

    @admin.display(description="functionalities")
    def functionality_names(self, version: AIEngineVersion) -> str:
        return ", ".join(version.functionalities)

    def delete_row(self, request: HttpRequest, row: AIEngineVersion) -> None:
        services.ai_engine_version_delete(version_id=row.pk)


@admin.register(AIModel)
class AIModelAdmin(RegisteredAdmin):
    list_display = ("id", "name", "engine", "container_version", "merge_type", "created_by", "created_at")
    list_display_links = ("id", "name")
    list_filter = ("merge_type", "created_at")
    list_select_related = ("ai_engine_version__ai_engine",)
    search_fields = ("name", "description", "ai_engine_version__ai_engine__name", "created_by")
    exclude = ("contents", "ai_engine_version_user_vars")
    readonly_fields = ("files",)

    @admin.display(description="files")
    def files(self, model: AIModel) -> str:
        return format_html(
            '<a href="{}">contents</a>, <a href="{}">user variables</a>',
            reverse("aimodel-download-contents", args=[model.pk]),
            reverse("aimodel-download-ai-engine-version-user-vars", args=[model.pk]),
        )

    @admin.display(description="AI engine", ordering="ai_engine_version__ai_engine__name")
    def engine(self, model: AIModel) -> str:
        return model.ai_engine_version.ai_engine.name

    @admin.display(description="version", ordering="ai_engine_version__container_version")
    def container_version(self, model: AIModel) -> str:
        return model.ai_engine_version.container_version

    def delete_row(self, request: HttpRequest, row: AIModel) -> None:
        services.ai_model_delete(model_id=row.pk, author=_author(request))


@admin.register(EvaluationMetric)
class EvaluationMetricAdmin(RegisteredAdmin):
    list_display = ("id", "name", "value", "ai_model", "created_by", "created_at")
    list_display_links = ("id", "name")
    list_filter = ("created_at",)
    list_select_related = ("ai_model",)
    search_fields = ("name", "ai_model__name", "description", "created_by")

    def delete_row(self, request: HttpRequest, row: EvaluationMetric) -> None:
        services.evaluation_metric_delete(metric_id=row.pk, author=_author(request))


@admin.register(GenericFile)
class GenericFileAdmin(RegisteredAdmin):
    list_display = ("id", "name", "created_by", "created_at")
    list_display_links = ("id", "name")
    list_filter = ("created_at",)
    search_fields = ("name", "created_by")
    exclude = ("contents",)
    readonly_fields = ("files",)

    @admin.display(description="files")
    def files(self, generic_file: GenericFile) -> str:
        url = reverse("genericfile-packed-contents-download", args=[generic_file.pk])
        return format_html('<a href="{}">contents</a>', url)

    def delete_row(self, request: HttpRequest, row: GenericFile) -> None:
        services.generic_file_delete(file_id=row.pk, author=_author(request))
