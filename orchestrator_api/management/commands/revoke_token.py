"""Revoke tokens, by id or all of a user's."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_revoke


class Command(BaseCommand):
    help = "Revoke tokens, by id or all of a user's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", type=int, metavar="id")
        parser.add_argument("--user", help="revoke every token of this user")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["ids"]) == bool(options["user"]):
            raise CommandError("Give either ids or --user.")
        tokens = ApiToken.objects.all()
        if options["user"]:
            tokens = tokens.filter(user__username=options["user"])
        else:
            tokens = tokens.filter(pk__in=options["ids"])
            if unknown := set(options["ids"]) - set(tokens.values_list("pk", flat=True)):
                raise CommandError("Unknown tokens: " + ", ".join(map(str, sorted(unknown))) + ".")
        self.stdout.write(f"Tokens revoked: {token_revoke(tokens=tokens)}")
