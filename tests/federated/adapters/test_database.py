from __future__ import annotations

import pytest

from federated.adapters.base import ChannelAdapter, ChannelSpec
from federated.adapters.database import DatabaseAdapter
from runs.models import WorkflowRun
from runs.services import run_create
from tests.federated.adapters.contract import AdapterContract
from web.grants import WorkflowGrant, issue_token

pytestmark = pytest.mark.django_db(transaction=True)


class TestDatabaseAdapter(AdapterContract):
    @pytest.fixture
    def adapter(self, live_server) -> ChannelAdapter:
        return DatabaseAdapter("database", {"api": live_server.url})

    def token(self, spec: ChannelSpec) -> str:
        name = f"execution-{spec.owner_id}-1-abcdef"
        if not WorkflowRun.objects.filter(name=name).exists():
            run_create(owner_kind="execution", owner_id=spec.owner_id, name=name, manifest={})
        return issue_token(WorkflowGrant(spec.owner_kind, spec.owner_id, spec.attempt, name), spec.ends_at)


@pytest.mark.parametrize("options", [{"api": "127.0.0.1:8900"}])
def test_an_address_without_its_scheme_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be an HTTP address"):
        DatabaseAdapter("database", options)
