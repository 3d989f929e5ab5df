"""Tokens in the admin: made and revoked, never read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_revoke


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    list_display = ("id", "name", "user", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("user", "name", "expires_at", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return ("user", *self.readonly_fields) if obj else tuple(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.BaseForm, change: bool) -> None:
        if change:
            obj.save()
            return
        made, text = token_create(user=obj.user, name=obj.name, lifetime=obj.expires_at - timezone.now())
        obj.__dict__.update(made.__dict__)
        self.message_user(request, f"The token is {text}; it is not shown again.", messages.WARNING)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.message_user(request, f"{token_revoke(tokens=queryset)} revoked")
