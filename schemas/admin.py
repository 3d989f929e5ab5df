"""Schemas for operators: to read and to delete; they come in through the API, which checks them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from schemas.models import Schema
from schemas.services import schema_delete
from web.errors import NotFound

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Schema]
else:
    _ModelAdmin = admin.ModelAdmin


@admin.register(Schema)
class SchemaAdmin(_ModelAdmin):
    list_display = ("name", "type", "implementation", "takes", "engines", "gives", "execution_count", "created_at")
    list_filter = ("type", "implementation", "created_at")
    search_fields = ("name", "description")
    ordering = ("-created_at", "-id")
    list_per_page = 50
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("name", "type", "implementation", "description", "execution_count")}),
        ("Elements", {"fields": ("inputs_text", "engines_text", "outputs_text")}),
        ("Workflow", {"fields": ("auxiliary_file", "manifest_text")}),
        ("Times", {"fields": ("created_at", "updated_at")}),
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
        except NotFound:  # Somebody else was faster; it is gone, as was wished.
            return

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Schema]) -> None:
        for schema in queryset:
            self.delete_model(request, schema)

    @admin.display(description="executions", ordering="executions_total")
    def execution_count(self, schema: Schema) -> int:
        return int(getattr(schema, "executions_total", 0))

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
    def inputs_text(self, schema: Schema) -> SafeString:
        return _preformatted(json.dumps(schema.input_elements, indent=2))

    @admin.display(description="AI elements")
    def engines_text(self, schema: Schema) -> SafeString:
        return _preformatted(json.dumps(schema.ai_elements, indent=2))

    @admin.display(description="output elements")
    def outputs_text(self, schema: Schema) -> SafeString:
        return _preformatted(json.dumps(schema.output_elements, indent=2))

    @admin.display(description="manifest")
    def manifest_text(self, schema: Schema) -> SafeString | str:
        if not schema.auxiliary_file:
            return "-"
        try:
            with schema.auxiliary_file.open("rb") as file:
                return _preformatted(file.read().decode(errors="replace"))
        except FileNotFoundError:
            return "The storage has lost this file."


def _asked_for(elements: dict[str, Any]) -> str:
    return ", ".join(name for name, asked in elements.items() if asked) or "-"


def _preformatted(text: str) -> SafeString:
    return format_html('<pre style="white-space: pre; overflow-x: auto">{}</pre>', text)
