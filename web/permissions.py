"""Who may call a view: any person with a token or session; a Workflow only if the view allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from web.grants import grant_of
from web.standing import note_granted

if TYPE_CHECKING:
    # This module is one of the REST framework's own settings, read while its views are being imported.
    from rest_framework.views import APIView


class IsPerson(BasePermission):
    """Allows every authenticated person, and a Workflow's callback token if the view allows it.

    A view allows it by `workflow_access(grant, request, view) -> bool`, or by `workflow_actions`: its actions (a
    viewset's action names, or lower-case methods of a plain APIView) to the roles that may call them. The view itself
    checks the rules for the object.
    With WORKFLOW_CALLBACKS_OPEN the listed actions need no token at all, for images that send none.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        note_granted(request)
        if request.user and request.user.is_authenticated:
            return True
        grant = grant_of(request)
        access = getattr(type(view), "workflow_access", None)
        if grant is not None:
            self.message = f"A Workflow's token with the role '{grant.role}' does not allow this request."
            if access is not None:
                return bool(access(grant, request, view))
        action = getattr(view, "action", None) or (request.method or "").lower()
        roles = getattr(view, "workflow_actions", {}).get(action)
        if roles is None:
            return False
        return grant.role in roles if grant is not None else bool(settings.WORKFLOW_CALLBACKS_OPEN)
