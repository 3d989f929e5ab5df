"""Plays the Argo controller and the cluster's garbage collector against a real API server.

It behaves as Argo 4.1 does where an engine could notice: it does not see a Workflow that is labelled for a controller
of some instance id, it writes phase Running into one that is suspended and then waits without heeding `spec.shutdown`
(workflow/controller/operator.go, `operate`), it writes whole objects with their resource version, and labels them with
phase and completion. Beginning and end of a Workflow are told in events too.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import urllib3

from tests.engines.argo.behaviours import TERMINAL, Object, Pace, Step, ended, steps_of, suspended
from tests.engines.argo.references import references
from tests.services.api import Api, ApiError, Watch
from tests.services.kubernetes import WORKFLOWS

logger = logging.getLogger(__name__)

INSTANCE_LABEL = "workflows.argoproj.io/controller-instanceid"
COMPLETED_LABEL = "workflows.argoproj.io/completed"
PHASE_LABEL = "workflows.argoproj.io/phase"
_WATCH_SECONDS = 300
_PATIENCE_SECONDS = 30.0


@dataclass
class _Play:
    """A Workflow under way: what it is now, and what comes next for it from `due_at` on."""

    object: Object
    steps: Iterator[Step]
    next: Step | None = None
    due_at: float = 0.0
    begun: bool = False


@dataclass
class _News:
    gone: bool
    object: Object = field(default_factory=dict)


class ArgoStandin:
    """Drives every Workflow of a namespace from `with` to the end of the block.

    `created` tells the uids of all Workflows that there ever were, by name; `begun` those of which a pod was started.
    """

    def __init__(self, api: Api, namespace: str, pace: Pace | None = None) -> None:
        self.created: dict[str, list[str]] = defaultdict(list)
        self.begun: dict[str, list[str]] = defaultdict(list)
        self._api = api
        self._namespace = namespace
        self._path = WORKFLOWS.format(namespace=namespace)
        self._pace = pace or Pace()
        self._plays: dict[str, _Play] = {}
        self._due: list[tuple[float, str]] = []
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._watch: Watch | None = None
        self._stopping = threading.Event()
        self._failures: list[Exception] = []
        self._threads = [threading.Thread(target=self._guard, args=(work,)) for work in (self._follow, self._operate)]

    def __enter__(self) -> ArgoStandin:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._news.put(_News(gone=True))
        if self._watch is not None:
            self._watch.stop()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
        if self._failures and error is None:
            raise self._failures[0]

    def collect_garbage(self) -> None:
        """Delete what is owned by a Workflow that is not there any more, as a cluster's garbage collector does."""
        # The owned ones are listed first: whoever owns one was there before it.
        owned = [
            (f"/api/v1/namespaces/{self._namespace}/{kind}/{item['metadata']['name']}", owner["uid"])
            for kind in ("secrets", "configmaps")
            for item in self._api.list(f"/api/v1/namespaces/{self._namespace}/{kind}")
            for owner in item["metadata"].get("ownerReferences", [])
        ]
        alive = {item["metadata"]["uid"] for item in self._api.list(self._path)}
        for path, uid in owned:
            if uid not in alive:
                self._api.delete(path)

    def leftovers(self) -> list[str]:
        """Return the Secrets and ConfigMaps that have no owner, or one that is not there any more."""
        found = [
            (f"{kind}/{item['metadata']['name']}", [o["uid"] for o in item["metadata"].get("ownerReferences", [])])
            for kind in ("secrets", "configmaps")
            for item in self._api.list(f"/api/v1/namespaces/{self._namespace}/{kind}")
        ]
        alive = {item["metadata"]["uid"] for item in self._api.list(self._path)}
        return [name for name, owners in found if not alive.intersection(owners)]

    # Following the API server.

    def _guard(self, work: object) -> None:
        assert callable(work)
        try:
            work()
        except Exception as error:
            logger.exception("The stand-in for Argo failed")
            self._failures.append(error)

    def _follow(self) -> None:
        version = ""
        while not self._stopping.is_set():
            try:
                version = version or self._list()
                version = self._follow_from(version)
            except ApiError as error:
                if error.status != 410:
                    raise
                version = ""
            except urllib3.exceptions.HTTPError:
                logger.info("The stand-in's watch broke; it goes on.", exc_info=True)

    def _list(self) -> str:
        found = self._api.get(self._path)
        for item in found["items"]:
            # Items of a list carry no type of their own.
            self._news.put(_News(False, {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **item}))
        return str(found["metadata"]["resourceVersion"])

    def _follow_from(self, version: str) -> str:
        self._watch = self._api.watch(self._path, version, _WATCH_SECONDS)
        if self._stopping.is_set():
            self._watch.stop()
        for event in self._watch:
            if event["type"] == "ERROR":
                return ""
            version = event["object"]["metadata"]["resourceVersion"]
            self._news.put(_News(event["type"] == "DELETED", event["object"]))
        return version

    # Operating Workflows.

    def _operate(self) -> None:
        while not self._stopping.is_set():
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            with contextlib.suppress(queue.Empty):
                self._take(self._news.get(timeout=wait))
            while self._due and self._due[0][0] <= time.monotonic():
                _, uid = heapq.heappop(self._due)
                if uid in self._plays:
                    self._go_on(uid, self._plays[uid])

    def _take(self, news: _News) -> None:
        if not news.object:
            return
        uid, name = news.object["metadata"]["uid"], news.object["metadata"]["name"]
        if uid not in self.created[name]:
            self.created[name].append(uid)
            self._plays[uid] = _Play(news.object, steps_of(news.object, self._pace))
        if news.gone:
            self._plays.pop(uid, None)
        elif uid in self._plays:
            self._plays[uid].object = news.object
            self._call(uid)

    def _call(self, uid: str, after_seconds: float = 0.0) -> None:
        heapq.heappush(self._due, (time.monotonic() + after_seconds, uid))

    def _go_on(self, uid: str, play: _Play) -> None:
        spec, phase = play.object["spec"], play.object.get("status", {}).get("phase")
        if INSTANCE_LABEL in play.object["metadata"].get("labels", {}):
            return
        if spec.get("suspend"):
            if phase is None:
                self._write(uid, play, suspended())
            return
        if not play.begun:
            play.begun = True
            if missing := self._missing(play.object):
                self._write(uid, play, ended(suspended(), f"{missing} is missing"))
                play.steps = iter(())
            elif not spec.get("shutdown"):
                self.begun[play.object["metadata"]["name"]].append(uid)
            self._turn(uid, play)
        if play.next is None:
            if phase in TERMINAL:
                return
        elif time.monotonic() >= play.due_at and (not play.next.needs_shutdown or spec.get("shutdown")):
            self._take_step(uid, play, play.next)
            return
        shut_down = spec.get("shutdown") and phase not in TERMINAL
        if shut_down and not (play.next and play.next.needs_shutdown):
            self._write(uid, play, ended(play.object.get("status", {}), f"Stopped with strategy '{spec['shutdown']}'"))
            play.next, play.steps = None, iter(())

    def _take_step(self, uid: str, play: _Play, step: Step) -> None:
        self._turn(uid, play)
        if step.status is None:
            self._api.delete(self._one(play.object))
        else:
            self._write(uid, play, step.status)

    def _turn(self, uid: str, play: _Play) -> None:
        """Have a Workflow's next step ready."""
        play.next = next(play.steps, None)
        if play.next is not None:
            play.due_at = time.monotonic() + play.next.wait_seconds
            self._call(uid, play.next.wait_seconds)

    def _missing(self, workflow: Object) -> str:
        for kind, name in sorted(references(workflow["spec"])):
            try:
                self._api.get(f"/api/v1/namespaces/{self._namespace}/{kind}/{name}")
            except ApiError as error:
                if error.status != 404:
                    raise
                return f"{kind}/{name}"
        return ""

    def _write(self, uid: str, play: _Play, status: Object) -> None:
        labels = {PHASE_LABEL: status["phase"], COMPLETED_LABEL: str(status["phase"] in TERMINAL).lower()}
        while True:
            metadata = play.object["metadata"]
            wanted = {
                **play.object,
                "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}},
                "status": status,
            }
            try:
                play.object = self._api.put(self._one(play.object), wanted)
                break
            except ApiError as error:
                if error.status not in (404, 409):
                    raise
            if not self._look_again(uid, play):
                self._plays.pop(uid, None)
                return
        if status["phase"] != metadata.get("labels", {}).get(PHASE_LABEL):
            self._tell_phase(play.object)

    def _tell_phase(self, workflow: Object) -> None:
        metadata, status = workflow["metadata"], workflow["status"]
        reason, message = {
            "Running": ("WorkflowRunning", "Workflow Running"),
            "Succeeded": ("WorkflowSucceeded", "Workflow completed"),
        }.get(status["phase"], ("WorkflowFailed", status.get("message", "")))
        happened_at = status.get("finishedAt") or status["startedAt"]
        about = {"apiVersion": workflow["apiVersion"], "kind": workflow["kind"], "namespace": self._namespace}
        event = {
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": {**about, "name": metadata["name"], "uid": metadata["uid"]},
            "type": "Warning" if reason == "WorkflowFailed" else "Normal",
            "reason": reason,
            "message": message,
            "firstTimestamp": happened_at,
            "lastTimestamp": happened_at,
        }
        self._api.post(f"/api/v1/namespaces/{self._namespace}/events", event)

    def _look_again(self, uid: str, play: _Play) -> bool:
        """Read a Workflow that somebody else has changed meanwhile; return whether it is still the same one."""
        try:
            play.object = self._api.get(self._one(play.object))
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return bool(play.object["metadata"]["uid"] == uid)

    def _one(self, workflow: Object) -> str:
        return f"{self._path}/{workflow['metadata']['name']}"
