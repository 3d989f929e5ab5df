"""A runner for each test, closed at its end."""

import pytest

from tests.engines.local.processes.world import World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.runner.close_all()
