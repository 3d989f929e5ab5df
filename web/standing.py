"""Whether a caller may still have what it was let in for, asked again while an answer or a body is under way.

    refuse_ended(request)                      # between the blocks of a download or an upload
    still_granted(request)                     # while nothing comes that could be sent
    while_granted(request, lines)              # around a stream
    GrantedTurns(request, turns)               # around an answer that comes in turns

A token that was revoked or has expired, a session that was ended, a Workflow that is over: each ends what it opened,
within RECHECK_SECONDS, and at the very moment that a token itself names. Knows nothing of the server around it.
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

# A check is one query; a stream makes it no oftener than this.
RECHECK_SECONDS = 5.0
_ASK_AT = "_granted_until"

_T = TypeVar("_T")


def note_granted(request: Request) -> None:
    """Remember that a request's caller was let in just now."""
    setattr(request._request, _ASK_AT, time.monotonic() + RECHECK_SECONDS)


def still_granted(request: Request | HttpRequest) -> bool:
    """Return whether the caller of a request would still be let in, as of at most RECHECK_SECONDS ago."""
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
    """Raise InvalidToken where the caller of a request would be let in no more."""
    if not still_granted(request):
        raise InvalidToken("The token, or the session, ended while this was under way.")


def while_granted(request: Request | HttpRequest, chunks: Iterable[_T]) -> Iterator[_T]:
    """Yield chunks as long as the caller may have them; then break off, which tells it that there was more."""
    for chunk in chunks:
        refuse_ended(request)
        yield chunk
    refuse_ended(request)


class GrantedTurns(Turns):
    """Turns that are taken as long as the caller of a request may have them. Raises InvalidToken at the next one."""

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
        # Nobody can tell just now: it is asked again at the next block.
        logger.warning("whether a caller may go on could not be asked", exc_info=True)
        return True


def _as_it_came(request: HttpRequest) -> HttpRequest:
    """Return a request to authenticate anew: it writes nothing, and its session is read again."""
    fresh = copy.copy(request)
    fresh.method = "GET"
    session: Any = getattr(request, "session", None)
    if session is not None:
        fresh.session = import_module(settings.SESSION_ENGINE).SessionStore(session.session_key)
        fresh.user = get_user(fresh)
    return fresh
