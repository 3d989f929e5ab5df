"""Logs come from a kubelet through a real API server, of all containers that matter and no others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engines.argo.engine import ArgoEngine
from engines.argo.pods import sources_of
from engines.base import LogLine, Submission
from tests.engines.argo.behaviours import one_pod
from tests.engines.argo.kubelet import Kubelet, container_status
from tests.engines.contract import manifest
from tests.services.kubernetes import WORKFLOWS, ApiServer

PATIENCE_SECONDS = 30.0


@pytest.fixture
def kubelet(api_server: ApiServer) -> Iterator[Kubelet]:
    with Kubelet(api_server) as kubelet:
        yield kubelet


@pytest.fixture
def place(argo: ArgoEngine, api_server: ApiServer, namespace: str) -> Place:
    argo.submit(Submission("wf", manifest("wf", "true")))
    return Place(api_server, namespace)


class Place:
    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.namespace = namespace
        self._server = server
        self._path = f"{WORKFLOWS.format(namespace=namespace)}/wf"
        self.tell({"phase": "Running", "nodes": {}})

    def tell(self, status: dict[str, Any]) -> None:
        self._server.api.patch(self._path, {"status": status})

    def end(self) -> None:
        self.tell(one_pod("wf", "Succeeded", "Succeeded"))


def said(lines: Iterator[LogLine]) -> list[tuple[str, str, str]]:
    return [(line.node, line.container, line.text) for line in lines]


@pytest.mark.kubernetes
def test_all_containers_of_the_manifest_are_heard(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    containers, init = ("wait", "main", "sidecar", "artifact-plugin-s3"), ("init", "prepare")
    kubelet.run(place.namespace, "wf", "wf-pod", node_id="wf-1", containers=containers, init=init)
    for container in (*init, *containers):
        kubelet.write(place.namespace, "wf-pod", container, f"I am {container}")

    assert said(argo.logs("wf")) == [
        ("wf-1", "prepare", "I am prepare"),
        ("wf-1", "main", "I am main"),
        ("wf-1", "sidecar", "I am sidecar"),
    ]


@pytest.mark.kubernetes
def test_a_line_has_its_time_and_keeps_its_spaces(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    kubelet.run(place.namespace, "wf", "wf")
    kubelet.write(place.namespace, "wf", "main", "  a  b ü ", at="2026-11-21T12:00:00.123456789Z")

    assert list(argo.logs("wf")) == [LogLine("wf", "main", "stdout", "  a  b ü ", "2026-11-21T12:00:00.123456789Z")]


@pytest.mark.kubernetes
def test_what_argos_executor_logs_is_left_out(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    kubelet.run(place.namespace, "wf", "wf")
    kubelet.write(place.namespace, "wf", "main", "hello")
    exited = 'time=2026-11-21T12:00:00.123Z level=INFO msg="sub-process exited" argo=true error=<nil>'
    kubelet.write(place.namespace, "wf", "main", exited)

    assert said(argo.logs("wf")) == [("wf", "main", "hello")]


@pytest.mark.kubernetes
def test_one_node_is_heard_alone(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    for number in (1, 2):
        kubelet.run(place.namespace, "wf", f"wf-step-{number}", node_id=f"wf-{number}")
        kubelet.write(place.namespace, f"wf-step-{number}", "main", f"step {number}")

    assert said(argo.logs("wf", "wf-2")) == [("wf-2", "main", "step 2")]
    assert said(argo.logs("wf", "wf-3")) == []


@pytest.mark.kubernetes
def test_a_container_of_a_set_is_heard_alone(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    place.tell(
        {
            "nodes": {
                "wf": {"id": "wf", "type": "Pod", "phase": "Running"},
                "wf-7": {"id": "wf-7", "type": "Container", "displayName": "a", "boundaryID": "wf", "phase": "Running"},
            }
        }
    )
    kubelet.run(place.namespace, "wf", "wf", containers=("wait", "a", "main"))
    kubelet.write(place.namespace, "wf", "a", "first")
    kubelet.write(place.namespace, "wf", "main", "second")

    assert said(argo.logs("wf", "wf-7")) == [("wf", "a", "first")]


@pytest.mark.kubernetes
def test_pods_that_come_later_are_followed_too(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    kubelet.run(place.namespace, "wf", "wf-step-1", node_id="wf-1")
    kubelet.write(place.namespace, "wf-step-1", "main", "one")
    heard: list[str] = []

    for line in argo.logs("wf", follow=True):
        heard.append(line.text)
        if line.text == "one":
            kubelet.run(place.namespace, "wf", "wf-step-2", node_id="wf-2")
            kubelet.write(place.namespace, "wf-step-2", "main", "two")
        else:
            kubelet.write(place.namespace, "wf-step-1", "main", "and more of one") if line.text == "two" else None
            kubelet.end(place.namespace, "wf-step-2")
        if line.text == "and more of one":
            kubelet.end(place.namespace, "wf-step-1")
            place.end()

    assert heard == ["one", "two", "and more of one"]


@pytest.mark.kubernetes
def test_a_stream_that_is_cut_goes_on_without_saying_anything_twice(
    argo: ArgoEngine, place: Place, kubelet: Kubelet
) -> None:
    kubelet.run(place.namespace, "wf", "wf")
    for number in (1, 2):
        kubelet.write(place.namespace, "wf", "main", f"line {number}", at=f"2026-11-21T12:00:00.00000000{number}Z")
    heard: list[str] = []

    for line in argo.logs("wf", follow=True):
        heard.append(line.text)
        if line.text == "line 2":
            kubelet.cut(place.namespace, "wf", "main")
            kubelet.write(place.namespace, "wf", "main", "line 3", at="2026-11-21T12:00:00.000000003Z")
        if line.text == "line 3":
            kubelet.end(place.namespace, "wf")
            place.end()

    assert heard == ["line 1", "line 2", "line 3"]


@pytest.mark.kubernetes
def test_a_container_may_be_silent_for_long(
    make_argo: Callable[..., ArgoEngine], place: Place, kubelet: Kubelet
) -> None:
    kubelet.run(place.namespace, "wf", "wf")
    asked = []

    def wanted() -> bool:
        asked.append(True)
        # Longer than several time-outs.
        if len(asked) == 8:
            kubelet.write(place.namespace, "wf", "main", "at last")
            kubelet.end(place.namespace, "wf")
            place.end()
        return True

    lines = make_argo(timeout_seconds=0.5).logs("wf", follow=True, wanted=wanted)

    assert [line.text for line in lines] == ["at last"]


@pytest.mark.kubernetes
def test_following_one_node_ends_with_it(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    kubelet.run(place.namespace, "wf", "wf-pod", node_id="wf-1")
    kubelet.write(place.namespace, "wf-pod", "main", "done")
    kubelet.end(place.namespace, "wf-pod")
    place.tell({"nodes": {"wf-1": {"id": "wf-1", "type": "Pod", "phase": "Succeeded"}}})

    assert said(argo.logs("wf", "wf-1", follow=True)) == [("wf-1", "main", "done")]


@pytest.mark.kubernetes
def test_nobody_is_left_reading_when_the_listener_goes(argo: ArgoEngine, place: Place, kubelet: Kubelet) -> None:
    kubelet.run(place.namespace, "wf", "wf")
    kubelet.write(place.namespace, "wf", "main", "one")
    before = set(threading.enumerate())
    lines = argo.logs("wf", follow=True)
    next(lines)
    kubelet.write(place.namespace, "wf", "main", "two")
    next(lines)
    readers = [thread for thread in set(threading.enumerate()) - before if thread.name.endswith("(_read)")]

    lines.close()  # type: ignore[attr-defined]
    kubelet.write(place.namespace, "wf", "main", "three")

    assert readers
    for reader in readers:
        reader.join(PATIENCE_SECONDS)
        assert not reader.is_alive()


@pytest.mark.kubernetes
def test_a_pod_that_is_gone_is_passed_over(
    argo: ArgoEngine, place: Place, kubelet: Kubelet, api_server: ApiServer
) -> None:
    for name in ("wf-a", "wf-b"):
        kubelet.run(place.namespace, "wf", name)
        kubelet.write(place.namespace, name, "main", name)
    lines = argo.logs("wf")
    api_server.api.delete(f"/api/v1/namespaces/{place.namespace}/pods/wf-b?gracePeriodSeconds=0")

    assert [line.text for line in lines] == ["wf-a"]


@pytest.mark.kubernetes
@pytest.mark.parametrize("follow", [False, True])
def test_lines_of_several_pods_come_in_the_order_of_their_times(
    argo: ArgoEngine, place: Place, kubelet: Kubelet, follow: bool
) -> None:
    for name, numbers in (("wf-a", (1, 3, 5)), ("wf-b", (2, 4))):
        kubelet.run(place.namespace, "wf", name)
        for number in numbers:
            kubelet.write(place.namespace, name, "main", str(number), at=f"2026-11-21T12:00:0{number}.5Z")
        kubelet.end(place.namespace, name)
    place.end()

    assert [line.text for line in argo.logs("wf", follow=follow)] == ["1", "2", "3", "4", "5"]


@pytest.mark.kubernetes
def test_a_pod_is_deleted_by_its_node(argo: ArgoEngine, place: Place, kubelet: Kubelet, api_server: ApiServer) -> None:
    for name in ("wf-a", "wf-b"):
        kubelet.run(place.namespace, "wf", name, node_id=f"node-{name}")

    assert argo.end_pod("wf", "node-wf-a")
    assert argo.end_pod("wf", "no-such-node")

    pods = api_server.api.get(f"/api/v1/namespaces/{place.namespace}/pods")["items"]
    left = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert left == ["wf-b"]


def test_only_containers_that_have_started_have_logs() -> None:
    names = ("waits", "runs", "ended", "again", "unknown")
    states: dict[str, dict[str, Any]] = {
        "waits": {"state": {"waiting": {"reason": "ContainerCreating"}}},
        "runs": {"state": {"running": {}}},
        "ended": {"state": {"terminated": {"exitCode": 0}}},
        "again": {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}},
    }
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": name} for name in names]},
        "status": {"containerStatuses": [container_status(name, **more) for name, more in states.items()]},
    }

    sources = list(sources_of(pod))

    assert [(source.container, source.has_ended) for source in sources] == [
        ("runs", False),
        ("ended", True),
        ("again", False),
    ]
    assert {source.node for source in sources} == {"p"}
