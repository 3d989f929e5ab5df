"""Words of a manifest that would be paths of the host: none of them reaches one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.base import ManifestRejected, Submission, WorkflowPhase
from engines.local import LocalEngine, layout
from tests.engines.local.harness import parameters, run, shell, text, workflow

MakeEngine = Callable[..., LocalEngine]
SECRET = "what pods may not read"
TAG = "{{workflow.parameters.word}}"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeEngine]:
    made: list[LocalEngine] = []

    def make_one(**options: Any) -> LocalEngine:
        engine = LocalEngine("local", {"root": tmp_path / "data/engine", "grace_seconds": 1, **options})
        made.append(engine)
        return engine

    yield make_one
    for engine in made:
        for status in list(engine.list()):
            engine.delete(status.name)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host that is nobody's business."""
    directory = tmp_path / "victim"
    directory.mkdir(mode=0o700)
    (directory / "secret").write_text(SECRET)
    return directory


def tree(directory: Path) -> list[tuple[str, int, bytes]]:
    """Return all there is in a directory, with modes and contents."""
    found = [("", stat.S_IMODE(directory.stat().st_mode), b"")]
    for path in sorted(directory.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path.relative_to(directory)), stat.S_IMODE(path.lstat().st_mode), content))
    return found


def with_volume(name: str) -> dict[str, Any]:
    mounts = [{"name": name, "mountPath": "/v"}]
    script = "cat /v/secret; echo taken > /v/secret; touch /v/new"
    return {
        "name": "main",
        "volumes": [{"name": name, "emptyDir": {}}],
        "container": shell(script, volumeMounts=mounts),
    }


def with_raw_artifact(name: str) -> dict[str, Any]:
    artifact = {"name": name, "path": "/in", "raw": {"data": "taken"}}
    return {"name": "main", "inputs": {"artifacts": [artifact]}, "container": shell("cat /in; echo more > /in")}


def with_sidecar(name: str) -> dict[str, Any]:
    return {"name": "main", "container": shell("sleep 0.3"), "sidecars": [{**shell("echo taken"), "name": name}]}


def with_init(name: str) -> dict[str, Any]:
    return {"name": "main", "container": shell("true"), "initContainers": [{**shell("echo taken"), "name": name}]}


def with_set(name: str) -> dict[str, Any]:
    return {"name": "main", "containerSet": {"containers": [{**shell("echo taken"), "name": name}]}}


ATTACKS = [
    (with_volume, "", "volumes/0/name"),
    (with_raw_artifact, "/secret", "inputs/artifacts/0/name"),
    (with_sidecar, "/secret", "sidecars/0/name"),
    (with_init, "/secret", "initContainers/0/name"),
    (with_set, "/secret", "containerSet/containers/0/name"),
]


@pytest.mark.parametrize(("template", "inner", "pointer"), ATTACKS)
@pytest.mark.parametrize("form", ["absolute", "upwards"])
def test_no_name_is_a_path(
    make: MakeEngine, victim: Path, template: Callable[[str], dict[str, Any]], inner: str, pointer: str, form: str
) -> None:
    engine, before = make(), tree(victim)
    # Up to the root from wherever it might be joined to, and down again.
    name = f"{victim}{inner}" if form == "absolute" else "../" * 30 + f"{victim}{inner}".lstrip("/")

    with pytest.raises(ManifestRejected) as refusal:
        run(engine, "attack", workflow(template(name)))

    assert refusal.value.pointer == f"/spec/templates/0/{pointer}"
    assert tree(victim) == before


@pytest.mark.parametrize(("template", "inner"), [attack[:2] for attack in ATTACKS])
@pytest.mark.parametrize("form", ["absolute", "upwards"])
def test_no_name_becomes_a_path_when_rendered(
    make: MakeEngine, victim: Path, template: Callable[[str], dict[str, Any]], inner: str, form: str
) -> None:
    engine, before = make(), tree(victim)
    word = f"{victim}{inner}" if form == "absolute" else "../" * 30 + f"{victim}{inner}".lstrip("/")

    status = run(engine, "attack", workflow(template(TAG), arguments=parameters(word=word)))

    assert status.phase == WorkflowPhase.ERROR
    assert SECRET not in text(engine, "attack")
    assert tree(victim) == before


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/secret", "..", "a/..", "."])
def test_no_item_leaves_its_volume(make: MakeEngine, path: str) -> None:
    source = {"name": "settings", "items": [{"key": "k", "path": path}]}
    mounts = [{"name": "v", "mountPath": "/v"}]
    template = {"name": "main", "volumes": [{"name": "v", "configMap": source}]}
    template["container"] = shell("true", volumeMounts=mounts)

    with pytest.raises(ManifestRejected) as refusal:
        make().submit(Submission("item", workflow(template), config_maps={"settings": {"k": "x"}}))

    assert refusal.value.pointer == "/spec/templates/0/volumes/0/configMap/items/0/path"


@pytest.mark.parametrize("key", ["../../k", "/k", "..", ".", "..k", "a/b", "", "a\0b", "a b"])
@pytest.mark.parametrize("kind", ["config_maps", "secrets"])
def test_no_key_is_a_path(make: MakeEngine, kind: str, key: str) -> None:
    engine = make()

    with pytest.raises(ManifestRejected):
        engine.submit(
            Submission("key", workflow({"name": "main", "container": shell("true")}), **{kind: {"s": {key: ""}}})
        )

    assert list(engine.list()) == []


def test_items_in_directories_are_what_they_say(make: MakeEngine) -> None:
    source = {"secretName": "s", "items": [{"key": "a", "path": "deep/er/a"}, {"key": "b", "path": "deep/b"}]}
    template = {
        "name": "main",
        "volumes": [{"name": "v", "secret": source}],
        "container": shell(
            "cat /v/deep/er/a /v/deep/b; ls -A /v; touch /v/x", volumeMounts=[{"name": "v", "mountPath": "/v"}]
        ),
    }
    engine = make()
    engine.submit(Submission("items", workflow(template), secrets={"s": {"a": "1\n", "b": "2\n", "c": "3\n"}}))

    status = next(event.status for event in engine.watch(timeout_seconds=40) if event.status.phase.is_terminal)

    assert (status.phase, text(engine, "items")) == ("Failed", "1\n2\ndeep")


@pytest.mark.parametrize("kind", ["initContainers", "sidecars"])
def test_no_container_takes_anothers_name(make: MakeEngine, kind: str) -> None:
    twin = {"name": "main", "container": shell("true"), kind: [{**shell("true"), "name": "main"}]}

    with pytest.raises(ManifestRejected) as refusal:
        make().submit(Submission("twin", workflow(twin)))

    assert refusal.value.pointer == f"/spec/templates/0/{kind}/0/name"


def test_an_artifact_that_is_a_link_shows_nothing(make: MakeEngine, victim: Path) -> None:
    write = {
        "name": "write",
        "container": shell(f"ln -s {victim}/secret /tmp/out"),
        "outputs": {"artifacts": [{"name": "out", "path": "/tmp/out"}]},
    }
    read = {
        "name": "read",
        "inputs": {"artifacts": [{"name": "in", "path": "/in"}]},
        "container": shell("cat /in; echo taken > /in"),
    }
    taken = {"artifacts": [{"name": "in", "from": "{{steps.w.outputs.artifacts.out}}"}]}
    steps = [[{"name": "w", "template": "write"}], [{"name": "r", "template": "read", "arguments": taken}]]
    engine, before = make(hidden_paths=[str(victim)]), tree(victim)

    status = run(engine, "linked", workflow({"name": "main", "steps": steps}, write, read))

    assert status.phase in (WorkflowPhase.ERROR, WorkflowPhase.FAILED)
    assert SECRET not in text(engine, "linked")
    assert tree(victim) == before


def test_a_planted_link_leads_no_sub_path_out(make: MakeEngine, victim: Path) -> None:
    mount = {"name": "v", "mountPath": "/v"}
    template = {
        "name": "main",
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [
            {
                **shell(f"ln -s {victim} /v/out; mkdir /v/in; ln -s ../out /v/in/more", volumeMounts=[mount]),
                "name": "plant",
            }
        ],
        "container": shell(
            "cat /w/secret; touch /w/new", volumeMounts=[{**mount, "mountPath": "/w", "subPath": "in/more"}]
        ),
    }
    engine, before = make(), tree(victim)

    status = run(engine, "planted", workflow(template))

    assert status.phase in (WorkflowPhase.ERROR, WorkflowPhase.FAILED)
    assert SECRET not in text(engine, "planted")
    assert tree(victim) == before


def host_path(path: Path, script: str, **more: Any) -> dict[str, Any]:
    return workflow(
        {
            "name": "main",
            "volumes": [{"name": "h", "hostPath": {"path": str(path), **more}}],
            "container": shell(script, volumeMounts=[{"name": "h", "mountPath": "/h"}]),
        }
    )


def test_a_host_path_is_read_only_by_default(make: MakeEngine, victim: Path) -> None:
    engine, before = make(hostpath_allow=[str(victim)]), tree(victim)

    status = run(engine, "write", host_path(victim, "cat /h/secret; touch /h/new"))

    assert (status.phase, text(engine, "write")) == ("Failed", SECRET)
    assert tree(victim) == before


def test_a_host_path_is_written_where_the_operator_says(make: MakeEngine, victim: Path) -> None:
    engine = make(hostpath_allow=[str(victim)], hostpath_writable=[str(victim)])

    status = run(engine, "write", host_path(victim / "new", "touch /h/x", type="DirectoryOrCreate"))

    assert status.phase == "Succeeded", status.message
    assert (victim / "new/x").exists()


def test_nothing_is_made_where_nothing_is_written(make: MakeEngine, victim: Path) -> None:
    engine, before = make(hostpath_allow=[str(victim)]), tree(victim)
    for number, kind in enumerate(("DirectoryOrCreate", "FileOrCreate")):
        manifest = host_path(victim / "new", "true", type=kind)
        manifest["spec"]["activeDeadlineSeconds"] = 1

        assert run(engine, f"make-{number}", manifest).phase != "Succeeded"

    assert tree(victim) == before


@pytest.mark.parametrize("inner", ["", "data", "data/engine", "data/engine/workflows"])
def test_a_host_path_never_shows_the_engines_folder(make: MakeEngine, tmp_path: Path, inner: str) -> None:
    engine = make(hostpath_allow=[str(tmp_path)], hidden_paths=[str(tmp_path / "data")])

    status = run(engine, "inside", host_path(tmp_path / inner, "ls -R /h"))

    assert status.phase == WorkflowPhase.ERROR
    assert layout.ORDER not in text(engine, "inside")


@pytest.mark.parametrize("kind", ["Socket", "CharDevice", "BlockDevice"])
def test_no_device_or_socket_is_mounted(make: MakeEngine, victim: Path, kind: str) -> None:
    with pytest.raises(ManifestRejected) as refusal:
        make(hostpath_allow=["/dev"]).submit(Submission("device", host_path(Path("/dev/null"), "true", type=kind)))
    assert refusal.value.pointer == "/spec/templates/0/volumes/0/hostPath/type"

    os.mkfifo(victim / "pipe")
    manifest = host_path(victim / "pipe", "true")
    manifest["spec"]["activeDeadlineSeconds"] = 1
    assert run(make(hostpath_allow=[str(victim)]), "pipe", manifest).phase != "Succeeded"


def test_names_of_this_machine_are_numbers(make: MakeEngine) -> None:
    """Whatever a manifest calls its things, no file is called so; the logs still say whose they are."""
    mounts = [{"name": "own-volume", "mountPath": "/v"}]
    template = {
        "name": "own-template",
        "volumes": [{"name": "own-volume", "emptyDir": {}}],
        "inputs": {"artifacts": [{"name": "own-artifact", "path": "/in", "raw": {"data": "x"}}]},
        "initContainers": [{**shell("echo first", volumeMounts=mounts), "name": "own-init"}],
        "container": shell("echo second; sleep 1", volumeMounts=mounts),
        "sidecars": [{**shell("echo third; sleep 60"), "name": "own-sidecar"}],
    }
    engine = make()
    engine.submit(Submission("numbers", workflow(template)))
    seen: set[str] = set()

    for event in engine.watch(timeout_seconds=40):
        path = engine.folder.path("numbers")
        seen |= {str(found.relative_to(path)) for found in path.rglob("*")}
        if event.status.phase.is_terminal:
            break

    assert [name for name in seen if "own-" in name] == []
    lines = sorted((line.container, line.text) for line in engine.logs("numbers"))
    assert lines == [("main", "second"), ("own-init", "first"), ("own-sidecar", "third")]
