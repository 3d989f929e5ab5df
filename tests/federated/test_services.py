"""Channels opened and closed, with what the service keeps itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured

from federated.adapters.base import ChannelAdapter
from federated.adapters.configured import forget_adapters, get_adapter
from federated.checks import check_adapters
from federated.models import Channel
from federated.services import (
    ChannelRefused,
    ChannelSpec,
    ChannelUnavailable,
    channel_close,
    channel_open,
    manager_environment,
    secret_variables,
)
from tests.federated.conftest import make_spec

pytestmark = pytest.mark.django_db(transaction=True)


class NotingAdapter(ChannelAdapter):
    """Notes what it's told, with what the row said then; `away` makes it unavailable, `slow` closes while it opens."""

    def __init__(self, alias: str, options: dict[str, str]) -> None:
        self.alias = alias
        self.told: list[tuple[str, bool]] = []
        self.away = self.slow = False

    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        return {"COMMUNICATION_ADAPTER": self.alias}

    def secret_variables(self) -> tuple[str, ...]:
        return ("PASSWORD",)

    def open(self, spec: ChannelSpec) -> dict[str, str]:
        self._note("open", spec.id)
        if self.slow:
            channel_close(spec.id)
        return {"PASSWORD": f"secret of {spec.id}"}

    def close(self, channel_id: str) -> None:
        self._note("close", channel_id)

    def remains(self) -> dict[str, tuple[str, ...]]:
        return {}

    def _note(self, what: str, channel_id: str) -> None:
        if self.away:
            raise ChannelUnavailable("away")
        self.told.append((what, Channel.objects.get(pk=channel_id).closed_at is None))


@pytest.fixture
def adapter(settings) -> NotingAdapter:
    noting = {"class": f"{__name__}.NotingAdapter"}
    settings.FEDERATED_ADAPTERS = {"noting": noting, "other": noting}
    settings.FEDERATED_ADAPTER = "noting"
    found = get_adapter("noting")
    assert isinstance(found, NotingAdapter)
    return found


def test_the_row_is_there_before_anything_is_made_outside(adapter: NotingAdapter) -> None:
    spec = make_spec()

    assert channel_open(spec) == {"PASSWORD": f"secret of {spec.id}"}

    row = Channel.objects.get(pk=spec.id)
    assert adapter.told == [("open", True)]
    assert (row.adapter, row.owner_kind, row.owner_id, row.attempt, row.max_model_bytes) == (
        "noting",
        "execution",
        7,
        1,
        100_000,
    )
    assert (row.ends_at, row.closed_at, row.opened_at is None) == (spec.ends_at, None, False)


def test_an_opening_that_fails_leaves_the_row_that_protects_what_was_made(adapter: NotingAdapter) -> None:
    spec = make_spec()
    adapter.away = True

    with pytest.raises(ChannelUnavailable):
        channel_open(spec)

    assert Channel.objects.get(pk=spec.id).opened_at is None


def test_a_channel_is_closed_before_it_is_cleared(adapter: NotingAdapter) -> None:
    spec = make_spec()
    channel_open(spec)

    channel_close(spec.id)
    channel_close(spec.id)

    assert adapter.told == [("open", True), ("close", False)]
    assert Channel.objects.get(pk=spec.id).cleared_at is not None


def test_closing_is_finished_later_when_the_adapter_is_away(adapter: NotingAdapter) -> None:
    spec = make_spec()
    channel_open(spec)
    adapter.away = True
    with pytest.raises(ChannelUnavailable):
        channel_close(spec.id)
    row = Channel.objects.get(pk=spec.id)
    closed_at = row.closed_at
    assert (closed_at is None, row.cleared_at) == (False, None)
    adapter.away = False

    channel_close(spec.id)

    row.refresh_from_db()
    assert (row.closed_at, row.cleared_at is None) == (closed_at, False)


def test_what_never_was_opened_is_closed(adapter: NotingAdapter) -> None:
    channel_close("nobody's")

    assert adapter.told == []


def test_a_closed_channel_is_not_opened_again(adapter: NotingAdapter) -> None:
    spec = make_spec()
    channel_open(spec)
    channel_close(spec.id)

    with pytest.raises(ChannelRefused, match="is closed"):
        channel_open(spec)


def test_what_was_made_for_a_channel_that_was_closed_meanwhile_goes(adapter: NotingAdapter) -> None:
    adapter.slow = True

    with pytest.raises(ChannelRefused, match="while it was being opened"):
        channel_open(make_spec())

    assert [what for what, _ in adapter.told] == ["open", "close", "close"]


def test_a_channel_stays_with_the_adapter_it_was_opened_with(adapter: NotingAdapter, settings) -> None:
    spec = make_spec()
    channel_open(spec)
    settings.FEDERATED_ADAPTER = "other"

    channel_open(spec)
    channel_close(spec.id)

    assert [what for what, _ in adapter.told] == ["open", "open", "close"]


def test_an_adapter_that_was_taken_away_is_waited_for(adapter: NotingAdapter, settings) -> None:
    spec = make_spec()
    channel_open(spec)
    settings.FEDERATED_ADAPTERS = {}
    forget_adapters()

    for attempt in (lambda: channel_open(spec), lambda: channel_close(spec.id)):
        with pytest.raises(ChannelUnavailable, match="'noting'"):
            attempt()


def test_managers_are_told_by_the_chosen_adapter(adapter: NotingAdapter, settings) -> None:
    settings.FEDERATED_ADAPTER = "other"

    assert manager_environment(make_spec()) == {"COMMUNICATION_ADAPTER": "other"}
    assert secret_variables() == ("PASSWORD",)


@pytest.mark.parametrize(("limit", "kilobytes"), [(1024, "1"), (1025, "2"), (1, "1")])
def test_the_managers_limit_is_never_below_the_channels(limit: int, kilobytes: str) -> None:
    spec = replace(make_spec(), max_model_bytes=limit)

    assert manager_environment(spec)["COMMUNICATION_ADAPTER_MAX_MODEL_SIZE"] == kilobytes


def test_the_service_itself_is_the_default(settings) -> None:
    told = manager_environment(make_spec())

    assert told["COMMUNICATION_ADAPTER"] == "DATABASE"
    assert told["COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG"] == f"http://{settings.ORCHESTRATOR_API_HOSTNAME}"
    assert secret_variables() == ()


def test_the_settings_are_sound() -> None:
    assert check_adapters() == []


KAFKA = "federated.adapters.kafka.KafkaAdapter"
SASL = {"security_protocol": "SASL_SSL", "username": "u", "password": "p"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bootstrap_servers": ""}, "host:port"),
        ({"bootstrap_servers": "kafka:9092, kafka"}, "'kafka' is not"),
        ({"security_protocol": "TLS"}, "must be one of"),
        ({"ca_file": "/nowhere/ca.pem"}, "No such file"),
        ({"ca": "no certificate", "security_protocol": "SSL"}, "certificate"),
        ({"replication_factor": 0}, "at least 1"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"security_protocol": "SASL_SSL"}, "username and password"),
        (SASL | {"sasl_mechanism": "GSSAPI"}, "must be one of"),
        (SASL | {"sasl_mechanism": "PLAIN"}, "cannot give each channel a user"),
        (SASL | {"workflow_username": "w"}, "workflow_password is required"),
    ],
)
def test_options_of_kafka_that_can_not_be_are_found_at_the_start(settings, options, words: str) -> None:
    whole = {"bootstrap_servers": "kafka:9092", "status_retention_seconds": 1} | options
    settings.FEDERATED_ADAPTERS = {"kafka": {"class": KAFKA, "options": whole}}
    settings.FEDERATED_ADAPTER = "kafka"

    (found,) = check_adapters()

    assert found.id == "federated.E002"
    assert words in found.msg


@pytest.mark.parametrize("options", [{}, SASL, SASL | {"sasl_mechanism": "PLAIN", "workflow_username": "w"}])
def test_options_of_kafka_that_can_be_are_taken(settings, options) -> None:
    whole = {"bootstrap_servers": "kafka:9092,[::1]:9093", "status_retention_seconds": 1, "workflow_password": "p"}
    settings.FEDERATED_ADAPTERS = {"kafka": {"class": KAFKA, "options": whole | options}}
    settings.FEDERATED_ADAPTER = "kafka"

    assert check_adapters() == []


def test_an_alias_that_nobody_has_is_found(settings) -> None:
    settings.FEDERATED_ADAPTER = "pigeons"

    assert [each.id for each in check_adapters()] == ["federated.E001"]


@pytest.mark.parametrize("configuration", [{}, {"class": "federated.nowhere.Adapter"}])
def test_a_class_that_is_not_there_is_found(settings, configuration) -> None:
    settings.FEDERATED_ADAPTERS = {**settings.FEDERATED_ADAPTERS, "broken": configuration}

    assert [each.id for each in check_adapters()] == ["federated.E002"]
    with pytest.raises(ImproperlyConfigured):
        get_adapter("broken")
