"""Make a token of a user and print it once."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from orchestrator_api.tokens import token_create


class Command(BaseCommand):
    help = "Make a token of a user and print it. The token is not shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--days", type=int, default=settings.API_TOKEN_LIFETIME_DAYS, help="days until the token expires"
        )
        parser.add_argument("--print-only", action="store_true", help="print the token and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"The user {options['user']!r} does not exist.")
        if not 1 <= options["days"] <= 3650:
            raise CommandError("--days must be between 1 and 3650.")
        token, text = token_create(user=user, name=options["name"], lifetime=timedelta(days=options["days"]))
        self.stdout.write(text)
        if not options["print_only"]:
            self.stderr.write(f"Token {token.pk} is valid until {token.expires_at:%Y-%m-%d}. It is not shown again.")
