"""The model registry in the admin: rows can be read and deleted; they are created by the API, which checks files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from registry import services
from registry.authors import Author
from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile, Registered
from web.errors import Conflict, NotFound
from web.markup import NOTHING, links, pairs

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


ORIGIN = ("made_by", "created_at", "updated_at")


class RegisteredAdmin(_ModelAdmin):
    """Shows rows and deletes them as the API does: with their files, and only if they are not used."""

    ordering = ("-created_at", "-id")
    date_hierarchy = None
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="created by")
    def made_by(self, row: Registered) -> str:
        return row.created_by or NOTHING

    @admin.display(description="patients")
    def patients(self, row: AIModel | EvaluationMetric) -> str:
        """Show the number of patients of each data partner, never their ids."""
        counts = {name: len(ids) if isinstance(ids, list) else "?" for name, ids in row.data_partners_patients.items()}
        return pairs(counts)

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
    fieldsets = (
        (None, {"fields": ("name", "container_name", "owner", "role_type", "data_types", "version_count")}),
        (
            "Description",
            {"fields": ("description", "data_considerations", "trl", "ethics", "caveats", "metrics", "license")},
        ),
        ("Origin", {"fields": ORIGIN}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        engines: QuerySet[Any] = super().get_queryset(request).annotate(total_versions=Count("versions"))
        return engines

    @admin.display(description="data types")
    def data_types(self, engine: AIEngine) -> str:
        return ", ".join(engine.data_type) or NOTHING

    @admin.display(description="versions", ordering="total_versions")
    def version_count(self, engine: Any) -> str:
        address = reverse("admin:registry_aiengineversion_changelist") + f"?ai_engine__id__exact={engine.pk}"
        return links([(address, str(engine.total_versions))]) if engine.total_versions else "0"

    def delete_row(self, request: HttpRequest, row: AIEngine) -> None:
        services.ai_engine_delete(engine_id=row.pk)


@admin.register(AIEngineVersion)
class AIEngineVersionAdmin(RegisteredAdmin):
    list_display = ("ai_engine", "container_version", "functionality_names", "memory_limit", "cpu_limit", "created_at")
    list_display_links = ("ai_engine", "container_version")
    list_filter = (("ai_engine", admin.RelatedOnlyFieldListFilter), "explains", "created_at")
    list_select_related = ("ai_engine",)
    search_fields = ("ai_engine__name", "container_version", "description")
    fieldsets = (
        (None, {"fields": ("ai_engine", "container_version", "functionality_names", "description", "explains")}),
        (
            "Resources",
            {
                "fields": (
                    "max_iteration_time",
                    ("memory_request", "memory_limit"),
                    ("cpu_request", "cpu_limit"),
                )
            },
        ),
        ("Files", {"fields": ("user_vars",)}),
        ("Origin", {"fields": ORIGIN}),
    )

    @admin.display(description="functionalities")
    def functionality_names(self, version: AIEngineVersion) -> str:
        return ", ".join(version.functionalities)

    @admin.display(description="default user variables")
    def user_vars(self, version: AIEngineVersion) -> str:
        base = reverse("aiengineversion-detail", args=[version.pk])
        names = version.default_user_vars.order_by("functionality").values_list("functionality", flat=True)
        return links((f"{base}download_default_user_vars_{name}/", name) for name in names)

    def delete_row(self, request: HttpRequest, row: AIEngineVersion) -> None:
        services.ai_engine_version_delete(version_id=row.pk)


@admin.register(AIModel)
class AIModelAdmin(RegisteredAdmin):
    list_display = ("id", "name", "engine", "container_version", "merge_type", "created_by", "created_at")
    list_display_links = ("id", "name")
    list_filter = ("merge_type", "created_at")
    list_select_related = ("ai_engine_version__ai_engine",)
    search_fields = ("name", "description", "ai_engine_version__ai_engine__name", "created_by")
    fieldsets = (
        (
            None,
            {"fields": ("name", "description", "version_link", "parent_ai_model", "merge_type", "files", "earlier")},
        ),
        ("Data", {"fields": ("patients", "data_hash")}),
        ("Results", {"fields": ("metrics",)}),
        ("Origin", {"fields": ("download_resume_retries", *ORIGIN)}),
    )

    @admin.display(description="files")
    def files(self, model: AIModel) -> str:
        return links(
            [
                (reverse("aimodel-download-contents", args=[model.pk]), "contents"),
                (reverse("aimodel-download-ai-engine-version-user-vars", args=[model.pk]), "user variables"),
            ]
        )

    @admin.display(description="earlier files")
    def earlier(self, model: AIModel) -> str:
        contents = reverse("aimodel-download-contents", args=[model.pk])
        rows = model.earlier_contents.order_by("-version")[:50]
        return links(
            (
                f"{contents}?version={row.version}",
                f"{row}, by {row.stored_by or NOTHING}, {row.stored_at:%Y-%m-%d %H:%M}",
            )
            for row in rows
        )

    @admin.display(description="AI engine version")
    def version_link(self, model: AIModel) -> str:
        version = model.ai_engine_version
        address = reverse("admin:registry_aiengineversion_change", args=[version.pk])
        return links([(address, f"{version.ai_engine.name} {version.container_version}")])

    @admin.display(description="evaluation metrics")
    def metrics(self, model: AIModel) -> str:
        # A name may appear several times, each time for other patients.
        rows = model.evaluation_metrics.order_by("name", "id")[:50]
        return links((reverse("admin:registry_evaluationmetric_change", args=[row.pk]), str(row)) for row in rows)

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
    list_filter = ("name", "created_at")
    list_select_related = ("ai_model",)
    search_fields = ("name", "ai_model__name", "description", "created_by")
    fieldsets = (
        (None, {"fields": ("name", "value", "ai_model", "description")}),
        ("Data", {"fields": ("patients", "data_hash")}),
        ("Origin", {"fields": ORIGIN}),
    )

    def delete_row(self, request: HttpRequest, row: EvaluationMetric) -> None:
        services.evaluation_metric_delete(metric_id=row.pk, author=_author(request))


@admin.register(GenericFile)
class GenericFileAdmin(RegisteredAdmin):
    list_display = ("id", "name", "created_by", "created_at")
    list_display_links = ("id", "name")
    list_filter = ("created_at",)
    search_fields = ("name", "created_by")
    fieldsets = ((None, {"fields": ("name", "files")}), ("Origin", {"fields": ("made_by", "created_at")}))

    @admin.display(description="files")
    def files(self, generic_file: GenericFile) -> str:
        return links([(reverse("genericfile-packed-contents-download", args=[generic_file.pk]), "contents")])

    def delete_row(self, request: HttpRequest, row: GenericFile) -> None:
        services.generic_file_delete(file_id=row.pk, author=_author(request))
