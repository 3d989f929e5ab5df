"""Variables are read by the table: every fault at once, each on one line, by name, value and what is expected."""

from __future__ import annotations

import pytest

from orchestrator_api.environment.reading import Environment, WrongSettings

GIVEN = {"SECRET_KEY": "x" * 60, "ALLOWED_HOSTS": "orchestrator.example", "DATABASE_URL": "sqlite:////srv/o.sqlite3"}


def faults(**given: str) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        Environment({**GIVEN, **given})
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOCAL_ENGINE_IMAGES", "{bad", "a JSON object"),
        ("LOCAL_ENGINE_IMAGES", "[1]", "a JSON object"),
        ("DATABASE_URL", "foo", "postgres://user:password@host:5432/name"),
        ("EXECUTION_DEADLINE_SECONDS", "soon", "a whole number from 1"),
        ("EXECUTION_DEADLINE_SECONDS", "0", "a whole number from 1"),
        ("EXECUTION_DEADLINE_SECONDS", "1e3", "a whole number"),
        ("EXECUTION_DEADLINE_SECONDS", "99999999999", "a whole number"),
        ("LOG_LEVEL", "chatty", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOGLEVEL", "chatty", "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOG_FORMAT", "xml", "json or text"),
        ("LOCAL_ENGINE_MAX_PODS", "-1", "a whole number from 0"),
        ("VALID_DATA_PARTNERS", "", "names of data partners"),
        ("VALID_DATA_PARTNERS", " , ", "names of data partners"),
        ("HTTPS_ONLY", "perhaps", "true or false"),
        ("CLIENT_READ_SECONDS", "nan", "a number above 0"),
        ("CLIENT_READ_SECONDS", "inf", "a number above 0"),
        ("ARGO_BURST", "", "a whole number"),
        ("ENGINE", "kubernetes", "local or argo"),
        ("FEDERATED_ADAPTER", "carrier pigeon", "database or kafka"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker", "host:port"),
        ("KAFKA_MAX_MODEL_SIZE", "50MB", "a whole number"),
        ("ORCHESTRATOR_API_HOSTNAME", "http://orchestrator:8900", "host or host:port"),
        ("AI_ENGINE_API_HOST", "127.0.0.1", "host:port"),
        ("AI_ENGINE_API_HOST", "127.0.0.1:70000", "host:port"),
        ("ARGO_WORKFLOWS_NAMESPACE", "My Namespace", "the name of a namespace"),
        ("PLATFORM_CENTRAL_NODE_LABEL_KEY", "no label!", "the key of a label"),
        ("LOCAL_ENGINE_RUN_DISK", "lots", "a Kubernetes quantity"),
        ("BIND", "8900", "host:port"),
        ("WEB_WORKERS", "many", "a whole number"),
        ("ALLOWED_IMAGES", "*/anything", "images as registry/name:tag"),
        ("CSRF_TRUSTED_ORIGINS", "orchestrator.example", "origins with scheme"),
        ("DATABASE_ENGINE", "mysql", "postgresql or sqlite3"),
        ("DATABASE_PORT", "high", "a whole number from 1 to 65535"),
        ("MANIFEST_ALLOWED_FIELDS", '{"spec": null}', "a JSON object"),
        ("DATA_PARTNER_PATHS", '{"data-partner-1": "/srv"}', "a JSON object"),
        ("ARGO_KUBECONFIG", "/nowhere/config", "the path of a kubeconfig that can be read"),
        ("FEDERATED_KAFKA_CA_FILE", "/etc/hostname", "a PEM file with certificates"),
        ("DATA_DIR", "/tmp/" + "x" * 300, "a writable folder"),
        ("ARGO_INSTANCE_ID", "orchestrator-preparing", "the value of a label"),
        ("FEDERATED_KAFKA_REPLICATION_FACTOR", "0", "-1 or a whole number from 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_is_expected(name: str, value: str, expected: str) -> None:
    (fault,) = faults(**{name: value})

    # Of JSON what stands before the first colon is shown.
    assert fault.startswith(f"{name}={value.partition(':')[0] if value.startswith('{') else value[:60]}")
    assert expected in fault
    assert len(fault.splitlines()) == 1


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(LOG_LEVEL="chatty", WEB_THREADS="0", SECRET_KEY="")) == 3


def test_a_value_stays_on_its_line_and_short() -> None:
    (fault,) = faults(LOG_LEVEL="chatty\nLOG_LEVEL=fine\u2028\x1b[2J" + "y" * 10_000)

    assert fault.isprintable()
    assert len(fault) < 300


def test_what_is_missing_is_named_in_one_line() -> None:
    with pytest.raises(WrongSettings) as caught:
        Environment({"COMMUNICATION_ADAPTER": "kafka", "DATABASE_ENGINE": "postgresql"})

    (fault,) = caught.value.faults
    needed = ("SECRET_KEY", "ALLOWED_HOSTS", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_NAME", "DATABASE_HOST")
    assert all(name in fault for name in needed)


def test_a_process_that_answers_callers_needs_a_name() -> None:
    with pytest.raises(WrongSettings, match="ALLOWED_HOSTS"):
        Environment({**GIVEN, "ALLOWED_HOSTS": ""}, serves=True)
    assert any("ALLOWED_HOSTS" in note for note in Environment({**GIVEN, "ALLOWED_HOSTS": ""}).notes)


@pytest.mark.parametrize("hosts", ["https://orchestrator.example", "orchestrator.example:8900"])
def test_a_host_that_matches_nobody_is_a_warning(hosts: str) -> None:
    assert any(hosts in note for note in Environment({**GIVEN, "ALLOWED_HOSTS": hosts}).notes)


@pytest.mark.parametrize("hosts", ["orchestrator.example, localhost", "[::1]", ".example", "*"])
def test_a_host_that_is_one_is_none(hosts: str) -> None:
    assert Environment({**GIVEN, "ALLOWED_HOSTS": hosts}).notes == []


def test_lists_may_have_spaces() -> None:
    assert Environment({**GIVEN, "VALID_DATA_PARTNERS": "a, b ,,a"}).list("VALID_DATA_PARTNERS") == ["a", "b"]


@pytest.mark.parametrize("word", ["yes", "TRUE", "t", "Y", "1", " true "])
def test_words_of_development(word: str) -> None:
    assert Environment({"DEBUG": word}).bool("DEBUG") is True


@pytest.mark.parametrize("word", ["no", "False", "0", "off", "", "on", "maybe"])
def test_every_other_word_is_production(word: str) -> None:
    found = Environment({**GIVEN, "DEBUG": word})

    assert found.bool("DEBUG") is False
    assert any("DEBUG" in note for note in found.notes) == (word in ("on", "maybe"))


def test_a_secret_is_taken_as_it_is() -> None:
    """Not as the name of another variable, which would then be told to be missing."""
    assert Environment({**GIVEN, "SECRET_KEY": "$ecret"}).str("SECRET_KEY") == "$ecret"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"DATA_PARTNER_PATHS": '{"elsewhere": ["/srv"]}'}, "elsewhere is not one of VALID_DATA_PARTNERS"),
        ({"DATA_PARTNER_CLAIMS": '{"elsewhere": {"/a": "b"}}'}, "elsewhere is not one of VALID_DATA_PARTNERS"),
        ({"LOCAL_ENGINE": "false"}, "LOCAL_ENGINE=false"),
        ({"FEDERATED_ADAPTER": "kafka"}, "FEDERATED_KAFKA_BOOTSTRAP_SERVERS"),
        ({"STATIC_ROOT": "/srv", "DATA_DIR": "/srv/data"}, "STATIC_ROOT=/srv"),
        ({"STATIC_ROOT": "/"}, "STATIC_ROOT=/"),
        ({"MEDIA_URL": "/static/"}, "MEDIA_URL=static"),
        ({"STATIC_ROOT": "/pub", "DATABASE_URL": "sqlite:////pub/o.sqlite3"}, "STATIC_ROOT=/pub"),
        ({"STATIC_ROOT": "/srv/media/static", "MEDIA_ROOT": "/srv/media"}, "STATIC_ROOT=/srv/media/static"),
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "FEDERATED_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
            "FEDERATED_KAFKA_USERNAME",
        ),
    ],
)
def test_settings_that_cannot_go_together(given: dict[str, str], words: str) -> None:
    (fault,) = faults(**given)

    assert words in fault


@pytest.mark.parametrize(("word", "level"), [("info", "INFO"), ("Warn", "WARNING"), ("FATAL", "CRITICAL")])
def test_levels_are_those_that_logging_knows(word: str, level: str) -> None:
    assert Environment({**GIVEN, "LOGLEVEL": word}).str("LOG_LEVEL") == level
