"""Logins to the admin: failed logins are counted by account and by address; after too many, a login has to wait.

A guess is counted before its password is checked, so that many parallel guesses are limited like guesses in a row; a
right guess is subtracted. The counters are rows: all processes share them, and they survive a restart.

A browser with an earlier login is known by a signed cookie and counted separately. So a person who guesses at an
operator's password blocks new browsers, not the operator's own.
"""

from __future__ import annotations

import logging
import math
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orchestrator_api.models import LoginCounter
from orchestrator_api.networks import address_of

logger = logging.getLogger("orchestrator.logins")

KNOWN_BROWSER_COOKIE = "known_browser"
_SALT = "orchestrator.logins"
_KNOWN_FOR = timedelta(days=30)
# Hashing a password takes a core for a good part of a second; other requests must go on meanwhile.
_PASSWORDS_AT_ONCE = 2
_PATIENCE_SECONDS = 5.0
_places = BoundedSemaphore(_PASSWORDS_AT_ONCE)


class TooManyFailures(Exception):
    """Logins of this account, or from this address, have failed too often; `seconds` is how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait for {seconds:.0f} s")
        self.seconds = max(1, math.ceil(seconds))


class ThrottledLoginForm(AdminAuthenticationForm):
    """Django's own form; it counts every guess and logs every failure with its account and address."""

    retry_after_seconds = 0

    def clean(self) -> dict[str, Any]:
        account, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not account or not password or self.request is None:
            return super().clean()
        address = self.request.META.get("REMOTE_ADDR", "")
        try:
            with _guess(_limits(account, address, _browser(self.request, account))):
                return super().clean()
        except TooManyFailures as error:
            self.retry_after_seconds = error.seconds
            logger.warning("login refused after too many failures", extra={"account": account, "address": address})
            minutes = math.ceil(error.seconds / 60)
            raise ValidationError(
                f"Too many logins have failed. Try again in {minutes} minute{'s' if minutes > 1 else ''}.",
                code="throttled",
            ) from error
        except ValidationError:
            logger.warning("login failed", extra={"account": account, "address": address})
            raise


def remember_browser(request: HttpRequest, response: HttpResponseBase) -> None:
    """Mark the browser in which the request's user has just logged in."""
    response.set_signed_cookie(
        KNOWN_BROWSER_COOKIE,
        f"{secrets.token_hex(8)}.{_digest('account', _same(request.user.get_username()))}",
        salt=_SALT,
        max_age=int(_KNOWN_FOR.total_seconds()),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def guess_count(*, limits: Mapping[str, int]) -> None:
    """Count one more failure under each key. Raises TooManyFailures, and counts nothing, where a key has reached its
    limit."""
    now = timezone.now()
    ends_at = now + timedelta(seconds=settings.LOGIN_FAILURES_WINDOW_SECONDS)
    with transaction.atomic():
        # In one order everywhere, so that two guesses cannot deadlock.
        for key in sorted(limits):
            LoginCounter.objects.get_or_create(key=key, defaults={"ends_at": ends_at})
        rows = list(LoginCounter.objects.select_for_update().filter(pk__in=limits).order_by("pk"))
        full = [row.ends_at for row in rows if row.ends_at > now and row.failures >= limits[row.key]]
        if full:
            raise TooManyFailures((max(full) - now).total_seconds())
        for row in rows:
            if row.ends_at <= now:
                row.failures, row.ends_at = 0, ends_at
            row.failures += 1
            row.save(update_fields=["failures", "ends_at"])
        others = LoginCounter.objects.select_for_update(skip_locked=True).filter(ends_at__lte=now)
        LoginCounter.objects.filter(pk__in=list(others.values_list("pk", flat=True))).delete()


def guess_take_back(*, keys: list[str]) -> None:
    """Subtract a right guess: the account, or the browser, is reset, and the address keeps its count."""
    address, *others = keys
    with transaction.atomic():
        for row in LoginCounter.objects.select_for_update().filter(pk__in=keys).order_by("pk"):
            if row.key == address and others:
                row.failures = max(0, row.failures - 1)
                row.save(update_fields=["failures"])
            else:
                row.delete()


@contextmanager
def _guess(limits: Mapping[str, int]) -> Iterator[None]:
    """Count a guess as a failure, unless the block finds it right. Raises TooManyFailures."""
    guess_count(limits=limits)
    if not _places.acquire(timeout=_PATIENCE_SECONDS):
        raise TooManyFailures(_PATIENCE_SECONDS)
    try:
        yield
    finally:
        _places.release()
    guess_take_back(keys=list(limits))


def _limits(account: str, address: str, browser: str) -> dict[str, int]:
    """Return the keys under which a guess is counted, the address first, each with its limit of failures."""
    if browser:
        return {_digest("browser", browser): settings.LOGIN_FAILURES_PER_ACCOUNT}
    return {
        _digest("address", _neighbourhood(address)): settings.LOGIN_FAILURES_PER_ADDRESS,
        _digest("account", _same(account)): settings.LOGIN_FAILURES_PER_ACCOUNT,
    }


def _browser(request: HttpRequest, account: str) -> str:
    """Return the id of a browser in which this account has logged in before, or ''."""
    cookie = request.get_signed_cookie(
        KNOWN_BROWSER_COOKIE, default="", salt=_SALT, max_age=int(_KNOWN_FOR.total_seconds())
    )
    name, _, owner = (cookie or "").partition(".")
    return name if owner == _digest("account", _same(account)) else ""


def _same(account: str) -> str:
    """Return one form for all spellings of an account's name."""
    return unicodedata.normalize("NFKC", account).casefold()


def _neighbourhood(address: str) -> str:
    """Return the part of an address that a caller cannot change: an IPv4 address, or the 64-bit network of an IPv6
    one."""
    found = address_of(address)
    return str(found) if found is None or found.version == 4 else found.exploded[:19]


def _digest(*words: str) -> str:
    """Return the digest under which a name is stored: people type passwords into the name's field."""
    return salted_hmac(_SALT, "\0".join(words), algorithm="sha256").hexdigest()
