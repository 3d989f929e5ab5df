"""What every test may use."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

pytest_plugins = ["tests.services.fixtures"]


@pytest.fixture
def person(db) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def api(person) -> APIClient:
    """A client of the HTTP API, authenticated as a person."""
    client = APIClient()
    client.force_authenticate(person)
    return client


@pytest.fixture(autouse=True)
def own_media(settings, tmp_path):
    """Give each test a storage of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"
