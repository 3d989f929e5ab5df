"""One pod's files and container specs: from a rendered template to the specs of a `PodRunner`, and back to outputs."""

# ruff: noqa: PTH103, PTH118, PTH120, PTH123, PTH202

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from engines.local import beneath, http_inputs, layout, names, trees
from engines.local.artifacts import ArtifactMissing, ArtifactStore
from engines.local.container_ends import PATH as ENDS_PATH
from engines.local.container_ends import ContainerEnds
from engines.local.disk import Bound, DiskBudget, readable
from engines.local.images import Images, Surroundings, argv_of, environment
from engines.local.interpreter.pod_nodes import PodOrder
from engines.local.interpreter.tags import text_of
from engines.local.log_index import LogIndex
from engines.local.pods import ContainerSpec, Mount, OutputEntry, OutputUnreadable
from engines.local.quantities import memory_limit, storage_limit
from engines.local.templates import Template, containers_of, mounted_twice, patched, used_volumes, volume_mounts
from engines.local.volumes import Made, VolumeRefused, Volumes, mounts_of

SCRIPT_PATH = "/argo/staging/script"
# A kubelet's message.
_USAGE_OF = 'Usage of EmptyDir volume "%s" exceeds the limit "%s".'
# The most that a Workflow on a cluster can hold; a longer output is refused, never cut.
_LONGEST_OUTPUT = 1 << 20
_FETCHED = "fetched"
_TEMPORARY = "/tmp"  # noqa: S108 - a path inside the pod

OutputReader = Callable[[str, str], Iterator[OutputEntry]]


class OutputMissing(Exception):
    """An output that the template declares and the container did not write."""


class Shop:
    """What the pods of one Workflow share."""

    def __init__(
        self,
        *,
        directory: str,
        workflow: str,
        images: Images,
        volumes: Volumes,
        budget: DiskBudget,
        log_bytes: int,
        base_environment: dict[str, str],
        fields: dict[str, str],
    ) -> None:
        self.directory = directory
        self.workflow = workflow
        self.images = images
        self.volumes = volumes
        self.base_environment = base_environment
        self.fields = fields
        self.budget = budget
        self.log_bytes = log_bytes
        self.store = ArtifactStore(os.path.join(directory, layout.ARTIFACTS), budget)
        self.logs = LogIndex(directory)
        self._pods = 0

    def take_number(self) -> int:
        """Return the number of a new pod."""
        self._pods += 1
        return self._pods


class PodFiles:
    """One pod on disk. The checks come first and leave nothing behind; `prepare` writes."""

    def __init__(self, shop: Shop, order: PodOrder) -> None:
        self.shop = shop
        self.order = order
        self._fetched = http_inputs.fetched(order.artifacts)
        self.template: Template = http_inputs.with_fetching(patched(order.template), self._fetched)
        # Numbers, not names: text of a manifest is never part of a path of this machine.
        self.directory = os.path.join(shop.directory, layout.PODS, str(shop.take_number()))
        self._surroundings = Surroundings(shop.volumes.config_maps, shop.volumes.secrets, self._field)
        self._litter = False
        self._made: dict[str, Made] = {}
        self._artifact_mounts: list[Mount] = []
        self._ends: ContainerEnds | None = None
        self._logs: dict[str, int] = {}

    def check(self) -> None:
        """Raise an error for a pod that cannot start: wrong name, unknown image, missing volume or environment."""
        problem = names.first_problem(self.template, "template")
        if problem:
            raise VolumeRefused(problem)
        for _, spec in containers_of(self.template):
            self.shop.images.find(text_of(spec.get("image") or ""))
            if spec.get("env") or spec.get("envFrom"):
                environment(spec, self._surroundings)
        if twice := mounted_twice(self.template):
            raise VolumeRefused(twice)
        used = used_volumes(self.template)
        if used:
            self.shop.volumes.check(self.template, used)

    def prepare(self) -> None:
        """Make the pod's directory, volumes and input artifacts. Raises `ArtifactMissing`, `VolumeRefused`."""
        self._artifact_mounts.clear()
        used = used_volumes(self.template)
        script = self.template.get("script")
        together = [str(spec.get("name") or "main") for role, spec in containers_of(self.template) if role != "init"]
        self._litter = bool(used or self.order.artifacts or script or len(together) > 1)
        if self._litter:
            os.makedirs(self.directory, exist_ok=True)
        if len(together) > 1:
            self._ends = ContainerEnds(self.directory, together)
            self._ends.prepare()
        if used:
            self._made = self.shop.volumes.make(self.template, used, os.path.join(self.directory, "volumes"))
        folder = os.path.join(self.directory, "inputs")
        for number, artifact in enumerate(self.order.artifacts.values()):
            path = artifact.get("path")
            if not path:
                continue
            problem = names.absolute(path)
            if problem:
                raise VolumeRefused(f"artifact {artifact['name']}: {problem}")
            if number in self._fetched:
                continue
            os.makedirs(folder, exist_ok=True)
            if self.shop.store.fetch(artifact, os.path.join(folder, str(number))):
                self._artifact_mounts.append(Mount(Path(folder), path, below=str(number)))
        if self._fetched:
            self._make_fetching_folder()
        if script:
            self._write_script(str(script.get("source") or ""))

    def _make_fetching_folder(self) -> None:
        """Make the folder into which the pod's first container fetches, writable for any user."""
        folder = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(beneath.make_directories(folder, [_FETCHED], 0o777))
        finally:
            os.close(folder)

    def _fetched_mounts(self) -> list[Mount]:
        """Return the mounts of fetched artifacts; an optional one may be missing."""
        folder = os.path.join(self.directory, _FETCHED)
        return [
            Mount(Path(folder), artifact["path"], below=str(number))
            for number, artifact in self._fetched.items()
            if os.path.lexists(os.path.join(folder, str(number)))
        ]

    def _write_script(self, text: str) -> None:
        folder = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            beneath.make_file(folder, ["script"], text.encode(), 0o755)
        finally:
            os.close(folder)

    def bounds(self, storage: Sequence[str]) -> list[Bound]:
        """Return the pod's disk limits by its manifest; `storage` are further folders that its containers write to."""
        found = [
            Bound((made.source,), made.limit[0], _USAGE_OF % (name, made.limit[1]))
            for name, made in self._made.items()
            if made.limit is not None
        ]
        limits = [storage_limit(spec) for _, spec in containers_of(self.template)]
        if storage and all(limit is not None for limit in limits):
            total = sum(limit or 0 for limit in limits)
            said = f"Pod ephemeral local storage usage exceeds the total limit of containers {readable(total)}."
            found.append(Bound((self.directory, *storage), total, said))
        return found

    def spec(
        self, role: str, name: str, container: dict[str, Any], run_name: str, again: bool = False
    ) -> ContainerSpec:
        """Return the spec of a container; `again`: after an earlier one of this name in this pod."""
        image = self.shop.images.find(text_of(container.get("image") or ""))
        variables = environment(container, self._surroundings)
        mounts = mounts_of(volume_mounts(self.template, role, container), self._made)
        if (role == "main" and (name == "main" or not self._has_main())) or container.get("mirrorVolumeMounts"):
            mounts += [*self._artifact_mounts, *self._fetched_mounts()]
        if self._fetched and (role, name) == ("init", names.FETCHING):
            mounts.append(Mount(Path(self.directory, _FETCHED), http_inputs.FOLDER))
        mounts += [Mount(Path(path), path, read_only=True, as_owner=False) for path in image.get("mounts") or ()]
        if self._ends is not None and role != "init" and not any(_is_at_ends(mount.target) for mount in mounts):
            mounts.append(self._ends.mount)
        argv = list(argv_of(container, image, variables))
        if role == "main" and self.template.get("script"):
            mounts.append(Mount(Path(self.directory, "script"), SCRIPT_PATH, read_only=True))
            argv.append(SCRIPT_PATH)
        working_dir = container.get("workingDir") or image.get("working_dir") or "/"
        return ContainerSpec(
            name=run_name,
            argv=argv,
            env={
                **self.shop.base_environment,
                **{key: str(value) for key, value in (image.get("env") or {}).items()},
                **variables,
            },
            working_dir=working_dir,
            stdout=self.log(name, "stdout"),
            stderr=self.log(name, "stderr"),
            mounts=tuple(mounts),
            private_paths=self._private_paths(working_dir, mounts),
            memory_limit_bytes=self._memory_limit(container),
            file_size_limit_bytes=self.shop.budget.limit,
            log_limit_bytes=self.shop.log_bytes,
            # A stream that is read again, or continued, has its own file.
            gathered=not again and not self.order.capture,
            hostname=self.order.pod_name,
        )

    def _memory_limit(self, container: dict[str, Any]) -> int | None:
        """Return a container's memory limit: its own, at most the pod's."""
        limits = memory_limit(container), memory_limit({"resources": self.template.get("podResources")})
        return min((limit for limit in limits if limit is not None), default=None)

    def log(self, name: str, stream: str) -> str:
        """Return the log files of a container. Raises OSError when its number cannot be stored."""
        # All in one directory: making one for each pod costs as much as starting its program.
        number = self._logs.get(name)
        if number is None:
            number = self._logs[name] = self.shop.logs.add(self.order.node_id, name)
        return f"{self.shop.directory}/{layout.LOGS}/{number}.{stream}"

    def _has_main(self) -> bool:
        return any(spec.get("name") == "main" for role, spec in containers_of(self.template) if role == "main") or (
            not self.template.get("containerSet")
        )

    def _private_paths(self, working_dir: str, mounts: list[Mount]) -> tuple[str, ...]:
        paths = [_TEMPORARY, working_dir]
        outputs = self.template.get("outputs") or {}
        for parameter in outputs.get("parameters") or ():
            path = (parameter.get("valueFrom") or {}).get("path")
            if path:
                paths.append(os.path.dirname(path))
        paths += [os.path.dirname(one["path"]) for one in outputs.get("artifacts") or () if one.get("path")]
        return _outside(tuple(paths), tuple(mount.target for mount in mounts))

    def _field(self, path: str) -> str:
        own = {"metadata.name": self.order.pod_name, "status.podIP": "127.0.0.1", "status.hostIP": "127.0.0.1"}
        return own.get(path) or self.shop.fields.get(path) or ""

    # After the end

    def container_ended(self, name: str, code: int) -> None:
        """Tell the other containers of the pod how one has ended."""
        if self._ends is not None:
            self._ends.tell(name, code)

    def outputs(self, read: OutputReader, *, failed: bool) -> dict[str, Any]:
        """Return the pod's outputs, as in a NodeStatus. Raises `OutputMissing` unless the pod `failed`.

        `read` reads a path of a container. Raises OutputUnreadable.
        """
        found: dict[str, Any] = {}
        declared = self.template.get("outputs") or {}
        for parameter in declared.get("parameters") or ():
            value = self._parameter(parameter, read, failed)
            if value is not None:
                found.setdefault("parameters", []).append({**parameter, "value": value})
        for artifact in declared.get("artifacts") or ():
            key = f"{self.shop.workflow}/{self.order.pod_name}/{artifact['name']}.tgz"
            kept = self.shop.store.keep(artifact, read(self._giver(), artifact["path"]), key)
            if kept is not None:
                found.setdefault("artifacts", []).append(kept)
            elif not artifact.get("optional") and not failed:
                raise OutputMissing(f"artifact {artifact['name']}: nothing at {artifact['path']}")
        if self.order.capture:
            found["result"] = self._result()
        return found

    def _result(self) -> str:
        """Return the main container's standard output. Raises OutputUnreadable where it is too long."""
        path = self.log("main", "stdout")
        try:
            written = os.path.getsize(path)
        except FileNotFoundError:
            return ""
        if written >= self.shop.log_bytes:
            raise OutputUnreadable(
                f"result: the standard output is larger than the {self.shop.log_bytes} bytes kept of it"
            )
        with open(path, "rb") as file:
            return _text(file, "result: the standard output")

    def _parameter(self, parameter: dict[str, Any], read: OutputReader, failed: bool) -> str | None:
        source = parameter.get("valueFrom") or {}
        path = source.get("path")
        if path:
            for entry in read(self._giver(), path):
                if entry.kind != "file":
                    raise OutputUnreadable(f"parameter {parameter['name']}: {path} is a {entry.kind}")
                with open(entry.descriptor, "rb", closefd=False) as file:
                    return _text(file, f"parameter {parameter['name']}: {path}")
        elif parameter.get("value") is not None:
            return text_of(parameter["value"])
        if source.get("default") is not None:
            return text_of(source["default"])
        if failed:
            return None
        raise OutputMissing(f"parameter {parameter['name']}: no file at {path}")

    def _giver(self) -> str:
        """Return the name of the container whose files are the pod's outputs."""
        if self._has_main():
            return "main"
        return str(next(spec["name"] for role, spec in containers_of(self.template) if role == "main"))

    def clean(self) -> None:
        """Remove everything but the logs."""
        if self._litter:
            trees.remove_quietly(self.directory)


@functools.cache
def _outside(paths: tuple[str, ...], targets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths, each once, that are not at or below a target."""
    roots = [target.rstrip("/") for target in targets]
    return tuple(
        path
        for path in dict.fromkeys(os.path.normpath(path) for path in paths)
        if path != "/" and not any(path == root or path.startswith(f"{root}/") for root in roots)
    )


def _text(file: BinaryIO, what: str) -> str:
    """Return the content of a file, without a last newline. Raises OutputUnreadable where it is too long for an
    output."""
    content = file.read(_LONGEST_OUTPUT + 1)
    if len(content) > _LONGEST_OUTPUT:
        raise OutputUnreadable(
            f"{what} is larger than {_LONGEST_OUTPUT} bytes, which an output may have; use an artifact"
        )
    return content.decode("utf-8", "replace").removesuffix("\n")


def _is_at_ends(target: str) -> bool:
    """Return whether the manifest mounts something at the path of `containers.json`."""
    return f"{os.path.normpath(target)}/".startswith(f"{ENDS_PATH}/")


__all__ = ["ArtifactMissing", "OutputMissing", "PodFiles", "Shop"]
