import pytest
from rest_framework.test import APIClient

from web.grants import WorkflowGrant


@pytest.fixture
def workflow() -> APIClient:
    """A client authenticated by the callback token of execution 7's Workflow."""
    client = APIClient()
    client.force_authenticate(token=WorkflowGrant("execution", 7, attempt=1, name="execution-7-1-abcdef"))
    return client
