"""The process that runs one Workflow until its end. See `layout.py` for the files.

It must start within milliseconds: standard library only, and little of that.
"""

# ruff: noqa: PTH108, PTH118, PTH208

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from engines.local import layout, trees
from engines.local.disk import DiskKeeper, DiskLimits
from engines.local.images import Images
from engines.local.interpreter.calls import CallError
from engines.local.interpreter.locking import locks_of
from engines.local.interpreter.machine import Machine
from engines.local.interpreter.nodes import TooManyNodes
from engines.local.journal import DONE, MEMO, RESUME, START, STOP, Journal, outcome_of
from engines.local.locks import Locks
from engines.local.memo_store import MemoStore
from engines.local.pod_files import Shop
from engines.local.pod_host import HostOptions, PodHost
from engines.local.pods import PodRunner
from engines.local.priority import BEYOND_THE_CONTROLLER, give_way
from engines.local.publisher import Publisher
from engines.local.slots import RETRY_SECONDS
from engines.local.volumes import HostPaths, Volumes

_LONGEST_SLEEP = 3600.0
_DELETE, _STOP, _TERMINATE, _PAUSE = "delete", "stop", "terminate", "pause"
_AGAIN_SECONDS = 0.5
_DESCRIPTORS = 1 << 15


class Deleted(Exception):
    """The Workflow is to be deleted."""


class Paused(Exception):
    """The Workflow is to be left as it is, for another supervisor."""


class DiskFull(Exception):
    """The run has to end because of its disk space."""


class Supervisor:
    """One Workflow's run."""

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.host: PodHost | None = None
        self.directory = os.path.join(root, layout.WORKFLOWS, name)
        self.wishes = os.path.join(self.directory, layout.WISHES)
        self.control = layout.listen(self.directory, layout.CONTROL)
        self.order = order = layout.read_json(os.path.join(self.directory, layout.ORDER))
        self.options = order["options"]
        self.disk = DiskKeeper(
            root, self.directory, DiskLimits(self.options["disk_bytes"], self.options["disk_reserve_bytes"])
        )
        manifest = order["manifest"]
        wall, monotonic = time.time(), time.monotonic()
        # The time of the replayed event, while a Workflow is continued.
        self.told_at: float | None = None
        self.journal = Journal(self.directory)
        self.namespace = manifest["metadata"].get("namespace") or "default"
        # Deadlines must not move with the machine's clock.
        self.machine = Machine(
            manifest,
            uid=order["uid"],
            created_at=order["created_at"],
            config_maps=order["config_maps"],
            memos=MemoStore(root, self.namespace, order["uid"], self.journal),
            clock=lambda: wall + time.monotonic() - monotonic if self.told_at is None else self.told_at,
        )
        fixed = {"name": name, "digest": order["digest"], "uid": order["uid"], "ttl": order["ttl"]}
        self.publisher = Publisher(root, self.directory, self.machine, fixed)
        self.locks = Locks(root, self.options["max_pods"], self.namespace)
        self.poller = select.poll()
        self.heard: list[int] = []
        self.told_to_leave = False
        # Wishes that came only by a message, on a full disk, and those that came by both.
        self.messages: set[str] = set()
        self.resumed: set[str] = set()

    def _make_host(self) -> PodHost:
        options, order, namespace = self.options, self.order, self.namespace
        manifest = order["manifest"]
        secrets = layout.read_json(os.path.join(self.directory, layout.SECRETS)) or {}
        # The journal of an earlier supervisor.
        self._remove(layout.PODS)
        shop = Shop(
            directory=self.directory,
            workflow=self.machine.workflow,
            images=Images(options["images"]),
            volumes=Volumes(
                order["config_maps"],
                secrets,
                HostPaths(options["hostpath_allow"], options["hostpath_writable"], options["hidden_paths"]),
                os.path.join(self.directory, layout.CLAIMS),
            ),
            budget=self.disk.budget,
            log_bytes=options["log_bytes"],
            base_environment=options["environment"],
            fields={
                "metadata.namespace": namespace,
                "metadata.uid": order["uid"],
                "spec.nodeName": "",
                "spec.serviceAccountName": manifest["spec"].get("serviceAccountName") or "default",
            },
        )
        host_options = HostOptions(
            nodes=options["nodes"],
            gateways=options["gateways"],
            hidden=options["hidden_paths"],
            grace=options["grace_seconds"],
        )
        daemons = any(template.get("daemon") for template in self.machine.templates.values())
        module, _, name = options["runner"].partition(":")
        make_runner = getattr(importlib.import_module(module), name)
        runner: PodRunner = make_runner(
            Path(self.directory, layout.SANDBOXES),
            options["own_programs"],
            options["readable_paths"],
            options["max_processes"],
        )
        return PodHost(
            runner, self.machine, shop, host_options, self.locks, self.journal, self.disk, shared_world=daemons
        )

    def run(self) -> None:
        """Run the Workflow to its end."""
        signal.signal(signal.SIGTERM, self._told_to_leave)
        self._forget_pause()
        with contextlib.suppress(Deleted):
            try:
                if self._begin():
                    self._loop(self._made_host)
                self._finish()
            except Paused:
                self._leave()
            except Deleted:
                raise
            except DiskFull as error:
                self._give_up("Failed", str(error))
            except (CallError, TooManyNodes) as error:
                self._give_up("Error", str(error))
            except Exception as error:
                # A failing log on a full disk must not keep the pods running.
                with contextlib.suppress(OSError):
                    traceback.print_exc()
                self._give_up("Error", f"the local engine failed: {error!r}")
        self._close_pods()

    @property
    def _made_host(self) -> PodHost:
        if self.host is None:
            self.host = self._make_host()
        return self.host

    def _begin(self) -> bool:
        """Take the Workflow's locks and start it; return False when it was stopped before. Raises `CallError`."""
        machine = self.machine
        self.disk.look(busy=False)
        wanted = locks_of(machine.spec.get("synchronization"), machine.config_maps)
        while not machine.strategy:
            if self.disk.free.is_short:
                message = f"waiting for disk space: {self.disk.free.said()}"
            elif wanted and not self.locks.take_all("workflow", wanted):
                message = self.locks.said_of(wanted[0])
            else:
                break
            if machine.message != message:
                machine.message = message
                self.publisher.publish()
            self._wait(RETRY_SECONDS)
            self._look_after_disk()
        machine.message = ""
        if machine.strategy:
            machine.phase, machine.message = "Failed", f"Stopped with strategy '{machine.strategy}'"
            machine.started_at = machine.finished_at = machine.store.now()
            return False
        if self.journal.past:
            self._take_up()
        else:
            machine.start()
            self.journal.write(machine.now(), START)
        self._heed_wishes()
        return True

    def _take_up(self) -> None:
        """Replay the journal to the machine, each event at its time, and give open pods to the host."""
        machine, open_actions = self.machine, dict[str, list[tuple[str, Any]]]()
        for entry in self.journal.past:
            self.told_at, kind = entry[0], entry[1]
            if kind == MEMO:
                continue
            if kind == START:
                machine.start()
            else:
                machine.tick()
            for verb, what in machine.take_actions():
                open_actions.setdefault(what.node_id if verb == "run" else what[0], []).append((verb, what))
            if kind == DONE and entry[2] in open_actions:
                del open_actions[entry[2]]
                if entry[3]:
                    machine.pods.scheduled(entry[2], entry[3])
                machine.pods.done(entry[2], outcome_of(entry))
            elif kind == STOP:
                machine.stop(entry[2])
            elif kind == RESUME:
                machine.resume(*entry[2:])
        self.told_at = None
        for actions in open_actions.values():
            for verb, what in actions:
                machine.act(verb, what)
        machine.store.changed = True

    def _told_to_leave(self, *_: object) -> None:
        self.told_to_leave = True
        layout.poke(self.directory, layout.CONTROL, b"!")

    def _forget_pause(self) -> None:
        for path in (os.path.join(self.directory, layout.PAUSED), os.path.join(self.wishes, _PAUSE)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _leave(self) -> None:
        """End, with all pods, and note that the Workflow is to be continued."""
        # Files of pods are removed first: this makes space on a full disk.
        if self.host is not None:
            self.host.abandon()
        self._remove(layout.SANDBOXES)
        try:
            self._leave_word()
        except OSError as error:
            if not layout.is_full(error):
                raise
            self.publisher.give_up_spare()
            self._leave_word()

    def _leave_word(self) -> None:
        self.journal.save()
        layout.mark(self.directory, layout.PAUSED)

    def _loop(self, host: PodHost) -> None:
        while True:
            host.carry_out()
            self._heed_limit()
            if self.machine.finished:
                return
            due = self.publisher.due()
            now = time.monotonic()
            if due is not None and due <= now:
                self.publisher.publish()
                due = None
            self._wait(self._timeout(host, due))
            self._look_after_disk()
            host.tick()
            self.machine.tick()

    def _look_after_disk(self) -> None:
        """End the pods that use more of the disk than they may. Raises `DiskFull` when the run does."""
        disk, host = self.disk, self.host
        disk.look(busy=host is not None and host.live > 0)
        self._heed_limit()
        for node_id, message in disk.take_evicted():
            if host is not None:
                host.evict(node_id, message)

    def _heed_limit(self) -> None:
        if self.disk.budget.exceeded:
            raise DiskFull(self.disk.budget.exceeded)

    def _timeout(self, host: PodHost, due: float | None) -> float:
        if self.machine.has_turns:
            return 0.0
        now = time.monotonic()
        timeout = _LONGEST_SLEEP
        if due is not None:
            timeout = due - now
        timeout = min(timeout, self.disk.next_deadline() - now)
        host_deadline, machine_deadline = host.next_deadline(), self.machine.next_deadline()
        if host_deadline is not None:
            timeout = min(timeout, host_deadline - now)
        if machine_deadline is not None:
            timeout = min(timeout, machine_deadline - self.machine.now())
        if self.locks.waiting:
            timeout = min(timeout, RETRY_SECONDS)
        return max(timeout, 0.0)

    def _wait(self, timeout: float) -> None:
        """Wait for events, and handle them."""
        queued = self.locks.filenos()
        runner = None if self.host is None else self.host.runner
        own = self.control.fileno() if runner is None else runner.fileno()
        self._listen_to([own, self.control.fileno(), *queued])
        # Rounded up: waking a moment too early would only turn the loop once more.
        events = dict(self.poller.poll(timeout * 1000 + 1 if timeout else 0))
        if not events or any(descriptor in events for descriptor in queued):
            self.locks.look_again()
        if self.host is not None and own in events:
            for end in self.host.runner.poll():
                self.host.ended(end)
        if self.control.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.messages.add(self.control.recv(64).decode("ascii", "replace"))
            self._heed_wishes()

    def _listen_to(self, descriptors: list[int]) -> None:
        if descriptors != self.heard:
            self.poller, self.heard = select.poll(), descriptors
            for descriptor in descriptors:
                self.poller.register(descriptor, select.POLLIN)

    def _heed_wishes(self) -> None:
        messages, self.messages = self.messages, set()
        wishes = {*os.listdir(self.wishes), *messages}
        if _DELETE in wishes:
            raise Deleted
        if _PAUSE in wishes or self.told_to_leave:
            raise Paused
        for wish in sorted(wishes):
            if wish in (_STOP, _TERMINATE):
                self._stop("Stop" if wish == _STOP else "Terminate")
            elif wish.startswith(layout.RESUME):
                self._resume(wish)
            elif wish.startswith(layout.END_POD):
                self._end_pod(wish)

    def _resume(self, wish: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.wishes, wish))
        # A stored wish also comes as a message.
        if wish not in self.resumed:
            self.resumed.add(wish)
            # A node's id is the Workflow's name and a hash after it.
            _, _, hashed = wish.removeprefix(layout.RESUME).partition("-")
            node_id = f"{self.machine.workflow}-{hashed}" if hashed else ""
            self.journal.write(self.machine.now(), RESUME, node_id)
            self.machine.resume(node_id)

    def _end_pod(self, wish: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.wishes, wish))
        if self.host is not None:
            self.host.lose(wish.removeprefix(layout.END_POD))

    def _stop(self, strategy: str) -> None:
        at, before = self.machine.now(), self.machine.strategy
        self.machine.stop(strategy)
        if self.machine.strategy != before:
            self.journal.write(at, STOP, strategy)

    def _finish(self) -> None:
        self._forget_secrets()
        if not self.publisher.publish():
            self._close_pods()
            self._remove(layout.SANDBOXES)
            self._publish_last()
        self.publisher.give_up_spare()
        self._close_pods()
        self._remove(layout.SANDBOXES)
        self._remove(layout.CLAIMS)
        self.locks.want_nothing()

    def _publish_last(self) -> None:
        """Write the last status as soon as there is space. Raises `Deleted` when the Workflow is deleted."""
        while not self.publisher.publish():
            if _DELETE in os.listdir(self.wishes):
                raise Deleted
            time.sleep(_AGAIN_SECONDS)

    def _close_pods(self) -> None:
        """Kill all pods; remaining files must not keep the run from ending."""
        if self.host is not None:
            try:
                self.host.runner.close_all()
            except Exception:
                with contextlib.suppress(OSError):
                    traceback.print_exc()

    def _remove(self, name: str) -> None:
        trees.remove_quietly(os.path.join(self.directory, name))

    def _forget_secrets(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.directory, layout.SECRETS))

    def _give_up(self, phase: str, message: str) -> None:
        """End the run at once, and free its disk space as far as needed."""
        machine = self.machine
        self._close_pods()
        for name in (layout.SANDBOXES, layout.PODS, layout.CLAIMS):
            self._remove(name)
        if self.disk.budget.exceeded and self.disk.is_still_short():
            self._remove(layout.ARTIFACTS)
            message += "; its artifacts were removed"
        for node in machine.store.nodes.values():
            if node["finishedAt"] is None:
                machine.store.mark(node, phase, message)
        machine.phase, machine.message = phase, message
        machine.started_at = machine.started_at or machine.store.now()
        machine.finished_at = machine.store.now()
        self._forget_secrets()
        self._publish_last()
        self.publisher.give_up_spare()


def _open_many_files() -> None:
    """Raise the limit of descriptors: containers may have half of them (processes/container_init.py)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: list[str]) -> int:
    """Run the Workflow that `[root, name]` names; descriptor 3 holds its lock."""
    root, name = arguments
    give_way(BEYOND_THE_CONTROLLER)
    _open_many_files()
    Supervisor(root, name).run()
    sys.stdout.flush()
    return 0
