"""A watch loses nothing: not when it is cut, not when the server has forgotten, not when lists come in pages."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.argo.watching import LISTING
from engines.base import EngineUnavailable, Submission, WorkflowEvent, WorkflowPhase
from tests.engines.argo.relay import Relay
from tests.engines.contract import manifest
from tests.services.kubernetes import WORKFLOWS, ApiServer

pytestmark = pytest.mark.kubernetes
PATIENCE_SECONDS = 30.0
MakeArgo = Callable[..., ArgoEngine]
# No resource version of ours is as old.
FORGOTTEN = "1"


def submit(engine: ArgoEngine, *names: str) -> None:
    for name in names:
        engine.submit(Submission(name, manifest(name, "true")))


def told(events: Iterator[WorkflowEvent]) -> list[tuple[str, bool]]:
    return [(event.status.name, event.deleted) for event in events]


class Follower:
    """Follows an engine in a thread of its own."""

    def __init__(self, engine: ArgoEngine, since: str = "") -> None:
        self._events: queue.Queue[WorkflowEvent | EngineUnavailable] = queue.Queue()
        self._thread = threading.Thread(target=self._follow, args=(engine, since), daemon=True)
        self._thread.start()

    def _follow(self, engine: ArgoEngine, since: str) -> None:
        try:
            for event in engine.watch(since, PATIENCE_SECONDS):
                self._events.put(event)
                if event.status.name == "wf-last":
                    return
        except EngineUnavailable as error:
            self._events.put(error)

    def next(self) -> WorkflowEvent | EngineUnavailable:
        return self._events.get(timeout=PATIENCE_SECONDS)

    def next_name(self) -> str:
        event = self.next()
        assert isinstance(event, WorkflowEvent), event
        return event.status.name

    def join(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def relay(api_server: ApiServer) -> Iterator[Relay]:
    with Relay(api_server.server) as relay:
        yield relay


@pytest.fixture
def relayed(make_argo: MakeArgo, api_server: ApiServer, relay: Relay) -> ArgoEngine:
    kubeconfig = api_server.write_kubeconfig("relayed", token=api_server.token, server=relay.server)
    return make_argo(kubeconfig=str(kubeconfig))


def test_a_cut_watch_goes_on_where_it_was(relay: Relay, relayed: ArgoEngine, argo: ArgoEngine) -> None:
    submit(argo, "wf-0")
    follower = Follower(relayed)
    assert follower.next_name() == "wf-0"

    for number in range(1, 4):
        relay.cut()
        submit(argo, f"wf-{number}")
        assert follower.next_name() == f"wf-{number}"

    submit(argo, "wf-last")
    assert follower.next_name() == "wf-last"
    follower.join()


def test_a_server_that_stays_away_is_said(relay: Relay, relayed: ArgoEngine, argo: ArgoEngine) -> None:
    submit(argo, "wf-0")
    follower = Follower(relayed)
    assert follower.next_name() == "wf-0"

    relay.go_away()

    assert isinstance(follower.next(), EngineUnavailable)
    follower.join()


def test_a_forgotten_cursor_is_answered_with_all_there_is(argo: ArgoEngine) -> None:
    submit(argo, "wf-1", "wf-2")

    events = list(argo.watch(FORGOTTEN, 0.1))

    assert {event.status.name for event in events} == {"wf-1", "wf-2"}
    assert list(argo.watch(events[-1].cursor, 0.1)) == []


def test_what_vanished_meanwhile_is_told_as_deleted(argo: ArgoEngine, api_server: ApiServer, namespace: str) -> None:
    submit(argo, "wf-stays", "wf-goes")
    path = f"{WORKFLOWS.format(namespace=namespace)}/wf-goes"
    api_server.api.patch(path, {"status": {"phase": "Succeeded"}})
    list(argo.watch(timeout_seconds=0.1))
    api_server.api.delete(path)

    events = {event.status.name: event for event in argo.watch(FORGOTTEN, 0.1)}

    assert (events["wf-stays"].deleted, events["wf-goes"].deleted) == (False, True)
    assert events["wf-goes"].status.phase is WorkflowPhase.SUCCEEDED
    assert told(argo.watch(FORGOTTEN, 0.1)) == [("wf-stays", False)]


def test_all_that_vanished_is_told_though_nothing_is_left(argo: ArgoEngine, api_server: ApiServer) -> None:
    submit(argo, "wf-1", "wf-2")
    list(argo.watch(timeout_seconds=0.1))
    for name in ("wf-1", "wf-2"):
        api_server.api.delete(f"{WORKFLOWS.format(namespace=argo.settings.namespace)}/{name}")

    events = list(argo.watch("", 0.1))

    assert sorted((event.status.name, event.deleted) for event in events) == [("wf-1", True), ("wf-2", True)]
    assert events[-1].cursor.isdigit()


def test_who_stops_in_the_middle_of_the_list_begins_again(make_argo: MakeArgo) -> None:
    engine = make_argo(page_size=2)
    names = [f"wf-{number}" for number in range(5)]
    submit(engine, *names)

    part = list(islice(engine.watch(timeout_seconds=0.1), 3))

    assert [event.cursor for event in part] == [LISTING] * 3
    assert [name for name, _ in told(engine.watch(part[-1].cursor, 0.1))] == names


def test_a_list_in_pages_is_complete(make_argo: MakeArgo) -> None:
    engine = make_argo(page_size=2)
    names = [f"wf-{number}" for number in range(7)]
    submit(engine, *names)

    assert [status.name for status in engine.list()] == names


@pytest.mark.parametrize("how", ["list", "watch"])
def test_a_page_that_comes_too_late_loses_nothing(make_argo: MakeArgo, api_server: ApiServer, how: str) -> None:
    engine = make_argo(page_size=2)
    names = [f"wf-{number}" for number in range(5)]
    submit(engine, *names)
    found: Iterator[Any] = engine.list() if how == "list" else engine.watch(timeout_seconds=0.1)
    seen = [next(found)]
    submit(engine, "wf-9")
    api_server.forget_history()

    seen += list(found)

    statuses = [each.status if isinstance(each, WorkflowEvent) else each for each in seen]
    assert {status.name for status in statuses} == {*names, "wf-9"}
    if how == "list":
        assert len(statuses) == 6


def test_a_watch_without_news_still_moves_on(argo: ArgoEngine, api_server: ApiServer, namespace: str) -> None:
    submit(argo, "wf")
    cursor = list(argo.watch(timeout_seconds=0.1))[-1].cursor
    path = WORKFLOWS.format(namespace=namespace)
    other = {**manifest("other", "true"), "metadata": {"name": "other"}}
    api_server.api.post(path, other)

    assert list(argo.watch(cursor, 0.1)) == []

    api_server.api.patch(f"{path}/wf", {"status": {"phase": "Running"}})
    assert told(argo.watch(cursor, 0.1)) == [("wf", False)]


def test_a_cursor_of_another_engine_is_refused(argo: ArgoEngine) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        list(argo.watch('{"a": 1}', 0.1))
