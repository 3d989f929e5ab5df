"""The proxy does to requests what it counts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

from tests.chaos.faults import EVERY_REQUEST, EVERY_WATCH, Fault, FaultKind, Schedule
from tests.chaos.messages import Request
from tests.chaos.proxy import FaultProxy
from tests.services.api import Api, ApiError
from tests.services.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes
GET, WATCH = Request("GET", "/api/v1/pods", b""), Request("GET", "/api/v1/pods?watch=true", b"")


class Planned(Schedule):
    """Deals what it was given, in order."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(0, 0.0, 0.0)
        self._faults = list(faults)

    def draw(self, request: Request) -> Fault | None:
        return self._faults.pop(0) if self._faults else None


@pytest.fixture
def through(api_server: ApiServer) -> Iterator[Callable[..., Api]]:
    """Return a function that gives an API client behind a proxy of given faults."""
    opened: list[Any] = []

    def through(*faults: Fault, witness: Callable[[str], None] = lambda step: None) -> Api:
        proxy = FaultProxy(api_server.server, api_server.authority, Planned(*faults), late_seconds=0.1).__enter__()
        api = Api(proxy.open_door(witness), api_server.authority.certificate, api_server.token)
        opened.extend([proxy, api])
        return api

    yield through
    for thing in reversed(opened):
        thing.close() if isinstance(thing, Api) else thing.__exit__(None, None, None)


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def names(api: Api, maps: str) -> list[str]:
    return [item["metadata"]["name"] for item in api.list(maps)]


def test_without_a_fault_nothing_changes(through: Any, maps: str) -> None:
    steps: list[str] = []
    api = through(witness=steps.append)

    api.post(maps, named("a"))

    assert names(api, maps) == ["a"]
    assert steps == [
        "POST configmaps.before", "POST configmaps.after", "LIST configmaps.before", "LIST configmaps.after",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "there"), [(FaultKind.RESET_BEFORE, []), (FaultKind.RESET_AFTER, ["a"])])
def test_a_reset_comes_before_or_after(through: Any, maps: str, kind: FaultKind, there: list[str]) -> None:
    api = through(Fault(kind, 0.5))

    with pytest.raises(urllib3.exceptions.ProtocolError):
        api.post(maps, named("a"))

    assert names(api, maps) == there


@pytest.mark.parametrize(
    ("kind", "dice", "status", "there"),
    [
        (FaultKind.INTERNAL_ERROR, 0.1, 500, ["a"]),
        (FaultKind.INTERNAL_ERROR, 0.9, 500, []),
        (FaultKind.UNAVAILABLE, 0.5, 503, []),
        (FaultKind.THROTTLED, 0.5, 429, []),
        (FaultKind.GONE, 0.9, 410, []),
    ],
)
def test_a_refusal_has_its_status(
    through: Any, maps: str, kind: FaultKind, dice: float, status: int, there: list[str]
) -> None:
    api = through(Fault(kind, dice))

    with pytest.raises(ApiError) as refusal:
        api.post(maps, named("a"))

    assert (refusal.value.status, names(api, maps)) == (status, there)


@pytest.mark.parametrize("kind", [FaultKind.DELAY, FaultKind.SLOW])
def test_what_is_slow_arrives_whole(through: Any, maps: str, kind: FaultKind) -> None:
    api = through(Fault(kind, 0.5), Fault(kind, 0.05))

    api.post(maps, named("a"))

    assert names(api, maps) == ["a"]


def test_a_client_that_gave_up_is_obeyed_late(through: Any, maps: str, api_server: ApiServer) -> None:
    late = through(Fault(FaultKind.DELAY, 0.05))
    with urllib3.PoolManager(ca_certs=str(api_server.authority.certificate), retries=False) as pool:
        headers = {"Authorization": f"Bearer {api_server.token}"}
        with pytest.raises(urllib3.exceptions.TimeoutError):
            pool.request("POST", late.server + maps, json=named("a"), headers=headers, timeout=0.05)

    end = time.monotonic() + 30
    while names(api_server.api, maps) != ["a"]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_watch_is_told_that_it_is_too_old(through: Any, maps: str) -> None:
    (event,) = through(Fault(FaultKind.GONE, 0.1)).watch(maps, "", seconds=5)

    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


@pytest.mark.parametrize("dice", [0.01, 0.51])
def test_a_watch_is_cut_in_the_middle_of_an_event(through: Any, maps: str, api_server: ApiServer, dice: float) -> None:
    version = api_server.api.get(maps)["metadata"]["resourceVersion"]
    feeding = threading.Event()

    def feed() -> None:
        number = 0
        while not feeding.wait(0.05):
            number += 1
            api_server.api.post(maps, named(f"n{number}"))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        # Cut in order, the last event is half a line; cut otherwise, the connection breaks.
        pool = urllib3.PoolManager(ca_certs=str(api_server.authority.certificate), retries=False)
        answer = pool.request(
            "GET",
            f"{through(Fault(FaultKind.CUT, dice)).server}{maps}?watch=true&resourceVersion={version}",
            headers={"Authorization": f"Bearer {api_server.token}"},
            preload_content=False,
            timeout=30,
        )
        seen, broke = _read(answer)
        pool.clear()
    finally:
        feeding.set()
        feeder.join()

    assert broke is (dice > 0.5)
    assert broke or not seen.endswith(b"\n")


def _read(answer: urllib3.BaseHTTPResponse) -> tuple[bytes, bool]:
    seen = b""
    try:
        while piece := answer.read1(65536):
            seen += piece
    except urllib3.exceptions.HTTPError:
        return seen, True
    finally:
        answer.close()
    return seen, False


def test_a_seed_deals_the_same_faults() -> None:
    def deal(seed: int) -> list[Fault | None]:
        schedule = Schedule(seed, 0.5, 0.9)
        return [schedule.draw(WATCH if number % 7 == 0 else GET) for number in range(200)]

    assert deal(1) == deal(1)
    assert deal(1) != deal(2)


def test_every_kind_gets_its_share() -> None:
    schedule = Schedule(3, 1.0, 1.0)

    dealt = [schedule.draw(GET) for _ in range(7 * len(EVERY_REQUEST))]
    watched = [schedule.draw(WATCH) for _ in EVERY_WATCH]

    assert Counter(fault.kind for fault in dealt if fault) == dict.fromkeys(EVERY_REQUEST, 7)
    assert Counter(fault.kind for fault in watched if fault) == Counter(EVERY_WATCH)
