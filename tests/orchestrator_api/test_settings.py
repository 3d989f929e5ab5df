"""Settings as another process would read them, from nothing but its environment."""

import pytest

from tests.orchestrator_api.conftest import GIVEN


def test_there_is_no_default_secret(read):
    assert "missing settings: SECRET_KEY" in read("SECRET_KEY")["error"]


def test_production_is_the_default(read):
    names = ("DEBUG", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "WORKFLOW_CALLBACKS_OPEN")
    assert read("ALLOWED_HOSTS", *names, SECRET_KEY="x") == {
        "ALLOWED_HOSTS": [],
        "DEBUG": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "WORKFLOW_CALLBACKS_OPEN": False,
    }


def test_sqlite_in_the_data_folder_is_the_default_database(read, tmp_path):
    database = read("DATABASES", **GIVEN)["DATABASES"]["default"]
    assert database["NAME"] == str(tmp_path / "orchestrator.sqlite3")
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]


def test_postgresql_by_url(read):
    database = read("DATABASES", DATABASE_URL="postgres://u:p@db:5433/name?sslmode=require", **GIVEN)["DATABASES"]
    assert (database["default"]["ENGINE"], database["default"]["HOST"]) == ("django.db.backends.postgresql", "db")
    assert database["default"]["OPTIONS"] == {"sslmode": "require", "connect_timeout": 10}


def test_the_local_engine_knows_its_nodes_gateways_and_what_to_hide(read, tmp_path):
    given = {**GIVEN, "VALID_DATA_PARTNERS": "a,b", "ORCHESTRATOR_API_HOSTNAME": "o:1", "MAAS_API_HOSTNAME": "r:2"}
    options = read("ENGINES", **given)["ENGINES"]["local"]["options"]
    assert options["nodes"] == [{"nodeType": "central"}, {"dataPartner": "a"}, {"dataPartner": "b"}]
    assert options["gateways"] == ["o:1", "r:2"]
    assert options["hidden_paths"] == [str(tmp_path)]


@pytest.mark.parametrize(
    ("registry", "gateways", "found_at"),
    [(None, ["o:1=l:3"], "l:3"), ("o:1", ["o:1=l:3"], "l:3"), ("r:2", ["o:1=l:3", "r:2"], "r:2")],
)
def test_workflows_may_know_the_service_by_an_address_of_their_own(read, registry, gateways, found_at):
    given = {**GIVEN, "ORCHESTRATOR_API_HOSTNAME": "o:1", "LISTEN_ADDRESS": "l:3"}
    if registry:
        given["MAAS_API_HOSTNAME"] = registry
    found = read("ENGINES", "MAAS_API_ADDRESS", **given)
    assert found["ENGINES"]["local"]["options"]["gateways"] == gateways
    assert found["MAAS_API_ADDRESS"] == found_at


@pytest.mark.parametrize(
    ("given", "engines"),
    [
        ({}, ["local"]),
        ({"ARGO_NAMESPACE": "argo"}, ["argo", "local"]),
        ({"ENGINE": "argo"}, ["argo"]),
        ({"ENGINE": "argo", "LOCAL_ENGINE": "true"}, ["argo", "local"]),
    ],
)
def test_an_engine_is_there_where_it_is_wanted(read, given, engines):
    assert sorted(read("ENGINES", **given, **GIVEN)["ENGINES"]) == engines


def test_paths_of_ai_engines_are_settings(read):
    paths = read("AI_ENGINE_PATHS", AI_ENGINE_INPUT_MODEL="/elsewhere/", **GIVEN)["AI_ENGINE_PATHS"]
    assert paths["input_model"] == "/elsewhere/"
    assert paths["output_model"] == "/tmp/output_elements/ai_model/"


@pytest.mark.parametrize("name", ["DATA_PARTNER_PATHS", "MANIFEST_ALLOWED_FIELDS", "LOCAL_ENGINE_IMAGES"])
def test_what_is_no_json_is_an_error_that_names_the_variable(read, name):
    assert f"{name}={{'a':…: expected a JSON object" in read("DEBUG", **GIVEN, **{name: "{'a': 1}"})["error"]


def test_no_path_of_a_partner_and_no_host_network_by_default(read):
    found = read("DATA_PARTNER_PATHS", "MANIFEST_ALLOW_HOST_NETWORK", "ALLOWED_IMAGE_REGISTRIES", "ENGINES", **GIVEN)

    assert (found["DATA_PARTNER_PATHS"], found["MANIFEST_ALLOW_HOST_NETWORK"]) == ({}, False)
    assert found["ALLOWED_IMAGE_REGISTRIES"] == ["localhost:5000"]
    assert found["ENGINES"]["local"]["options"]["hostpath_allow"] == []


def test_folders_of_one_machine_are_those_of_every_partner(read):
    given = {**GIVEN, "VALID_DATA_PARTNERS": "a,b", "LOCAL_ENGINE_HOST_PATHS": "/srv"}

    assert read("DATA_PARTNER_PATHS", **given)["DATA_PARTNER_PATHS"] == {"a": ["/srv"], "b": ["/srv"]}


def test_the_local_engine_mounts_what_partners_may_have(read):
    given = {**GIVEN, "DATA_PARTNER_PATHS": '{"data-partner-1": ["/srv/one"], "data-partner-2": ["/srv/two"]}'}

    assert read("ENGINES", **given)["ENGINES"]["local"]["options"]["hostpath_allow"] == ["/srv/one", "/srv/two"]


def test_one_namespace_for_all_workflows_holds_no_pod_to_less(read):
    engines = read("ENGINES", ENGINE="argo", ARGO_NAMESPACE="w", ARGO_PRIVILEGED_NAMESPACE="w", **GIVEN)["ENGINES"]
    assert {alias: each["options"]["restricted"] for alias, each in engines.items()} == {"argo": False}


def test_a_second_namespace_is_an_engine_of_its_own(read):
    engines = read("ENGINES", ENGINE="argo", ARGO_NAMESPACE="w", ARGO_PRIVILEGED_NAMESPACE="p", **GIVEN)["ENGINES"]
    options = {alias: each["options"] for alias, each in engines.items()}
    assert {alias: (each["namespace"], each["restricted"]) for alias, each in options.items()} == {
        "argo": ("w", True),
        "argo-privileged": ("p", False),
    }
    assert options["argo"]["privileged_engine"] == "argo-privileged"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "DATA_PARTNER_CLAIMS={: expected a JSON object"),
        ("[]", "DATA_PARTNER_CLAIMS=[]: expected a JSON object"),
        ('{"a": "claim"}', "a must have an object"),
        ('{"a": {"b": "claim"}}', "'b' of a is not an absolute path"),
        ('{"a": {"/b": "Not A Claim"}}', "'Not A Claim' of a is not a valid name of a claim"),
        ('{"a": {"/b": 1}}', "1 of a is not a valid name of a claim"),
    ],
)
def test_claims_that_cannot_be_are_refused(read, given, words):
    assert words in read("DATA_PARTNER_CLAIMS", DATA_PARTNER_CLAIMS=given, **GIVEN)["error"]


def test_sessions_and_logins_have_their_limits(read):
    names = ("SESSION_COOKIE_AGE", "SESSION_EXPIRE_AT_BROWSER_CLOSE", "LOGIN_FAILURES_PER_ACCOUNT")
    assert read(*names, SESSION_HOURS="2", **GIVEN) == dict(zip(names, (7200, True, 10), strict=True))


@pytest.mark.parametrize(
    ("given", "schemes"),
    [
        ({}, ["http", "http", True]),
        ({"ORCHESTRATOR_API_SCHEME": "HTTPS"}, ["https", "https", False]),
        ({"ORCHESTRATOR_API_SCHEME": "https", "MAAS_API_HOSTNAME": "r:2"}, ["https", "http", True]),
        ({"MAAS_API_SCHEME": "https"}, ["http", "https", True]),
    ],
)
def test_how_the_apis_are_spoken_to(read, given, schemes):
    names = ("ORCHESTRATOR_API_SCHEME", "MAAS_API_SCHEME", "PLAIN_HTTP_FOR_WORKFLOWS")
    assert list(read(*names, **given, **GIVEN).values()) == schemes


def test_a_proxy_is_trusted_where_it_is_named(read):
    names = ("TRUSTED_PROXIES", "SECURE_PROXY_SSL_HEADER")
    assert read(*names, **GIVEN) == {"TRUSTED_PROXIES": [], "SECURE_PROXY_SSL_HEADER": None}
    assert read(*names, BEHIND_PROXY="true", **GIVEN)["TRUSTED_PROXIES"] == ["127.0.0.0/8", "::1/128"]
    assert read(*names, TRUSTED_PROXIES="10.0.0.7, fd00::/8", **GIVEN) == {
        "TRUSTED_PROXIES": ["10.0.0.7/32", "fd00::/8"],
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.7/8"),
        ("PLAIN_HTTP_FROM", "*"),
        ("MAAS_API_SCHEME", "ftp"),
        ("ORCHESTRATOR_API_SCHEME", ""),
        ("API_CA_FILE", "/nowhere/ca.pem"),
        ("API_CA_FILE", "/etc/hostname"),
        ("SESSION_HOURS", "0"),
        ("LOGIN_FAILURES_PER_ACCOUNT", "-1"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_its_variable(read, variable, value):
    assert variable in read("DEBUG", **{variable: value}, **GIVEN)["error"].splitlines()[-1]
