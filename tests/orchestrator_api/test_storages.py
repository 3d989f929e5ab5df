import pytest

from orchestrator_api.storages import storages_from_url


def test_files_are_kept_in_the_file_system_unless_told_otherwise():
    assert storages_from_url("")["default"]["BACKEND"].endswith("FileSystemStorage")


def test_an_object_store_by_url():
    url = "s3://key:se%2Fcret@bucket/some/prefix?endpoint_url=https://minio.example:9000&region_name=eu-1"
    storage = storages_from_url(url)["default"]
    assert storage["BACKEND"] == "web.objectstore.ObjectStorage"
    options = storage["OPTIONS"]
    assert (options["bucket_name"], options["location"]) == ("bucket", "some/prefix")
    assert (options["access_key"], options["secret_key"]) == ("key", "se/cret")
    assert (options["endpoint_url"], options["region_name"]) == ("https://minio.example:9000", "eu-1")
    assert options["file_overwrite"] is False


def test_without_a_key_the_sdk_finds_its_own():
    assert "access_key" not in storages_from_url("s3://bucket")["default"]["OPTIONS"]


@pytest.mark.parametrize("url", ["ftp://bucket", "bucket", "s3://"])
def test_another_url_is_refused(url):
    with pytest.raises(ValueError, match="STORAGE_URL"):
        storages_from_url(url)
