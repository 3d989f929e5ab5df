"""Each kind of storage, held to the same contract; the object store is a real server of its protocol, over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import boto3
import pytest
from django.core.files.storage import default_storage
from moto.server import ThreadedMotoServer

from orchestrator_api.storages import storages_from_url
from tests.orchestrator_api.storage_contract import StorageContract


class TestFileSystem(StorageContract):
    @pytest.fixture
    def storage(self) -> None:
        """Keep what the settings of the tests say."""


@pytest.fixture(scope="module")
def object_store() -> Iterator[str]:
    """The address of an empty object store."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestObjectStore(StorageContract):
    @pytest.fixture
    def storage(self, object_store, settings, request) -> None:
        bucket = f"bucket-{abs(hash(request.node.nodeid))}"
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=object_store, **keys)
        client.create_bucket(Bucket=bucket)
        client.close()
        settings.STORAGES = storages_from_url(
            f"s3://key:secret@{bucket}/files?endpoint_url={object_store}&region_name=us-east-1"
        )

    def test_only_the_range_is_fetched(self, api, model):
        asked = []

        def note(request, **_kwargs):
            asked.append(request.headers.get("Range"))

        default_storage.connection.meta.client.meta.events.register("before-send.s3.GetObject", note)
        self.ask(api, model, range="bytes=3-9")

        assert asked == [b"bytes=3-9"]
