"""A variable that nobody reads but that looks like a setting is told, and no other."""

from __future__ import annotations

import pytest

from orchestrator_api.environment.likeness import unknown_like_ours
from orchestrator_api.environment.table import BY_FIELD_NAME, BY_NAME

KNOWN = [*BY_NAME, *BY_FIELD_NAME]
OF_OTHERS = """
PATH HOME HOSTNAME LANG LC_ALL LOGNAME USER SHELL TERM TMPDIR PWD SHLVL _ XDG_DATA_DIRS XDG_DATA_HOME PGHOST
PGPASSWORD KUBECONFIG KUBERNETES_SERVICE_HOST POD_NAME POD_NAMESPACE NODE_NAME HOST_IP WEB_CONCURRENCY
SSL_CERT_FILE http_proxy NO_PROXY DJANGO_SETTINGS_MODULE DJANGO_SUPERUSER_PASSWORD PYTHONPATH VIRTUAL_ENV
GUNICORN_PID KAFKA_HOME KAFKA_OPTS KAFKA_HEAP_OPTS ARGO_SERVER ARGO_TOKEN ARGO_SECURE AWS_SECRET_ACCESS_KEY
MAKEFLAGS MAKELEVEL CI_DEBUG_TRACE GITHUB_TOKEN INVOCATION_ID JOURNAL_STREAM GPG_KEY PYTHON_VERSION LS_COLORS
OLDPWD DEBIAN_FRONTEND DEBUGINFOD_URLS SSH_AUTH_SOCK MAIL EDITOR DATABASE_SERVICE_HOST
DATABASE_SERVICE_PORT_PG DATABASE_PORT_5432_TCP DATABASE_PORT_5432_TCP_ADDR ORCHESTRATOR_API_SERVICE_HOST
ORCHESTRATOR_API_PORT_8900_TCP_PROTO
"""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VALID_DATA_PARTNER", "VALID_DATA_PARTNERS"),
        ("LOCAL_ENGINE_MAX_POD", "LOCAL_ENGINE_MAX_PODS"),
        ("LOCAL_ENGINE_PODS", "LOCAL_ENGINE_MAX_PODS"),
        ("SECRETKEY", "SECRET_KEY"),
        ("SECRET_KYE", "SECRET_KEY"),
        ("secret_key", "SECRET_KEY"),
        ("DJANGO_SECRET_KEY", "SECRET_KEY"),
        ("ALOWED_HOSTS", "ALLOWED_HOSTS"),
        ("DATABASE_USER", "DATABASE_USERNAME"),
        ("DATABASE_PASS", "DATABASE_PASSWORD"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("EXECUTION_DEADLINE", "EXECUTION_DEADLINE_SECONDS"),
        ("LOG_LEVELS", "LOG_LEVEL"),
        ("ARGO_WORKFLOW_NAMESPACE", "ARGO_WORKFLOWS_NAMESPACE"),
        ("KAFKA_BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("PLATFORM_CENTRAL_NODE_LABEL", "PLATFORM_CENTRAL_NODE_LABEL_KEY"),
        ("AI_ENGINE_PLATFORM_VARS_INPUT_MODELL", "AI_ENGINE_PLATFORM_VARS_INPUT_MODEL"),
        ("COMMUNICATION_ADAPTOR", "COMMUNICATION_ADAPTER"),
        ("VALIDATE_WITH_MASS", "VALIDATE_WITH_MAAS"),
    ],
)
def test_a_slip_of_the_pen_is_told(name: str, meant: str) -> None:
    (note,) = unknown_like_ours({name: "hunter2"}, KNOWN)

    assert note.startswith(f"{name} ")
    assert note.endswith(f"did you mean {meant}?")
    assert "hunter2" not in note


@pytest.mark.parametrize("name", OF_OTHERS.split())
def test_what_others_set_is_not(name: str) -> None:
    assert list(unknown_like_ours({name: "1"}, KNOWN)) == []


def test_what_kubernetes_sets_for_a_service_is_not() -> None:
    assert list(unknown_like_ours({"ORCHESTRATOR_API_PORT": "tcp://10.0.0.1:8900"}, KNOWN)) == []
