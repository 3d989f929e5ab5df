"""The requests that wait for messages of channels."""

from __future__ import annotations

from django.conf import settings

from web.long_polls import Waiters

MESSAGES = Waiters("channels", lambda: settings.FEDERATED_WAITING_REQUESTS)
