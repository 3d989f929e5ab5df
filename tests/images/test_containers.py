"""What each of the four images is: what is in it and what is not, as whom it runs, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from deploy.image.build import VERSIONS
from tests.deploy.test_image import SERVICE, code_of, needed
from tests.images.conftest import RESTRICTED, Service
from tests.images.podman import Podman

pytestmark = pytest.mark.image

OF_PODS = {
    "processor-resource-manager": "step-runner",
    "federated-learning-manager": "federated-manager",
    "sample-ai-engine": "sample-ai-engine",
}
# Of ours, above the base, in MB; docs/how-to/run-on-kubernetes.md tells what they were when this was written.
LARGEST_MB = {
    "orchestrator": 320,
    "processor-resource-manager": 15,
    "federated-learning-manager": 85,
    "sample-ai-engine": 260,
}
IMPORT_ALL = """
import importlib, json, os, sys
from pathlib import Path
modules = json.loads(sys.argv[1])
if "orchestrator_api" in modules:
    import django
    os.environ["DJANGO_SETTINGS_MODULE"] = "orchestrator_api.settings"
    os.environ.update(SECRET_KEY="only for this test, and long enough for one in production", ALLOWED_HOSTS="x")
    django.setup()
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except Exception as error:
        failed[module] = repr(error)
print(json.dumps(failed))
"""


# Podman itself asks for a container's health where systemd runs, and complains elsewhere.
ONCE = ("run", "--rm", "--network", "none", "--no-healthcheck")


def run(podman: Podman, image: str, *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
    done = podman.call(*ONCE, *options, image, *arguments, check=False)
    return done.returncode, done.stdout + done.stderr


def python(podman: Podman, image: str, program: str, *arguments: str) -> str:
    return podman.call(*ONCE, "--entrypoint", "python", image, "-c", program, *arguments).stdout


@pytest.mark.parametrize("image", VERSIONS)
def test_an_image_is_as_small_as_its_programs_allow(
    podman: Podman, images: Mapping[str, str], base: str, image: str
) -> None:
    megabytes = (podman.inspect(images[image])["Size"] - podman.inspect(base)["Size"]) / 1e6
    print(f"\n{image}: {megabytes:.0f} MB above its base")

    assert megabytes <= LARGEST_MB[image]


@pytest.mark.parametrize("image", VERSIONS)
def test_the_code_of_an_image_finds_what_it_imports(podman: Podman, images: Mapping[str, str], image: str) -> None:
    said = python(podman, images[image], IMPORT_ALL, json.dumps(sorted(needed(image)[0] & code_of(image))))

    assert json.loads(said.splitlines()[-1]) == {}


@pytest.mark.parametrize("image", OF_PODS)
def test_an_image_of_pods_has_nothing_of_the_service(podman: Podman, images: Mapping[str, str], image: str) -> None:
    program = (
        "import importlib.util, json, sys; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"
    )

    assert json.loads(python(podman, images[image], program, *SERVICE, "django", "kubernetes", "matplotlib")) == []


@pytest.mark.parametrize("image", VERSIONS)
def test_what_reached_the_packages_index_is_in_no_image(podman: Podman, images: Mapping[str, str], image: str) -> None:
    program = "import os; print(os.path.exists('/etc/pip.conf'), os.path.exists('/run/secrets'), *sorted(os.environ))"
    *absent, _ = python(podman, images[image], program).split(maxsplit=2)
    history = podman.call("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[image]).stdout

    assert absent == ["False", "False"]
    assert "index-url" not in history


@pytest.mark.parametrize("options", [(), ("--user", "12345")], ids=["as the image's user", "as anybody"])
@pytest.mark.parametrize(("image", "program"), OF_PODS.items())
def test_a_program_starts_on_a_read_only_root_without_a_shell(
    podman: Podman, images: Mapping[str, str], shell_less: list[str], image: str, program: str, options: tuple[str, ...]
) -> None:
    arguments = () if program == "sample-ai-engine" else ("--help",)
    code, said = run(podman, images[image], *arguments, options=(*RESTRICTED, *shell_less, *options))

    # The AI engine takes no arguments: it says which variables of the platform it misses.
    assert (code, "the AI engine cannot start" in said) == (
        (1, True) if program == "sample-ai-engine" else (0, False)
    ), said


@pytest.mark.parametrize("program", ["api", "controller", "prepare"])
@pytest.mark.parametrize("options", [(), ("--user", "12345")], ids=["as the image's user", "as anybody"])
def test_a_service_without_settings_names_all_that_it_misses(
    podman: Podman, images: Mapping[str, str], program: str, options: tuple[str, ...]
) -> None:
    code, said = run(podman, images["orchestrator"], program, options=(*RESTRICTED, *options))

    assert code != 0
    assert [name for name in ("SECRET_KEY", "ALLOWED_HOSTS") if name not in said] == [], said


@pytest.mark.parametrize("image", VERSIONS)
def test_an_image_tells_how_its_health_is_asked(podman: Podman, images: Mapping[str, str], image: str) -> None:
    config = podman.inspect(images[image])

    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/orchestrator", "health"]
    assert config["User"] == "10001:10001"


@pytest.mark.parametrize("program", ["api", "controller"])
def test_a_running_service_is_healthy(podman: Podman, service: Service, program: str) -> None:
    podman.call("healthcheck", "run", service.containers[program])
