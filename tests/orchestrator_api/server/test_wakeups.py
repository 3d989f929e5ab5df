from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from orchestrator_api.server import wakeups
from orchestrator_api.server.wakeups import Wakeups
from web.wakeups import notify

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_LINGER_SECONDS", 0.5)


def tell(topic: str) -> None:
    notify(topic)
    connections.close_all()


def run(main: Callable[[Wakeups, asyncio.Event], Awaitable[None]]) -> None:
    async def with_all() -> None:
        known = Wakeups()
        await main(known, asyncio.Event())
        while known._topics:
            await asyncio.sleep(0.01)

    asyncio.run(with_all())


def test_who_waits_hears_what_is_told() -> None:
    async def main(known: Wakeups, over: asyncio.Event) -> None:
        heard = [await known.heard("mine") for _ in range(3)]
        other = await known.heard("another")
        await asyncio.to_thread(tell, "mine")
        await asyncio.gather(*(known.wait(each, over, 30) for each in heard))

        assert [each.is_set() for each in [*heard, other]] == [True, True, True, False]
        assert not (await known.heard("mine")).is_set()

    run(main)


def test_a_wait_ends_with_its_time_and_when_it_is_over() -> None:
    async def main(known: Wakeups, over: asyncio.Event) -> None:
        heard = await known.heard("")
        await known.wait(heard, over, 0.01)
        over.set()
        await known.wait(heard, over, 3600)

        assert not heard.is_set()

    run(main)


def test_a_topic_that_nobody_waits_for_is_left() -> None:
    async def main(known: Wakeups, over: asyncio.Event) -> None:
        heard = await known.heard("left")
        await known.wait(heard, over, 30)

        assert heard.is_set()
        assert (await known.heard("left")) is not heard

    run(main)
    assert not list((Path(settings.DATA_DIR) / "wakeups").glob("left-*"))


def test_more_topics_than_may_be_are_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "_MOST_TOPICS", 1)

    async def main(known: Wakeups, over: asyncio.Event) -> None:
        first, second = await known.heard("first"), await known.heard("second")
        await asyncio.to_thread(tell, "second")
        await known.wait(second, over, 0.1)

        assert (first.is_set(), second.is_set()) == (False, False)

    run(main)
