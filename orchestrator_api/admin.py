"""Tokens in the admin: operators make and revoke them, and see a token's text only once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_revoke
from web.markup import badge


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not subscriptable at run time
    list_display = ("name", "state", "user", "last_used_at", "expires_at", "created_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "user")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("user", "name", "expires_at", "state", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("state", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return ("user", *self.readonly_fields) if obj else tuple(self.readonly_fields)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> tuple[str, ...]:
        return tuple(self.fields) if obj else ("user", "name", "expires_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        end = timezone.now() + timedelta(days=settings.API_TOKEN_LIFETIME_DAYS)
        return {"user": request.user.pk, "expires_at": end, **super().get_changeform_initial_data(request)}

    @admin.display(description="state")
    def state(self, token: ApiToken) -> SafeString | str:
        now = timezone.now()
        return badge("valid" if token.is_valid_at(now) else "revoked" if token.revoked_at else "expired")

    def save_model(self, request: HttpRequest, obj: ApiToken, form: forms.BaseForm, change: bool) -> None:
        if change:
            obj.save()
            return
        made, text = token_create(user=obj.user, name=obj.name, lifetime=obj.expires_at - timezone.now())
        obj.__dict__.update(made.__dict__)
        self.message_user(request, f"The token is {text} — store it now; it is not shown again.", messages.WARNING)

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.message_user(request, f"Tokens revoked: {token_revoke(tokens=queryset)}.", messages.SUCCESS)
