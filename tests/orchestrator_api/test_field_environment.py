"""The environment of other installations: every name that they set is honoured, or told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from orchestrator_api.environment.reading import Environment, WrongSettings
from tests.orchestrator_api.conftest import GIVEN, PROJECT

PATHS = {
    name: f"/field/{name.lower()}/"
    for name in (
        *("INPUT_ELEMENTS", "INPUT_DATA_TRAINING_TABULAR", "INPUT_DATA_TRAINING_IMAGERY"),
        *("INPUT_DATA_EVALUATION_TABULAR", "INPUT_DATA_EVALUATION_IMAGERY", "INPUT_DATA_INFERENCE"),
        *(
            "INPUT_DATA_INFERENCE_REPORT_METADATA",
            "INPUT_AI_ELEMENTS",
            "INPUT_USER_VARS",
            "INPUT_MODEL",
            "INPUT_MODELS",
        ),
        *("INPUT_MODELS", "OUTPUT_ELEMENTS", "OUTPUT_MODEL", "OUTPUT_EVALUATION_METRICS", "OUTPUT_INFERENCE_RESULTS"),
    )
}
PLATFORM_VARS = {
    "CONFIG_MAP_NAME": "ai-engine-platform-vars",
    "API_PING_URL": "/ping",
    "API_RUN_URL": "/run",
    "API_END_URL": "/end",
    "API_HOST": "127.0.0.1:9001",
    **PATHS,
}
DATABASE = {
    "DATABASE_ENGINE": "postgresql",
    "DATABASE_NAME": "orchestrator",
    "DATABASE_USERNAME": "operator",
    "DATABASE_PASSWORD": "p@ss/w#rd %41",
    "DATABASE_HOST": "database.example",
    "DATABASE_PORT": "5433",
}
FIELD = {
    **DATABASE,
    "DEBUG": "False",
    "SECRET_KEY": "x" * 60,
    "ALLOWED_HOSTS": "orchestrator.example, 10.0.0.7",
    "STATIC_ROOT": "/srv/static",
    "LOGLEVEL": "warning",
    "MEDIA_ROOT": "/srv/media",
    "MEDIA_URL": "/media",
    "MAAS_API_HOSTNAME": "maas.example:8001",
    "ORCHESTRATOR_API_HOSTNAME": "orchestrator.example:8000",
    "VALID_DATA_PARTNERS": "hospital-a,hospital-b",
    "VALID_AI_ENGINE_FUNCTIONALITIES": "training_from_scratch,merging_models",
    "VALID_AI_ENGINE_ROLE_TYPES": "classifier,segmenter",
    "VALID_AI_ENGINE_DATA_TYPES": "tabular,imagery",
    "VALIDATE_WITH_MAAS": "no",
    "PLATFORM_CENTRAL_NODE_LABEL_KEY": "role.example/kind",
    "PLATFORM_CENTRAL_NODE_LABEL_VALUE": "main",
    "ARGO_WORKFLOWS_NAMESPACE": "workflows",
    "ARGO_WORKFLOWS_API_HOST": "https://argo-server.argo:2746",
    "COMMUNICATION_ADAPTER": "KAFKA",
    "KAFKA_BOOTSTRAP_SERVERS": "broker-1:9092,broker-2:9092",
    "KAFKA_MAX_MODEL_SIZE": "1024",
    "PROCESSOR_RESOURCE_MANAGER_VERSION": "1.2.3",
    "PROCESSOR_RESOURCE_MANAGER_API_HOST": "127.0.0.1:9000",
    "PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL": "/callback",
    "FEDERATED_LEARNING_MANAGER_VERSION": "3.2.1",
    "GUNICORN_CMD_ARGS": "--workers 2",
    **{f"AI_ENGINE_PLATFORM_VARS_{name}": value for name, value in PLATFORM_VARS.items()},
}


def test_an_environment_of_these_names_alone_is_argo_and_kafka(read) -> None:
    found = read("ENGINE", "ENGINES", "FEDERATED_ADAPTER", "FEDERATED_ADAPTERS", **FIELD)

    assert (found["ENGINE"], list(found["ENGINES"])) == ("argo", ["argo"])
    assert found["ENGINES"]["argo"]["options"]["namespace"] == "workflows"
    assert found["FEDERATED_ADAPTER"] == "kafka"
    assert found["FEDERATED_ADAPTERS"]["kafka"]["options"]["bootstrap_servers"] == "broker-1:9092,broker-2:9092"


def test_each_name_is_honoured(read) -> None:
    expected = {
        "DEBUG": False,
        "SECRET_KEY": "x" * 60,
        "ALLOWED_HOSTS": ["orchestrator.example", "10.0.0.7"],
        "STATIC_ROOT": "/srv/static",
        "MEDIA_ROOT": "/srv/media",
        "MEDIA_URL": "/media/",
        "MAAS_API_HOSTNAME": "maas.example:8001",
        "ORCHESTRATOR_API_HOSTNAME": "orchestrator.example:8000",
        "VALID_DATA_PARTNERS": ["hospital-a", "hospital-b"],
        "VALID_AI_ENGINE_FUNCTIONALITIES": ["training_from_scratch", "merging_models"],
        "VALID_AI_ENGINE_ROLE_TYPES": ["classifier", "segmenter"],
        "VALID_AI_ENGINE_DATA_TYPES": ["tabular", "imagery"],
        "VALIDATE_WITH_MAAS": False,
        "CENTRAL_NODE_LABEL_KEY": "role.example/kind",
        "CENTRAL_NODE_LABEL_VALUE": "main",
        "FEDERATED_MAX_MODEL_KILOBYTES": 1024,
        "PROCESSOR_RESOURCE_MANAGER_VERSION": "1.2.3",
        "PROCESSOR_RESOURCE_MANAGER_API_HOST": "127.0.0.1:9000",
        "PROCESSOR_RESOURCE_MANAGER_CALLBACK_URL": "/callback",
        "FEDERATED_LEARNING_MANAGER_VERSION": "3.2.1",
        "AI_ENGINE_CONFIG_MAP_NAME": "ai-engine-platform-vars",
        "AI_ENGINE_API_HOST": "127.0.0.1:9001",
        "AI_ENGINE_API_URLS": {"api_ping_url": "/ping", "api_run_url": "/run", "api_end_url": "/end"},
        "AI_ENGINE_PATHS": {name.lower(): value for name, value in PATHS.items()},
    }
    assert read(*expected, **FIELD) == expected


def test_the_log_has_the_level_of_either_name(read) -> None:
    assert read("LOGGING", LOGLEVEL="warning", **GIVEN)["LOGGING"]["root"]["level"] == "WARNING"


def test_the_parts_of_a_database_are_taken_as_they_are(read) -> None:
    database = read("DATABASES", **FIELD)["DATABASES"]["default"]

    assert {name: database[name] for name in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "orchestrator",
        "USER": "operator",
        "PASSWORD": "p@ss/w#rd %41",
        "HOST": "database.example",
        "PORT": 5433,
    }


def test_without_a_database_it_is_sqlite_with_a_warning(read, tmp_path) -> None:
    without = {name: value for name, value in FIELD.items() if name not in DATABASE}

    assert read("DATABASES", **without)["DATABASES"]["default"]["NAME"] == str(tmp_path / "orchestrator.sqlite3")
    assert any("SQLite" in note for note in Environment(without).notes)
    assert not any("SQLite" in note for note in Environment(FIELD).notes)


def test_development_is_sqlite_whatever_the_parts_say(read, tmp_path) -> None:
    given = {**FIELD, "DEBUG": "T"}

    assert read("DATABASES", **given)["DATABASES"]["default"]["NAME"] == str(tmp_path / "orchestrator.sqlite3")
    assert any("DATABASE_NAME" in note for note in Environment(given).notes)


def test_sqlite_may_be_named_by_its_parts(read, tmp_path) -> None:
    given = {"DATABASE_ENGINE": "sqlite3", "DATABASE_NAME": str(tmp_path / "o #1 ü.db")}

    assert read("DATABASES", **GIVEN, **given)["DATABASES"]["default"]["NAME"] == given["DATABASE_NAME"]


@pytest.mark.parametrize(
    ("ours", "value", "theirs", "other"),
    [
        ("LOG_LEVEL", "INFO", "LOGLEVEL", "debug"),
        ("CENTRAL_NODE_LABEL_KEY", "nodeType", "PLATFORM_CENTRAL_NODE_LABEL_KEY", "type"),
        ("CENTRAL_NODE_LABEL_VALUE", "central", "PLATFORM_CENTRAL_NODE_LABEL_VALUE", "main"),
        ("ARGO_NAMESPACE", "argo", "ARGO_WORKFLOWS_NAMESPACE", "workflows"),
        ("FEDERATED_ADAPTER", "database", "COMMUNICATION_ADAPTER", "kafka"),
        ("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", "a:1", "KAFKA_BOOTSTRAP_SERVERS", "b:1"),
        ("FEDERATED_MAX_MODEL_KILOBYTES", "1", "KAFKA_MAX_MODEL_SIZE", "2"),
        ("AI_ENGINE_INPUT_MODEL", "/a/", "AI_ENGINE_PLATFORM_VARS_INPUT_MODEL", "/b/"),
        ("AI_ENGINE_API_HOST", "a:1", "AI_ENGINE_PLATFORM_VARS_API_HOST", "b:1"),
    ],
)
def test_two_names_with_different_values_are_an_error_that_names_both(
    ours: str, value: str, theirs: str, other: str
) -> None:
    with pytest.raises(WrongSettings) as caught:
        Environment({**GIVEN, "DATABASE_URL": "sqlite:////o.db", ours: value, theirs: other})

    assert any(f"{ours}=" in fault and f"{theirs}=" in fault for fault in caught.value.faults)


def test_two_names_with_the_same_value_are_none() -> None:
    assert Environment({**GIVEN, "LOG_LEVEL": "INFO", "LOGLEVEL": "info"}).str("LOG_LEVEL") == "INFO"


def test_two_databases_are_an_error_without_a_password() -> None:
    url = "postgres://operator:hunter2@database.example:5433/orchestrator"
    with pytest.raises(WrongSettings) as caught:
        Environment({**GIVEN, **DATABASE, "DATABASE_URL": url})

    (fault,) = caught.value.faults
    assert "DATABASE_URL" in fault
    assert "DATABASE_PASSWORD" in fault
    assert "hunter2" not in fault
    assert DATABASE["DATABASE_PASSWORD"] not in fault


def test_a_database_named_twice_the_same_is_one(read) -> None:
    url = "postgres://operator:p%40ss%2Fw%23rd%20%2541@database.example:5433/orchestrator"

    assert read("DATABASES", **{**FIELD, "DATABASE_URL": url})["DATABASES"]["default"]["HOST"] == "database.example"


def test_what_kubernetes_sets_for_a_service_named_database_is_no_part_of_one() -> None:
    assert Environment({**GIVEN, "DATABASE_PORT": "tcp://10.0.0.9:5432"}).database is None


def test_names_that_are_left_empty_say_nothing(read) -> None:
    empty = dict.fromkeys((*DATABASE, "LOGLEVEL", "COMMUNICATION_ADAPTER", "KAFKA_BOOTSTRAP_SERVERS"), "")

    found = read("ENGINE", "FEDERATED_ADAPTER", **GIVEN, **empty, ARGO_WORKFLOWS_NAMESPACE="")
    assert found == {"ENGINE": "local", "FEDERATED_ADAPTER": "database"}


def test_our_own_name_left_empty_says_nothing_beside_theirs() -> None:
    given = {"ARGO_NAMESPACE": "", "ARGO_WORKFLOWS_NAMESPACE": "workflows"}

    assert Environment({**GIVEN, **given}).str("ARGO_NAMESPACE") == "workflows"


def test_what_sqlite_does_not_use_is_told() -> None:
    given = {"DATABASE_ENGINE": "sqlite3", "DATABASE_NAME": "/srv/o.db", "DATABASE_HOST": "database.example"}

    assert any(note.startswith("DATABASE_HOST:") for note in Environment({**GIVEN, **given}).notes)


@pytest.mark.parametrize("name", ["ARGO_WORKFLOWS_API_HOST", "MEDIA_URL"])
def test_what_a_name_does_not_do_is_told(name: str) -> None:
    assert [note for note in Environment(FIELD).notes if note.startswith(name)]


def test_nothing_of_it_is_told_as_unknown() -> None:
    assert not [note for note in Environment(FIELD).notes if "did you mean" in note]


def test_where_pods_of_a_cluster_find_the_api_has_to_be_said() -> None:
    without = {name: value for name, value in FIELD.items() if name != "ORCHESTRATOR_API_HOSTNAME"}

    assert any("ORCHESTRATOR_API_HOSTNAME" in note for note in Environment(without).notes)


def test_the_service_takes_such_an_environment(tmp_path) -> None:
    """Engine and adapter are made of it: Django's checks find nothing wrong."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    own = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env=own | {name: value for name, value in FIELD.items() if name not in DATABASE},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "SQLite" in done.stderr
    assert "ARGO_WORKFLOWS_API_HOST" in done.stderr


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: none}}]
"""
