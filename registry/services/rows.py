"""What the services of all resources share: finding rows, and explaining refusals of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError
from django.db.models import Model, ProtectedError, QuerySet
from rest_framework.exceptions import PermissionDenied

from registry.authors import Author
from registry.models import Registered
from registry.rules import data_digest
from registry.shapes import MAX_ID
from web.errors import Conflict, Fault, InvalidInput, NotFound

RACE_TRIES = 3
_NAMED = 5
_M = TypeVar("_M", bound=Model)


def found(rows: QuerySet[_M], row_id: int) -> _M:
    """Return the row with an id. Raises NotFound."""
    try:
        return rows.get(pk=row_id)
    except ObjectDoesNotExist as error:
        raise NotFound(f"There is no {rows.model._meta.verbose_name} {row_id}.") from error


def refuse(faults: Iterable[Fault]) -> None:
    """Raise InvalidInput if there are faults, each of them once."""
    unique = tuple(dict.fromkeys(faults))
    if unique:
        raise InvalidInput(faults=unique)


def reference_faults(data: Mapping[str, Any], field: str, model: type[Model]) -> list[Fault]:
    """Return a fault if a field holds an id that no row has; values of other types are left to the shape."""
    row_id = data.get(field)
    if not is_id(row_id) or model._default_manager.filter(pk=row_id).exists():
        return []
    return [Fault(f"/data/{field}", f"refers to {model._meta.verbose_name} {row_id}, which does not exist")]


def duplicate_faults(rows: QuerySet[_M], key: Mapping[str, Any] | None, words: str) -> list[Fault]:
    """Return a fault at the key's first field if a row has this key; None is a key with other faults."""
    if key is None:
        return []
    row = rows.filter(**key).only("pk").first()
    return [Fault(f"/data/{next(iter(key))}", words.format(id=row.pk))] if row is not None else []


def is_id(value: object) -> bool:
    """Return whether a value can be the id of a row."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID


def patients_columns(patients: Mapping[str, list[Any]] | None) -> dict[str, Any]:
    """Return the columns for checked data_partners_patients; ids are stored as strings."""
    kept = {partner: [str(patient) for patient in ids] for partner, ids in (patients or {}).items()}
    return {"data_partners_patients": kept, "data_hash": data_digest(kept)}


def patients_digest(patients: object) -> str | None:
    """Return the digest of data_partners_patients, or None if the value is not one."""
    if patients is None:
        return data_digest({})
    if not isinstance(patients, dict) or not all(isinstance(ids, list) for ids in patients.values()):
        return None
    return data_digest(patients)


@contextmanager
def explained(faults: Callable[[], list[Fault]]) -> Iterator[None]:
    """Turn the refusal of a database constraint into its fault; put it around the transaction.

    `faults` asks the database again: another request wrote between the check and the write.
    """
    try:
        yield
    except IntegrityError as error:
        refuse(faults())
        raise Conflict("Another request has just changed a resource that this one refers to; try again.") from error


@contextmanager
def unless_used(row: Model, users: Callable[[], QuerySet[Any]]) -> Iterator[None]:
    """Turn a refused deletion into a Conflict that names the users of the row; put it around the transaction."""
    try:
        yield
    except (ProtectedError, IntegrityError) as error:
        kind = row._meta.verbose_name
        rows = list(users().order_by("pk")[: _NAMED + 1])
        names = ", ".join(f"{used._meta.verbose_name} {used.pk} ({used})" for used in rows[:_NAMED])
        more = " and others" if len(rows) > _NAMED else ""
        raise Conflict(
            f"This {kind} is still used by {names or 'a new resource'}{more}. Delete these first."
        ) from error


def refuse_foreign(row: Registered, author: Author) -> None:
    """Raise PermissionDenied if an author may change and delete only its own rows and this row is not its own."""
    if is_foreign(row, author):
        kind = row._meta.verbose_name
        raise PermissionDenied(
            f"The {kind} {row.pk} was not created by this execution: a Workflow may change and delete only what its "
            "own execution created."
        )


def is_foreign(row: Registered, author: Author) -> bool:
    """Return whether an author may change only its own rows and this row is not its own."""
    return author.owns_only and row.created_by != author.name
