"""Who writes to the registry: a person, or a Workflow."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.request import Request

from web.grants import WorkflowGrant, grant_of


@dataclass(frozen=True)
class Author:
    """The name stored in a row; with `owns_only` the author may change and delete only rows that it created."""

    name: str
    owns_only: bool = False


def author_of(request: Request | HttpRequest) -> Author:
    """Return the author of a request."""
    grant = grant_of(request)
    return workflow_author(grant) if grant is not None else Author(request.user.get_username()[:200])


def workflow_author(grant: WorkflowGrant) -> Author:
    """Return the owner of a Workflow as an author, the same for all its attempts and roles."""
    return Author(grant.owner, owns_only=True)
