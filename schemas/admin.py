"""Schemas in the admin: they can be read and deleted; they are created by the API, which checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from schemas.models import Schema
from schemas.services import schema_delete
from web.errors import NotFound
from web.markup import links, pairs, scrolling

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Schema]
else:
    _ModelAdmin = admin.ModelAdmin


_DETAILS = (
    "name", "version", "is_shipped", "type", "implementation", "description", "executions", "created_at", "updated_at",
)  # fmt: skip


@admin.register(Schema)
class SchemaAdmin(_ModelAdmin):
    list_display = (
        "name",
        "version",
        "type",
        "implementation",
        "takes",
        "engines",
        "gives",
        "executions",
        "created_at",
    )
    list_filter = ("type", "implementation", "created_at")
    search_fields = ("name", "description")
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": _DETAILS}),
        ("Elements", {"fields": ("inputs_table", "engines_tables", "outputs_table")}),
        ("Workflow", {"fields": ("manifest_link", "manifest_text")}),
        ("Earlier versions", {"fields": ("versions_table",)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Schema | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schema]:
        queryset = super().get_queryset(request).annotate(executions_total=Count("executions"))
        match = request.resolver_match
        is_list = match is not None and str(match.url_name).endswith("_changelist")
        return queryset.defer("manifest", "description") if is_list else queryset

    def delete_model(self, request: HttpRequest, obj: Schema) -> None:
        try:
            schema_delete(name=obj.name)
        except NotFound:  # Another request has deleted it already.
            return

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Schema]) -> None:
        for schema in queryset:
            self.delete_model(request, schema)

    @admin.display(description="executions", ordering="executions_total")
    def executions(self, schema: Schema) -> SafeString | str:
        total = int(getattr(schema, "executions_total", 0))
        address = reverse("admin:executions_execution_changelist") + f"?schema__id__exact={schema.pk}"
        return links([(address, str(total))]) if total else "0"

    @admin.display
    def takes(self, schema: Schema) -> str:
        return _asked_for(schema.input_elements)

    @admin.display
    def gives(self, schema: Schema) -> str:
        return _asked_for(schema.output_elements)

    @admin.display(description="AI engines")
    def engines(self, schema: Schema) -> str:
        return ", ".join(engine["descriptor"] for engine in schema.ai_elements["ai_engines"])

    @admin.display(description="input elements")
    def inputs_table(self, schema: Schema) -> SafeString | str:
        return pairs(schema.input_elements)

    @admin.display(description="AI engines")
    def engines_tables(self, schema: Schema) -> SafeString | str:
        return format_html_join("", "{}", ((pairs(engine),) for engine in schema.ai_elements["ai_engines"]))

    @admin.display(description="output elements")
    def outputs_table(self, schema: Schema) -> SafeString | str:
        return pairs(schema.output_elements)

    @admin.display(description="auxiliary file")
    def manifest_link(self, schema: Schema) -> SafeString | str:
        if not schema.auxiliary_file:
            return "-"
        return links([(reverse("schema-download-auxiliary-file", args=[schema.name]), "download")])

    @admin.display(description="manifests")
    def versions_table(self, schema: Schema) -> SafeString | str:
        address = reverse("schema-download-auxiliary-file", args=[schema.name])
        versions = schema.earlier_versions.exclude(auxiliary_file="").values_list("version", "created_at")
        return links(
            (f"{address}?version={version}", f"version {version}, of {stored_at:%Y-%m-%d %H:%M}")
            for version, stored_at in versions
        )

    @admin.display(description="manifest")
    def manifest_text(self, schema: Schema) -> SafeString | str:
        if not schema.auxiliary_file:
            return "-"
        try:
            with schema.auxiliary_file.open("rb") as file:
                return scrolling(file.read().decode(errors="replace"))
        except FileNotFoundError:
            return "The file is no longer stored."


def _asked_for(elements: dict[str, Any]) -> str:
    return ", ".join(name for name, asked in elements.items() if asked is True) or "-"
