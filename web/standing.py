"""Checks again, during a long request or answer, whether its caller still has access.

    refuse_ended(request)                      # between the blocks of a download or an upload
    still_granted(request)                     # while there is nothing to send
    while_granted(request, lines)              # around a stream
    GrantedTurns(request, turns)               # around an answer that comes in turns

If a token is revoked or expires, a session ends or a Workflow ends, the requests that it opened end within
RECHECK_SECONDS, or exactly when the token expires. This module does not depend on the server.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from web.errors import InvalidToken
from web.turns import Turn, Turns

logger = logging.getLogger(__name__)

# A check is one query; a stream makes it at most this often.
RECHECK_SECONDS = 5.0
_ASK_AT = "_granted_until"

_T = TypeVar("_T")


def note_granted(request: Request) -> None:
    """Remember that a request's caller has just been authenticated."""
    setattr(request._request, _ASK_AT, time.monotonic() + RECHECK_SECONDS)


def still_granted(request: Request | HttpRequest) -> bool:
    """Return whether the caller of a request still has access; the last check is at most RECHECK_SECONDS old."""
    if not isinstance(request, Request):
        return True
    expires_at = getattr(request.auth, "expires_at", None)
    if expires_at is not None and timezone.now() >= expires_at:
        return False
    ask_at = getattr(request._request, _ASK_AT, None)
    if ask_at is None or time.monotonic() >= ask_at:
        if not _is_let_in_again(request):
            return False
        note_granted(request)
    return True


def refuse_ended(request: Request | HttpRequest) -> None:
    """Raise InvalidToken if the caller of a request no longer has access."""
    if not still_granted(request):
        raise InvalidToken("The token or the session ended during the request.")


def while_granted(request: Request | HttpRequest, chunks: Iterable[_T]) -> Iterator[_T]:
    """Yield chunks while the caller has access; then break off, so that the caller knows that there was more."""
    for chunk in chunks:
        refuse_ended(request)
        yield chunk
    refuse_ended(request)


class GrantedTurns(Turns):
    """Turns that are taken while the caller of a request has access; after that the next one raises InvalidToken."""

    def __init__(self, request: Request | HttpRequest, turns: Turns) -> None:
        self._request, self._turns = request, turns

    @property
    def topic(self) -> str:
        return self._turns.topic

    def take(self) -> Turn:
        refuse_ended(self._request)
        return self._turns.take()

    def close(self) -> None:
        self._turns.close()


def _is_let_in_again(request: Request) -> bool:
    try:
        ways: Any = request.authenticators
        again = Request(_as_it_came(request._request), authenticators=ways)
        return bool(again.user == request.user and again.auth == request.auth)
    except APIException:
        return False
    except DatabaseError:
        # The check is not possible now: it is made again at the next block.
        logger.warning("the token or session of a caller could not be checked again", exc_info=True)
        return True


def _as_it_came(request: HttpRequest) -> HttpRequest:
    """Return a copy of a request for a new authentication: it writes nothing, and its session is read again."""
    fresh = copy.copy(request)
    fresh.method = "GET"
    session: Any = getattr(request, "session", None)
    if session is not None:
        fresh.session = import_module(settings.SESSION_ENGINE).SessionStore(session.session_key)
        fresh.user = get_user(fresh)
    return fresh
