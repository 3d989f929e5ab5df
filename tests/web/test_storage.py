import errno

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.fields.files import FieldFile

from web.errors import StorageFull
from web.storage import delete_after_commit, is_same_file, save, stored_files

FIELD = models.FileField(upload_to="models")
FIELD.set_attributes_from_name("contents")


class Row:
    contents = ""


def field_file() -> FieldFile:
    return FieldFile(Row(), FIELD, "")


class BrokenFile(ContentFile):
    """Gives one chunk, then fails as a full disk does."""

    def chunks(self, chunk_size=None):
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")


def names() -> list[str]:
    return default_storage.listdir("models")[1] if default_storage.exists("models") else []


def test_a_file_stays_when_the_block_ends_well():
    file = field_file()
    with stored_files():
        save(file, "contents.zip", ContentFile(b"abc"))
    assert file.instance.contents == file.name
    with default_storage.open(file.name) as content:
        assert content.read() == b"abc"


def test_two_files_of_one_name_are_two_files():
    first, second = field_file(), field_file()
    with stored_files():
        save(first, "contents.zip", ContentFile(b"1"))
        save(second, "contents.zip", ContentFile(b"2"))
    assert first.name != second.name


def test_files_go_when_the_block_raises():
    with pytest.raises(ValueError), stored_files():
        save(field_file(), "contents.zip", ContentFile(b"abc"))
        raise ValueError
    assert names() == []


def test_files_of_an_inner_block_go_with_the_outer():
    with pytest.raises(ValueError), stored_files():
        with stored_files():
            save(field_file(), "contents.zip", ContentFile(b"abc"))
        raise ValueError
    assert names() == []


def test_a_full_disk_leaves_no_half_file():
    with pytest.raises(StorageFull), stored_files():
        save(field_file(), "first.zip", ContentFile(b"abc"))
        save(field_file(), "contents.zip", BrokenFile(b""))
    assert names() == []


def test_a_name_of_any_length_can_be_stored():
    file = field_file()
    with stored_files():
        save(file, "é" * 300 + ".zip", ContentFile(b"abc"))
    assert len(file.name) <= 100
    assert file.name.endswith(".zip")


def test_saving_outside_of_a_block_is_a_mistake():
    with pytest.raises(RuntimeError):
        save(field_file(), "contents.zip", ContentFile(b"abc"))


@pytest.mark.django_db(transaction=True)
def test_a_deletion_waits_for_the_commit():
    file = field_file()
    with stored_files():
        save(file, "contents.zip", ContentFile(b"abc"))
    with transaction.atomic():
        delete_after_commit(file, field_file())
        assert len(names()) == 1
    assert names() == []


@pytest.mark.django_db(transaction=True)
def test_a_deletion_is_forgotten_when_the_transaction_fails():
    file = field_file()
    with stored_files():
        save(file, "contents.zip", ContentFile(b"abc"))
    with pytest.raises(ValueError), transaction.atomic():
        delete_after_commit(file)
        raise ValueError
    assert len(names()) == 1


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (b"x" * 600_000, True),
        (b"x" * 599_999 + b"y", False),
        (b"y" + b"x" * 599_999, False),
        (b"x", False),
        (b"", False),
    ],
)
def test_whether_an_upload_is_what_is_stored(other, is_same):
    file = field_file()
    with stored_files():
        save(file, "contents.zip", ContentFile(b"x" * 600_000))
    assert is_same_file(file, ContentFile(other)) is is_same


def test_what_is_no_longer_stored_is_the_same_as_nothing():
    file = field_file()
    with stored_files():
        save(file, "contents.zip", ContentFile(b"abc"))
    default_storage.delete(file.name)
    assert not is_same_file(field_file(), ContentFile(b"abc"))
    assert not is_same_file(FieldFile(Row(), FIELD, file.name), ContentFile(b"abc"))
