"""Runs the pods that a Workflow's machine orders: finds a place, starts containers in order, ends them, reports."""

from __future__ import annotations

import heapq
import os
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engines.local.disk import DiskKeeper
from engines.local.images import EnvironmentNotReady, ImageUnknown
from engines.local.interpreter.machine import Machine
from engines.local.interpreter.pod_nodes import KILLED_AT_DEADLINE, PodOrder, PodOutcome
from engines.local.interpreter.retries import seconds_of
from engines.local.journal import Journal
from engines.local.layout import is_full
from engines.local.locks import Locks
from engines.local.pod_files import ArtifactMissing, OutputMissing, PodFiles, Shop
from engines.local.pod_machine import Container, PodMachine
from engines.local.pods import ContainerExit, OutputUnreadable, PodRunner, PodSpec
from engines.local.probes import Probe, probe_of
from engines.local.templates import place_for, unschedulable
from engines.local.volumes import VolumeNotReady, VolumeRefused

_NOT_READY = (ImageUnknown, EnvironmentNotReady, VolumeNotReady)
_LOOPBACK = "127.0.0.1"
# Argo's message.
_DELETED = "pod deleted"
_AT_ONCE = 2 * (os.cpu_count() or 1)
_STEP_SECONDS = 0.1
_FULL_SECONDS = 1.0
# Long enough for the pod's other containers to notice by themselves, and to log it.
_FORSAKEN_SECONDS = 2.0
# The turns of a long loop between two checks for ended pods: half a millisecond.
_TURNS = 4


class _Pod:
    __slots__ = (
        "active_deadline",
        "evicted",
        "files",
        "forsaken",
        "killed",
        "lost",
        "machine",
        "order",
        "place",
        "probe",
        "started",
        "why",
    )

    def __init__(self, order: PodOrder, files: PodFiles, place: str) -> None:
        self.order = order
        self.files = files
        self.place = place
        self.machine = PodMachine(files.template)
        self.probe: Probe | None = None
        self.started = self.killed = self.forsaken = self.lost = False
        self.why = self.evicted = ""
        deadline = files.template.get("activeDeadlineSeconds")
        self.active_deadline = None if deadline is None else seconds_of(deadline)


class HostOptions:
    """The engine's options that running pods needs."""

    def __init__(
        self, *, nodes: Sequence[dict[str, Any]], gateways: Sequence[str], hidden: Sequence[str], grace: float
    ):
        self.nodes = nodes
        self.gateways = tuple(gateways)
        self.hidden = tuple(Path(path) for path in hidden)
        self.grace = grace


class PodHost:
    """All pods of one Workflow.

    `shared_world` puts them in one loopback network, so that a daemon is reached by those that follow it.
    """

    def __init__(  # noqa: PLR0917
        self,
        runner: PodRunner,
        machine: Machine,
        shop: Shop,
        options: HostOptions,
        locks: Locks,
        journal: Journal,
        disk: DiskKeeper,
        shared_world: bool,
    ) -> None:
        self.runner = runner
        self.machine = machine
        self.shop = shop
        self.options = options
        self.locks = locks
        self.journal = journal
        self.disk = disk
        self.world = "workflow" if shared_world else ""
        self.world_open = False
        self.pods: dict[str, _Pod] = {}
        self.queue: OrderedDict[str, _Pod] = OrderedDict()
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.number = 0
        self.live = 0
        # Whether a pod of this Workflow needs a mutex: then the first in the queue need not be the first to start.
        self.locked = False
        self.limit = int(machine.spec.get("parallelism") or 0)
        self.begun_at = self.next_start = self.full_until = 0.0

    # Orders of the machine

    def carry_out(self) -> None:
        """Carry out the machine's actions until there are none; of long loops a part."""
        while True:
            actions = self.machine.take_actions(turns=_TURNS)
            for verb, what in actions:
                if verb == "run":
                    self._accept(what)
                else:
                    self._stop(*what)
            self._start_waiting()
            # A waiting pod that failed at its start is a change too.
            if self.machine.has_turns or not (actions or self.machine.has_news):
                return

    def _accept(self, order: PodOrder) -> None:
        pods = self.machine.pods
        files = PodFiles(self.shop, order)
        place = place_for(files.template, self.options.nodes)
        if place is None:
            pods.pending(order.node_id, unschedulable(len(self.options.nodes)))
            return
        try:
            pod = _Pod(order, files, place)
            self.pods[order.node_id] = pod
            files.check()
        except _NOT_READY as problem:
            pods.scheduled(order.node_id, place, pod.active_deadline)
            pods.pending(order.node_id, str(problem))
            return
        except (VolumeRefused, ValueError) as problem:
            self._end(order.node_id, PodOutcome("Error", str(problem), {}))
            return
        self.queue[order.node_id] = pod
        self.locked = self.locked or bool(order.locks)

    def _start_waiting(self) -> None:
        now = time.monotonic()
        if self.queue and now < self.full_until:
            return
        try:
            for node_id, pod in self._candidates():
                if not self.locks.take_locks(pod.order):
                    if pod.order.locks:
                        self.machine.pods.pending(node_id, self.locks.said(pod.order))
                    continue
                if not self._in_step() or not self.locks.take_place(node_id):
                    break
                self.begun_at = time.monotonic()
                if self.queue.pop(node_id, None) is not None:
                    self._begin(pod)
        except OSError as problem:
            if not is_full(problem):
                raise
            self._wait_for_room("the engine's disk is full")
        if not self.queue:
            self.locks.want_nothing()

    def _wait_for_room(self, why: str) -> None:
        """Set the reason of all waiting pods, and try again later."""
        for node_id in self.queue:
            self.machine.pods.pending(node_id, f"waiting for disk space: {why}")
        self.full_until = time.monotonic() + _FULL_SECONDS
        self._at(self.full_until, lambda: None)

    def _in_step(self) -> bool:
        """Return whether one more pod may start now.

        Short pods are fastest when few run at a time; long ones do not hold the others up.
        """
        if self.limit and self.live >= self.limit:
            return False
        if self.live < _AT_ONCE:
            return True
        due = self.begun_at + _STEP_SECONDS
        if time.monotonic() >= due:
            return True
        if self.next_start < due:
            self.next_start = due
            self._at(due, lambda: None)
        return False

    def _candidates(self) -> Iterator[tuple[str, _Pod]]:
        if self.queue and self.disk.free.is_short:
            # Exit handlers are small, and a stop waits for them.
            yield from [(node_id, pod) for node_id, pod in self.queue.items() if pod.order.on_exit]
            if self.queue:
                self._wait_for_room(self.disk.free.said())
        elif self.locked:
            yield from list(self.queue.items())
        else:
            while self.queue and time.monotonic() >= self.full_until:
                yield next(iter(self.queue.items()))

    def _begin(self, pod: _Pod) -> None:
        node_id = pod.order.node_id
        self.machine.pods.scheduled(node_id, pod.place, pod.active_deadline)
        try:
            pod.files.prepare()
            self._open_world(pod)
        except (ArtifactMissing, VolumeRefused, VolumeNotReady, ValueError, OSError) as problem:
            pod.files.clean()
            if isinstance(problem, OSError) and is_full(problem):
                self._put_back(pod)
            else:
                self._end(node_id, PodOutcome("Error", str(problem), {}))
            return
        pod.started = True
        self.live += 1
        for bound in pod.files.bounds(self.runner.storage(self._world_of(pod)) if not self.world else ()):
            self.disk.bind(node_id, bound)
        pod.machine.begin()
        self._follow(pod)

    def _put_back(self, pod: _Pod) -> None:
        """Put a pod back into the queue that found no disk space."""
        self.locks.give_back(pod.order.node_id, keep_place=False)
        self.queue[pod.order.node_id] = pod
        self.queue.move_to_end(pod.order.node_id, last=False)
        self._wait_for_room("the engine's disk is full")

    def _open_world(self, pod: _Pod) -> None:
        if self.world and self.world_open:
            return
        self.runner.open(
            PodSpec(
                id=self.world or pod.order.node_id,
                directory=pod.files.directory,
                gateways=self.options.gateways,
                hidden_paths=self.options.hidden,
            )
        )
        self.world_open = True

    def _stop(self, node_id: str, why: str) -> None:
        self.queue.pop(node_id, None)
        pod = self.pods.get(node_id)
        if pod is None:
            return
        pod.why = why
        if not pod.started:
            outputs = {"exitCode": "137"} if why == KILLED_AT_DEADLINE else {}
            self._end(node_id, PodOutcome("Failed", why, outputs))
            return
        pod.machine.end()
        self._follow(pod)

    def lose(self, node_id: str) -> None:
        """End a pod as if somebody had deleted it: its containers get their grace time, and its node becomes Error."""
        pod = self.pods.get(node_id)
        if pod is None or not pod.started or pod.lost:
            return
        pod.lost = True
        pod.machine.end()
        self._follow(pod)

    def evict(self, node_id: str, message: str) -> None:
        """End a pod that uses more of the disk than it may, at once, as a kubelet does."""
        pod = self.pods.get(node_id)
        if pod is None or not pod.started or pod.evicted:
            return
        pod.evicted, pod.killed = message, True
        pod.machine.end()
        self._signal(pod, signal.SIGKILL)
        self._follow(pod)

    # Events of running pods

    def ended(self, end: ContainerExit) -> None:
        """Handle a container's end."""
        node_id, name = end.container.split("/", 1) if self.world else (end.pod, end.container)
        pod = self.pods.get(node_id)
        if pod is None:
            return
        if pod.probe is not None and name == pod.probe.name:
            self._probed(pod, end.exit_code == 0)
            return
        pod.machine.exited(name, end.exit_code, end.reason, end.message)
        for container in pod.machine.containers.values():
            if container.state == "ended" and container.role != "init":
                pod.files.container_ended(container.name, container.code)
        self._follow(pod)

    def _follow(self, pod: _Pod) -> None:
        """Start and end the containers that the pod's machine names."""
        node_id, machine = pod.order.node_id, pod.machine
        starting, machine.to_start = machine.to_start, []
        for container in starting:
            self._start(pod, container)
        restarts, machine.to_restart = machine.to_restart, []
        for seconds, container in restarts:
            self._at(time.monotonic() + seconds, partial(self._restart, pod, container))
        if machine.changed:
            for name, (phase, message) in machine.phases().items():
                self.machine.pods.container(node_id, name, phase, message)
        if machine.forsaken and not pod.forsaken:
            pod.forsaken = True
            self._at(time.monotonic() + _FORSAKEN_SECONDS, lambda: self._end_forsaken(pod))
        if machine.over:
            self._collect(pod)
        elif machine.ending and not pod.killed:
            pod.killed = True
            self._signal(pod, signal.SIGTERM)
            self._at(time.monotonic() + self.options.grace, lambda: self._signal(pod, signal.SIGKILL))

    def _end_forsaken(self, pod: _Pod) -> None:
        """End the containers of a set whose `main` has failed, as Argo's controller does when it learns of it."""
        if self.pods.get(pod.order.node_id) is pod and not pod.machine.ending:
            pod.machine.end()
            self._follow(pod)

    def _start(self, pod: _Pod, container: Container, again: bool = False) -> None:
        try:
            run_name = self._run_name(pod, container.name)
            spec = pod.files.spec(container.role, container.name, container.spec, run_name, again)
            self.runner.start(self._world_of(pod), spec)
        except (VolumeRefused, ValueError, OSError) as problem:
            pod.machine.exited(container.name, 128, "StartError", str(problem))
            self._at(0.0, lambda: self._follow(pod))
            return
        if container.role == "main":
            self.machine.pods.running(pod.order.node_id)
            if pod.order.template.get("daemon") and pod.probe is None:
                pod.probe = probe_of(container.spec, container.name)
                self._at(time.monotonic() + pod.probe.initial_delay, lambda: self._probe(pod))

    def _restart(self, pod: _Pod, container: Container) -> None:
        if container.state == "waiting to be restarted":
            container.state = "running"
            self._start(pod, container, again=True)

    def _signal(self, pod: _Pod, number: int) -> None:
        if pod.order.node_id not in self.pods:
            return
        for container in pod.machine.running:
            self.runner.signal(self._world_of(pod), self._run_name(pod, container.name), number)

    def _world_of(self, pod: _Pod) -> str:
        return self.world or pod.order.node_id

    def _run_name(self, pod: _Pod, name: str) -> str:
        return f"{pod.order.node_id}/{name}" if self.world else name

    def _probe(self, pod: _Pod) -> None:
        if pod.order.node_id not in self.pods or pod.machine.ending or pod.probe is None:
            return
        container = pod.machine.containers[pod.probe.container]
        if container.state != "running":
            return
        if not pod.probe.argv:
            self._probed(pod, True)
            return
        spec = pod.files.spec("main", container.name, container.spec, self._run_name(pod, pod.probe.name))
        self.runner.start(self._world_of(pod), pod.probe.applied_to(spec, Path(pod.files.directory)))

    def _probed(self, pod: _Pod, ready: bool) -> None:
        if ready:
            self.machine.pods.ready(pod.order.node_id, _LOOPBACK)
        elif pod.probe is not None:
            self._at(time.monotonic() + pod.probe.period, lambda: self._probe(pod))

    # The end of a pod

    def _collect(self, pod: _Pod) -> None:
        node_id, world = pod.order.node_id, self._world_of(pod)
        phase, message = pod.machine.verdict()
        if pod.evicted:
            self._end(node_id, PodOutcome("Failed", pod.evicted, {}, pod.machine.phases()))
            return
        if pod.lost:
            self._end(node_id, PodOutcome("Error", _DELETED, {}, pod.machine.phases()))
            return
        outputs: dict[str, Any] = {}
        try:
            outputs = pod.files.outputs(
                lambda name, path: self.runner.read(world, self._run_name(pod, name), path),
                failed=phase != "Succeeded",
            )
        except (OutputMissing, OutputUnreadable, OSError) as problem:
            phase, message = "Error", f"failed to save outputs: {problem}"
        code = pod.machine.exit_code()
        if code is not None:
            outputs["exitCode"] = code
        self._end(node_id, PodOutcome(phase, message, outputs, pod.machine.phases()))

    def _end(self, node_id: str, outcome: PodOutcome) -> None:
        pod = self.pods.pop(node_id, None)
        if pod is not None and pod.started:
            self.live -= 1
            self.disk.release(node_id)
            if self.world:
                self._forget(pod)
            else:
                self.runner.close(node_id)
            pod.files.clean()
        self.locks.give_back(node_id, keep_place=bool(self.queue))
        self.journal.write_done(self.machine.now(), node_id, pod.place if pod is not None else "", outcome)
        self.machine.pods.done(node_id, outcome)

    def _forget(self, pod: _Pod) -> None:
        """Release a pod's containers where their shared world goes on."""
        names = [*pod.machine.containers, *([pod.probe.name] if pod.probe is not None else [])]
        for name in names:
            self.runner.forget(self.world, self._run_name(pod, name))

    def abandon(self) -> None:
        """Kill every pod without an outcome; a supervisor that continues the Workflow starts them again."""
        self.runner.close_all()
        for node_id, pod in self.pods.items():
            if pod.started:
                pod.files.clean()
            self.locks.give_back(node_id, keep_place=False)
        self.locks.want_nothing()

    # Time

    def _at(self, when: float, action: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.timers, (when, self.number, action))

    def tick(self) -> None:
        """Do what is due (monotonic seconds)."""
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()

    def next_deadline(self) -> float | None:
        """Return when `tick` is to be called, in monotonic seconds."""
        return self.timers[0][0] if self.timers else None
