"""The settings of the policy: what they come to, and what is wrong with them."""

import pytest

from policy.conf import check_settings, installed_policy, partner_roots


def complaints():
    return [found.msg for found in check_settings()]


def test_the_defaults_are_sound():
    assert complaints() == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MANIFEST_SECRETS", ["*"], "MANIFEST_SECRETS lists the exact names of Secrets; '*' is not a name."),
        ("MANIFEST_CONFIG_MAPS", ["a/b"], "'a/b' is not a name"),
        ("MANIFEST_VOLUME_CLAIMS", ["Data"], "'Data' is not a name"),
        ("MANIFEST_SERVICE_ACCOUNTS", [""], "'' is not a name"),
        ("ALLOWED_IMAGES", ["*/busybox:*"], "registry and folders are exact"),
        ("ALLOWED_IMAGES", ["*.example/x:1"], "registry and folders are exact"),
        ("ALLOWED_IMAGES", ["a b"], "is not the name of an image"),
        ("MANIFEST_ALLOWED_FIELDS", [], "must be a JSON object"),
        ("MANIFEST_ALLOWED_FIELDS", {"spec/priority": None}, "is not a JSON pointer"),
        ("MANIFEST_ALLOWED_FIELDS", {"/spec/templats/*/tolerations": None}, "names no field of the table"),
        ("MANIFEST_ALLOWED_FIELDS", {"/spec/templates/x/tolerations": None}, "names no field of the table"),
        ("MANIFEST_ALLOWED_FIELDS", {"/spec/priority": 3}, "must have a list of values, or null for any"),
        ("DATA_PARTNER_PATHS", ["/srv"], "must be a JSON object"),
        ("DATA_PARTNER_PATHS", {"nobody": ["/srv"]}, "nobody is not one of VALID_DATA_PARTNERS"),
        ("DATA_PARTNER_PATHS", {"data-partner-1": "/srv"}, "data-partner-1 must have a list of folders"),
        ("DATA_PARTNER_PATHS", {"data-partner-1": ["/"]}, "not the root of the machine"),
        ("DATA_PARTNER_PATHS", {"data-partner-1": ["srv"]}, "must be an absolute path"),
        ("DATA_PARTNER_PATHS", {"data-partner-1": ["/srv/../etc"]}, "without `..`"),
    ],
)
def test_a_setting_that_says_nothing_is_an_error(settings, name, value, words):
    setattr(settings, name, value)

    [found] = complaints()

    assert name in found
    assert words in found


@pytest.mark.parametrize(
    "field",
    [
        "/spec/priority",
        "/spec/templates/*/tolerations",
        "/spec/templates/0/container/resources/limits/nvidia.com~1gpu",
        "/spec/templates/*/podSpecPatch/containers/*/lifecycle",
        "/spec/templates/*/steps/*/*/inline/container/image",
        "/spec/hooks/*/templateRef",
        "/metadata/labels",
    ],
)
def test_fields_beside_the_table_are_named_by_their_place(settings, field):
    settings.MANIFEST_ALLOWED_FIELDS = {field: None}

    assert complaints() == []


def test_a_cluster_is_not_allowed_what_one_machine_is(settings):
    local = {"class": "engines.local.LocalEngine", "options": {}}
    settings.ENGINES = {"local": local, "argo": {"class": "engines.argo.ArgoEngine", "options": {}}}

    here, there = installed_policy("local"), installed_policy("argo")

    assert here.is_one_machine and not there.is_one_machine
    assert here.artifact_endpoints is None and there.artifact_endpoints == ()
    assert "busybox" in here.images and "alpine" not in there.images
    assert installed_policy().artifact_endpoints == ()


def test_a_partner_has_the_folders_of_its_own(settings):
    settings.DATA_PARTNER_PATHS = {"data-partner-1": ["/srv/one"]}

    assert partner_roots("data-partner-1") == ("/srv/one",)
    assert partner_roots("data-partner-2") == ()
