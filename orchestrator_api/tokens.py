"""Make, find and revoke tokens."""

from __future__ import annotations

import hashlib
import logging
import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from orchestrator_api.models import ApiToken
from web.errors import InvalidToken

logger = logging.getLogger(__name__)

_PREFIX = "orc_"
_USE_NOTED_EVERY = timedelta(minutes=5)


def token_create(*, user: User, name: str, lifetime: timedelta) -> tuple[ApiToken, str]:
    """Store a new token of a user and return it with its text, which nobody can read again."""
    text = _PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(user=user, name=name, expires_at=timezone.now() + lifetime)
    token.token_hash = hash_of(text)
    token.save()
    return token, text


def token_revoke(*, tokens: QuerySet[ApiToken]) -> int:
    """Revoke these tokens; return how many were valid until now."""
    return tokens.filter(revoked_at=None).update(revoked_at=timezone.now())


def token_use(*, text: str) -> ApiToken:
    """Return the token of a text, with its user. Raises InvalidToken."""
    now = timezone.now()
    try:
        token = ApiToken.objects.select_related("user").get(token_hash=hash_of(text))
    except ApiToken.DoesNotExist as error:
        raise InvalidToken("The token is not known. It may be mistyped, or belong to another service.") from error
    if not token.is_valid_at(now):
        ended = "was revoked" if token.revoked_at else f"expired on {token.expires_at:%Y-%m-%d}"
        raise InvalidToken(f"The token {ended}.")
    if not token.user.is_active:
        raise InvalidToken("The account of this token is not active.")
    if token.last_used_at is None or now - token.last_used_at > _USE_NOTED_EVERY:
        _note_use(token)
    return token


def hash_of(text: str) -> str:
    """Return the stored hash of a token. A token has 256 random bits, so a fast hash is safe."""
    return hashlib.sha256(text.encode()).hexdigest()


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - _USE_NOTED_EVERY)
    try:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    except DatabaseError:
        # This note must not fail a request that only reads.
        logger.warning("the last use of a token could not be stored", exc_info=True)
