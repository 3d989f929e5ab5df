"""Workflows that get past the upload, or come from elsewhere, meet the policy again before any engine sees them."""

import pytest

from engines.local.options import default_images
from policy.conf import installed_policy
from policy.images import is_allowed
from policy.rules import PLAIN_IMAGES, SHIPPED_IMAGES, Grant
from runs import outbox
from runs.carrier import Carrier
from runs.owners import Attachments
from tests.attacks.hostile_manifests import HOSTILE, workflow
from tests.runs.conftest import engine, make_run, owner  # noqa: F401
from tests.runs.test_outbox import START, now_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def submitted(make_run, engine):  # noqa: F811
    """Return a function that makes a run of a manifest, lets a controller carry it, and returns the run."""

    def submit(manifest, **given):
        run = make_run(now=START, manifest=manifest, **given)
        outbox.claim(engine="double", limit=10, claimed_by="me", now=START)
        Carrier(engine, "me", lambda: START).carry(run.pk)
        return now_of(run)

    return submit


@pytest.mark.parametrize(("manifest", "pointer", "rule"), HOSTILE.values(), ids=HOSTILE)
def test_no_engine_is_handed_a_hostile_workflow(submitted, engine, manifest, pointer, rule):  # noqa: F811
    run = submitted(manifest)

    assert (run.phase, run.reason) == ("failed", "engine")
    assert f"{pointer}: refused by the rule {rule}" in run.message
    assert not [call for call in engine.calls if call.startswith(("submit", "created"))]


def with_secret(name):
    return workflow({"env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": name, "key": "any.key"}}}]})


def test_what_travels_with_a_workflow_is_its_own(make_run, engine):  # noqa: F811
    # The owner of these runs attaches `<run>-callback`.
    run = make_run(now=START, name="mine", manifest=with_secret("mine-callback"))
    outbox.claim(engine="double", limit=10, claimed_by="me", now=START)
    Carrier(engine, "me", lambda: START).carry(run.pk)

    assert now_of(run).phase == "submitted"


def test_the_secret_of_another_run_is_not(submitted):
    run = submitted(with_secret("run-1-callback"), name="mine")

    assert run.phase == "failed"
    assert "/spec/templates/0/container/env/0/valueFrom/secretKeyRef/name: refused by the rule secrets" in run.message


def test_a_config_map_that_travels_is_its_own(submitted):
    manifest = workflow({"envFrom": [{"configMapRef": {"name": "mine-vars"}}]})

    assert submitted(manifest).phase == "failed"
    assert submitted(manifest, config_maps={"mine-vars": {"a": "b"}}).phase == "submitted"


def test_any_owner_may_grant_what_it_made(submitted, owner, monkeypatch):  # noqa: F811
    monkeypatch.setattr(type(owner), "prepare", lambda self, run: Attachments())
    manifest = workflow(template={"nodeSelector": {"dataPartner": "data-partner-2"}})

    assert submitted(manifest).phase == "failed"
    monkeypatch.setattr(
        type(owner), "grant", lambda self, run: Grant(partners={"data-partner-2": ()}, engines=frozenset({"own"}))
    )
    assert submitted(manifest).phase == "submitted"
    assert submitted(workflow({"image": "localhost:5000/own:1"})).phase == "submitted"


def test_a_run_tells_its_images_and_digests(submitted):
    digest = f"sha256:{'a' * 64}"
    by_digest = f"localhost:5000/sample-ai-engine@{digest}"
    run = submitted(workflow({"image": by_digest}, {"sidecars": [{"name": "s", "image": "busybox:1"}]}))

    assert run.images == {by_digest: digest, "busybox:1": ""}


def test_an_operators_no_reaches_what_is_queued(make_run, engine, settings):  # noqa: F811
    run = make_run(now=START, manifest=workflow({"image": "busybox"}))
    settings.ALLOWED_IMAGES = []
    outbox.claim(engine="double", limit=10, claimed_by="me", now=START)
    Carrier(engine, "me", lambda: START).carry(run.pk)

    assert "/spec/templates/0/container/image: refused by the rule images" in now_of(run).message


# One list of images for every kind of work


@pytest.mark.parametrize(
    ("image", "is_taken"),
    [
        ("localhost:5000/processor-resource-manager:2.0.0", True),
        ("localhost:5000/registered:7", True),
        (f"localhost:5000/registered@sha256:{'0' * 64}", True),
        ("localhost:5000/other:7", False),
        ("localhost:5000/registered-not:7", False),
        ("localhost:5000/team/registered:7", False),
        ("evil.example/localhost:5000/registered:7", False),
        ("registered:7", False),
        ("docker.io/library/busybox", False),
        ("tools.example/unzip:6.0", True),
        ("tools.example/unzip", False),
        ("tools.example/unzip-evil:6", False),
        ("tools.example:5000/unzip:6", False),
        ("localhost:5000/registered:7 --privileged", False),
        ("localhost:5000/../registered:7", False),
        ("LOCALHOST:5000/registered:7", False),
        ("localhost:5000/registered:\u0667", False),
    ],
)
def test_images_are_those_of_the_list(settings, image, is_taken):
    settings.ALLOWED_IMAGES = ["tools.example/unzip:*"]
    settings.ALLOWED_IMAGE_REGISTRIES = ["localhost:5000"]
    settings.ENGINES = {"argo": {"class": "engines.argo.ArgoEngine"}}

    assert is_allowed(image, installed_policy("argo"), Grant(engines=frozenset({"registered"}))) is is_taken


def test_images_of_one_machine_are_those_it_has_programs_for(settings):
    settings.ENGINES = {"local": {"class": "engines.local.LocalEngine", "options": {"images": {"mine:*": {}}}}}
    settings.ALLOWED_IMAGES = []
    policy = installed_policy("local")

    assert all(is_allowed(image, policy, Grant()) for image in ("mine:1", "busybox", "any.example/python:3"))
    assert not is_allowed("ubuntu:24.04", policy, Grant())


def test_the_names_of_plain_images_are_the_local_engines():
    named = [f"*/{name}:*" for name in SHIPPED_IMAGES]
    plain = [pattern for name in PLAIN_IMAGES for pattern in (name, f"{name}:*", f"*/{name}:*")]

    assert sorted(default_images()) == sorted(named + plain)
