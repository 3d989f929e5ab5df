"""Wake-ups (web.wakeups) for waiting requests in the event loop: one listener for each topic with a waiting request."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from django.db import DatabaseError, close_old_connections

from web.wakeups import Listener

logger = logging.getLogger(__name__)

# A listener may hold a connection to the database. Requests that wait for a further topic poll.
_MOST_TOPICS = 32
# A listener stays for later requests, and longer than any request waits.
_LINGER_SECONDS = 5.0


class _Topic:
    """A topic that is listened to; `heard` is set, and replaced, at each wake-up."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.listener: Listener | None = None
        self.descriptor = -1
        self.last_wanted_at = 0.0


class Wakeups:
    """The topics with waiting requests."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    async def heard(self, name: str) -> asyncio.Event:
        """Return the event that is set at the next wake-up of a topic; never for the topic ''."""
        loop = asyncio.get_running_loop()
        topic = self._topics.get(name)
        if topic is None:
            if not name or len(self._topics) >= _MOST_TOPICS:
                return asyncio.Event()
            topic = self._topics[name] = _Topic()
            await self._listen(name, topic)
        topic.last_wanted_at = loop.time()
        return topic.heard

    async def wait(self, heard: asyncio.Event, over: asyncio.Event, seconds: float) -> None:
        """Wait for a wake-up or the end, for at most so many seconds."""
        if heard.is_set() or over.is_set() or not seconds:
            return
        waiting = [asyncio.ensure_future(each.wait()) for each in (heard, over)]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _listen(self, name: str, topic: _Topic) -> None:
        loop = asyncio.get_running_loop()
        try:
            topic.listener = await loop.run_in_executor(None, _listener, name)
        except (DatabaseError, OSError):
            # Waiting requests poll meanwhile; the next one tries again.
            logger.exception("cannot listen to %s", name)
            self._topics.pop(name, None)
            return
        topic.descriptor = topic.listener.fileno()
        loop.add_reader(topic.descriptor, self._hear, name, topic)
        loop.call_later(_LINGER_SECONDS, self._tidy, name, topic)

    def _hear(self, name: str, topic: _Topic) -> None:
        assert topic.listener is not None
        heard, topic.heard = topic.heard, asyncio.Event()
        heard.set()
        if not topic.listener.drain():
            # Its connection broke; the next waiting request makes another.
            self._drop(name, topic)

    def _tidy(self, name: str, topic: _Topic) -> None:
        loop = asyncio.get_running_loop()
        if self._topics.get(name) is not topic:
            return
        if loop.time() - topic.last_wanted_at < _LINGER_SECONDS:
            loop.call_later(_LINGER_SECONDS, self._tidy, name, topic)
        else:
            self._drop(name, topic)

    def _drop(self, name: str, topic: _Topic) -> None:
        if self._topics.get(name) is topic:
            del self._topics[name]
        assert topic.listener is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(topic.descriptor)
        # It may have a connection to the database, which is not closed in an event loop.
        loop.run_in_executor(None, _close, topic.listener)
        topic.heard.set()


def _listener(name: str) -> Listener:
    close_old_connections()
    return Listener(name)


def _close(listener: Listener) -> None:
    with suppress(OSError, DatabaseError):
        listener.close()
