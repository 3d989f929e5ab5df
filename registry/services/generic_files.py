"""Generic files: archives of other results of a Workflow."""

from __future__ import annotations

from django.db import transaction

from registry.authors import Author
from registry.forms import Data, Files, form_faults
from registry.models import GenericFile
from registry.services.rows import found, refuse, refuse_foreign
from registry.shapes import GENERIC_FILE
from web.once import created
from web.storage import delete_after_commit, save, stored_files


def generic_file_create(*, data: Data, files: Files, author: Author) -> GenericFile:
    """Store an archive. Raises InvalidInput with every fault."""
    refuse(form_faults(GENERIC_FILE, data, files, partial=False))
    with stored_files():
        generic_file = GenericFile(name=data["name"], created_by=author.name)
        save(generic_file.contents, "contents.zip", files["contents"])
        with transaction.atomic():
            generic_file.save(force_insert=True)
            created(f"/api/generic_files/{generic_file.pk}/")
    return generic_file


def generic_file_delete(*, file_id: int, author: Author) -> None:
    """Delete an archive. Raises NotFound and PermissionDenied."""
    generic_file = found(GenericFile.objects.all(), file_id)
    refuse_foreign(generic_file, author)
    with transaction.atomic():
        GenericFile.objects.filter(pk=file_id).delete()
        delete_after_commit(generic_file.contents)
