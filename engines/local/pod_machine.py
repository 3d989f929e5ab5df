"""The order in which a pod's containers run, and the pod's phase by their ends. No input or output.

As a kubelet and Argo's executor do it: init containers one after the other, then the main containers (those of a
containerSet after what they depend on) beside the sidecars, which end with the last main container.
"""

from __future__ import annotations

from typing import Any

from engines.local.interpreter.retries import seconds_of
from engines.local.interpreter.tags import text_of
from engines.local.names import FETCHING
from engines.local.templates import main_of

_SIGKILLED, _SIGTERMED, _DEPENDENCY_FAILED = 137, 143, 64


class Container:
    """One container of a pod and its state."""

    __slots__ = ("code", "dependencies", "message", "name", "reason", "retries", "role", "spec", "state", "was_ended")

    def __init__(self, role: str, spec: dict[str, Any], name: str) -> None:
        self.role = role
        self.spec = spec
        self.name = name
        self.dependencies: list[str] = list(spec.get("dependencies") or ())
        self.state = "waiting"
        self.code = 0
        self.reason = ""
        self.message = ""
        self.retries = 0
        # Whether it was told to end; its exit code then does not tell the cause.
        self.was_ended = False

    @property
    def said(self) -> str:
        """Argo's text for this container's end in a pod's message."""
        text = f"{self.name}: {self.reason} (exit code {self.code})"
        return f"{text}: {self.message}" if self.message else text


class PodMachine:
    """One pod. Containers to start are in `to_start`; with `ending` the running ones are to be ended."""

    def __init__(self, template: dict[str, Any]) -> None:
        self.containers: dict[str, Container] = {}
        self._by_role: dict[str, list[Container]] = {"init": [], "main": [], "sidecar": []}
        self.to_start: list[Container] = []
        self.to_restart: list[tuple[float, Container]] = []
        self.ending = False
        for spec in template.get("initContainers") or ():
            self._add("init", spec, spec["name"])
        container_set = template.get("containerSet")
        if container_set:
            for spec in container_set["containers"]:
                self._add("main", spec, spec["name"])
        else:
            self._add("main", main_of(template), "main")
        for spec in template.get("sidecars") or ():
            self._add("sidecar", spec, spec["name"])
        strategy = (container_set or {}).get("retryStrategy") or {}
        self.retries = int(text_of(strategy.get("retries") or 0))
        self.retry_after = seconds_of(strategy.get("duration") or 0)
        self.in_set = bool(container_set)
        # Containers of a set whose end no node shows yet.
        self.changed = self.in_set

    def _add(self, role: str, spec: dict[str, Any], name: str) -> None:
        self.containers[name] = container = Container(role, spec, name)
        self._by_role[role].append(container)

    def of(self, role: str) -> list[Container]:
        """Return the containers of a role: init, main or sidecar."""
        return self._by_role[role]

    def begin(self) -> None:
        """Start the first init container, or all containers without dependencies."""
        self._advance()

    def exited(self, name: str, code: int, reason: str, message: str) -> None:
        """Handle a container's end."""
        container = self.containers[name]
        container.state, container.code, container.reason, container.message = "ended", code, reason, message
        container.was_ended = self.ending
        self.changed = self.in_set
        if code and container.role == "main" and container.retries < self.retries and not self.ending:
            container.retries += 1
            container.state = "waiting to be restarted"
            self.to_restart.append((self.retry_after, container))
            return
        self._advance()

    def end(self) -> None:
        """Start nothing more; running containers are to be ended."""
        self.ending = True
        self.to_start.clear()
        for container in self.containers.values():
            if container.state.startswith("waiting"):
                container.state = "never"

    def _advance(self) -> None:
        if self.ending:
            return
        for container in self.of("init"):
            if container.state == "ended" and container.code:
                self.end()
                return
            if container.state == "waiting":
                self._start(container)
            if container.state != "ended":
                return
        self._advance_main()
        if all(container.state in ("ended", "never") for container in self.of("main")):
            self.ending = True

    def _advance_main(self) -> None:
        for sidecar in self.of("sidecar"):
            if sidecar.state == "waiting":
                self._start(sidecar)
        again = True
        while again:
            again = False
            for container in self.of("main"):
                if container.state != "waiting":
                    continue
                before = [self.containers[name] for name in container.dependencies]
                failed = next((other for other in before if other.state == "ended" and other.code), None)
                if failed:
                    container.state, container.code, container.reason = "ended", _DEPENDENCY_FAILED, "Error"
                    container.message = f'dependency "{failed.name}" exited with non-zero code: {failed.code}'
                    again = True
                elif all(other.state == "ended" for other in before):
                    self._start(container)

    @property
    def forsaken(self) -> bool:
        """Whether the containers of a set run in vain: `main` has failed, or, without a `main`, one of them."""
        if not self.in_set or self.ending:
            return False
        mains = self.of("main")
        deciding = [container for container in mains if container.name == "main"] or mains
        return any(container.state == "ended" and container.code for container in deciding)

    def _start(self, container: Container) -> None:
        self.changed = self.in_set
        container.state = "running"
        self.to_start.append(container)

    @property
    def running(self) -> list[Container]:
        """The containers that run, the main ones first."""
        alive = [container for container in self.containers.values() if container.state == "running"]
        return sorted(alive, key=lambda container: container.role != "main")

    @property
    def over(self) -> bool:
        """Whether nothing runs any more and nothing will."""
        return self.ending and not any(
            container.state in ("running", "waiting to be restarted") for container in self.containers.values()
        )

    def verdict(self) -> tuple[str, str]:
        """Return the pod's phase and message as Argo infers them from its containers."""
        # The cause is the first failed container, in the order of a pod's status, that was not told to end.
        main = sorted(self.of("main"), key=lambda container: (container.was_ended, container.name))
        order = self.of("init") + main + sorted(self.of("sidecar"), key=lambda container: container.name)
        for container in order:
            if container.state != "ended" or container.code == 0:
                continue
            if container.role != "sidecar" or container.code not in (_SIGKILLED, _SIGTERMED):
                # Argo's own container, which fetches the inputs, is not the Workflow's fault.
                return "Error" if container.name == FETCHING else "Failed", container.said
        if any(container.state == "never" for container in self.of("main")):
            return "Failed", "main: never started"
        return "Succeeded", ""

    def exit_code(self) -> str | None:
        """Return the exit code that stands for the pod, None when no container named main has ended."""
        main = self.containers.get("main")
        return str(main.code) if main is not None and main.role == "main" and main.state == "ended" else None

    def phases(self) -> dict[str, tuple[str, str]]:
        """Return phase and message of each container of a containerSet."""
        found: dict[str, tuple[str, str]] = {}
        if not self.in_set:
            return found
        for container in self.of("main"):
            if container.state == "running":
                found[container.name] = ("Running", "")
            elif container.state == "ended":
                phase = "Error" if container.code == _DEPENDENCY_FAILED else "Failed" if container.code else "Succeeded"
                said = f"{container.name}: {container.reason} (exit code {container.code}): {container.message}"
                found[container.name] = (phase, said if container.code else "")
            elif container.state == "never":
                found[container.name] = ("Failed", "never started")
        self.changed = False
        return found
