"""Who sends a request: a person or program with a token, or a Workflow."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_use
from runs.models import TERMINAL_PHASES, WorkflowRun
from web.errors import InvalidToken
from web.grants import TOKEN_PREFIX, WorkflowGrant, read_token


class TokenAuthentication(BaseAuthentication):
    """Takes `Authorization: Bearer <token>` (or `Token <token>`), a person's or a Workflow's."""

    def authenticate(
        self, request: Request
    ) -> tuple[AbstractBaseUser | AnonymousUser, ApiToken | WorkflowGrant] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in (b"bearer", b"token"):
            return None
        try:
            if len(words) != 2:
                raise InvalidToken("The header must read `Authorization: Bearer <token>`; a token holds no spaces.")
            text = words[1].decode("ascii")
            if text.startswith(TOKEN_PREFIX):
                return AnonymousUser(), _live_grant(text)
            token = token_use(text=text)
        except InvalidToken as error:
            raise AuthenticationFailed(error.detail) from error
        except UnicodeDecodeError as error:
            raise AuthenticationFailed("A token holds ASCII characters only.") from error
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="orchestrator"'


def _live_grant(text: str) -> WorkflowGrant:
    """Return the grant of a Workflow token whose Workflow still runs. Raises InvalidToken."""
    grant = read_token(text)
    runs = WorkflowRun.objects.filter(
        owner_kind=grant.owner_kind, owner_id=grant.owner_id, attempt=grant.attempt, name=grant.name
    )
    if not runs.exclude(phase__in=TERMINAL_PHASES).exists():
        raise InvalidToken("The Workflow of this token has ended.")
    return grant


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the tokens in the OpenAPI document."""

    target_class = "orchestrator_api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
