"""Several who use one channel at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection

from federated.errors import ChannelClosed
from federated.messages import Publication, message_publish, stored_model_put, topic_end
from federated.models import Channel, ChannelMessage, StoredModel
from federated.services import ChannelSpec, channel_close
from federated.waiting import MESSAGES
from tests.federated.requests import Topic, stored_names
from web import long_polls

pytestmark = pytest.mark.django_db(transaction=True)
COUNT = 6


@contextmanager
def others(act: Callable[[int], None], count: int = COUNT) -> Iterator[None]:
    """Let several threads act at once, beside the block; what they raise is raised at its end."""
    start, failures = threading.Barrier(count), []

    def run(number: int) -> None:
        try:
            start.wait(30)
            act(number)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def publication(message_id: str, value: bytes = b"x") -> Publication:
    return Publication("status", message_id, "k", {}, ContentFile(value))


def test_one_message_sent_several_times_at_once_is_stored_once(spec: ChannelSpec) -> None:
    channel, published = Channel.objects.get(pk=spec.id), []

    with others(lambda _: published.append(message_publish(channel=channel, message=publication("a" * 32)))):
        pass

    assert [each.offset for each in published] == [0] * COUNT
    assert sorted(each.is_new for each in published) == [False] * (COUNT - 1) + [True]
    assert len(stored_names()) == 1


def test_each_of_several_messages_has_an_offset_of_its_own(spec: ChannelSpec) -> None:
    channel = Channel.objects.get(pk=spec.id)

    def publish(number: int) -> None:
        for turn in range(5):
            message_publish(channel=channel, message=publication(f"{number:016x}{turn:016x}"))

    with others(publish):
        pass

    offsets = ChannelMessage.objects.order_by("offset").values_list("offset", flat=True)
    assert list(offsets) == list(range(5 * COUNT))
    assert topic_end(spec.id, "status") == 5 * COUNT - 1


def test_one_model_stored_several_times_at_once_is_stored_once(spec: ChannelSpec) -> None:
    channel, are_new = Channel.objects.get(pk=spec.id), []

    with others(lambda _: are_new.append(stored_model_put(channel=channel, sha256="a" * 64, body=ContentFile(b"x")))):
        pass

    assert sorted(are_new) == [False] * (COUNT - 1) + [True]
    assert len(stored_names()) == 1


def test_what_is_published_while_the_channel_is_closed_goes_with_it_or_is_refused(spec: ChannelSpec) -> None:
    channel, refused = Channel.objects.get(pk=spec.id), []
    begun = threading.Semaphore(0)

    def publish(number: int) -> None:
        for turn in range(1000):
            try:
                message_publish(channel=channel, message=publication(f"{number:016x}{turn:016x}"))
                stored_model_put(channel=channel, sha256=f"{number:032x}{turn:032x}", body=ContentFile(b"x"))
            except ChannelClosed:
                refused.append(number)
                return
            begun.release()

    with others(publish):
        for _ in range(COUNT):
            begun.acquire()
        channel_close(spec.id)

    assert sorted(refused) == list(range(COUNT))
    assert stored_names() == []
    assert not ChannelMessage.objects.exists()
    assert not StoredModel.objects.exists()


def test_a_message_is_not_seen_before_its_body_is_whole(topic: Topic, spec: ChannelSpec) -> None:
    channel, seen = Channel.objects.get(pk=spec.id), []

    class Slow(ContentFile):
        def chunks(self, chunk_size: Any = None) -> Iterator[bytes]:
            yield b"ha"
            seen.append(Topic(topic.client, spec.id, "status").heads()["end"])
            yield b"lf"

    message_publish(channel=channel, message=Publication("status", "b" * 32, "k", {}, Slow(b"half")))

    assert seen == [-1]


# Who waits.


def test_who_waits_is_woken_by_a_message(topic: Topic) -> None:
    answers: list[Any] = []

    with others(lambda _: answers.append(topic.heads("?wait=20")), count=3):
        topic.post()

    assert [answer["end"] for answer in answers] == [0, 0, 0]


def test_a_message_of_another_topic_wakes_nobody_for_nothing(topic: Topic, spec: ChannelSpec) -> None:
    answers: list[Any] = []

    with others(lambda _: answers.append(topic.heads("?wait=20")), count=1):
        Topic(topic.client, spec.id, "status").post()
        topic.post(key="mine")

    assert [head["key"] for head in answers[0]["results"]] == ["mine"]


def test_no_more_wait_than_may(settings) -> None:
    settings.FEDERATED_WAITING_REQUESTS = 1
    looks: list[str] = []

    def look_of_the_second() -> None:
        looks.append("second")

    def look_of_the_first() -> bool | None:
        # The first has its place by its second look.
        looks.append("first")
        if looks.count("first") == 2:
            MESSAGES.wait_for(look_of_the_second, 3600)
            return True
        return None

    assert MESSAGES.wait_for(look_of_the_first, 3600)
    assert looks == ["first", "first", "second"]


def test_a_place_is_free_again_for_the_next(settings) -> None:
    settings.FEDERATED_WAITING_REQUESTS = 1

    for _ in range(3):
        looks = iter([None, True])
        assert MESSAGES.wait_for(lambda looks=looks: next(looks), 3600)


def test_a_wake_up_that_got_lost_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polls, "_LOOK_SECONDS", 0.01)
    looks = iter([None] * 5 + [True])

    assert MESSAGES.wait_for(lambda: next(looks), 3600)


def test_a_listener_that_breaks_is_replaced(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(long_polls, "_LOOK_SECONDS", 0.01)

    class Broken:
        def __init__(self, topic: str) -> None:
            raise OSError("no room for a socket")

    with monkeypatch.context() as patch:
        patch.setattr(long_polls, "Listener", Broken)
        looks = iter([None] * 3 + [True])
        assert MESSAGES.wait_for(lambda: next(looks), 3600)
    assert "The listener for wake-ups of channels failed" in caplog.text
    heard: list[int] = []

    def look() -> bool | None:
        MESSAGES.tell()
        heard.append(1)
        return True if len(heard) > 3 else None

    assert MESSAGES.wait_for(look, 3600)
