"""Make a fresh or updated installation ready to serve: tables, shipped Schemas, an administrator, tokens."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

from orchestrator_api.privacy import keep_private
from orchestrator_api.tokens import token_create, token_use
from web.errors import InvalidToken

_LIFETIME = timedelta(days=365)


class Command(BaseCommand):
    help = "Apply migrations, load the shipped Schemas, make an administrator and the requested tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--admin-token", type=Path, help="the file for a token of the user `admin`")
        parser.add_argument("--registry-token", type=Path, help="the file for the service's own token")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        database = Path(connection.settings_dict["NAME"]) if connection.vendor == "sqlite" else None
        for path in keep_private(settings.DATA_DIR, database):
            self.stderr.write(f"{path} belongs to another user, and other users can read it.")
        call_command("load_schemas", stdout=self.stdout)
        if path := options["admin_token"]:
            self._keep_token(path, _user("admin", is_staff=True, is_superuser=True), "first start")
        if path := options["registry_token"]:
            self._keep_token(path, _user("orchestrator"), "the orchestrator's own calls to the registry")

    def _keep_token(self, path: Path, user: User, name: str) -> None:
        """Leave a valid token in the file; a token that is still valid stays."""
        try:
            token_use(text=path.read_text().strip())
        except (FileNotFoundError, InvalidToken):
            _, text = token_create(user=user, name=name, lifetime=_LIFETIME)
            _write_secret(path, text)
            self.stdout.write(f"A new token of {user.username} is in {path}")


def _user(name: str, **rights: bool) -> User:
    """Return the user of a name, made without a password where it does not exist."""
    user, is_new = User.objects.get_or_create(username=name, defaults=rights)
    if is_new:
        user.set_unusable_password()
        user.save()
    return user


def _write_secret(path: Path, text: str) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    unfinished.replace(path)
