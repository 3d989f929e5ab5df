"""AI engines; their versions are in versions.py."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from registry.authors import Author
from registry.forms import Data, Files, ai_engine_faults, form_faults
from registry.models import AIEngine
from registry.services.rows import duplicate_faults, explained, found, refuse, unless_used
from registry.shapes import Shape, ai_engine_shape
from web.errors import Fault
from web.once import created


def ai_engine_create(*, data: Data, files: Files, author: Author) -> AIEngine:
    """Store an AI engine. Raises InvalidInput with every fault."""
    data = _shape().typed(data)
    taken = partial(_taken, data)
    refuse([*form_faults(_shape(), data, files, partial=False), *ai_engine_faults(data), *taken()])
    with explained(taken), transaction.atomic():
        engine = AIEngine.objects.create(**data, created_by=author.name)
        created(f"/api/ai_engines/{engine.pk}/")
    return engine


def ai_engine_update(*, engine_id: int, data: Data, files: Files) -> AIEngine:
    """Change the given fields of an AI engine. Raises NotFound, and InvalidInput with every fault."""
    found(AIEngine.objects.only("pk"), engine_id)
    data = _shape().typed(data)
    taken = partial(_taken, data, engine_id)
    refuse([*form_faults(_shape(), data, files, partial=True), *ai_engine_faults(data), *taken()])
    with explained(taken), transaction.atomic():
        engine = found(AIEngine.objects.select_for_update(), engine_id)
        for name, value in data.items():
            setattr(engine, name, value)
        engine.save()
    return engine


def ai_engine_delete(*, engine_id: int) -> None:
    """Delete an AI engine. Raises NotFound, and Conflict while it has versions."""
    engine = found(AIEngine.objects.all(), engine_id)
    with unless_used(engine, engine.versions.all), transaction.atomic():
        AIEngine.objects.filter(pk=engine_id).delete()


def _shape() -> Shape:
    return ai_engine_shape(settings.VALID_AI_ENGINE_ROLE_TYPES, settings.VALID_AI_ENGINE_DATA_TYPES)


def _taken(data: Data, engine_id: int = 0) -> list[Fault]:
    name: Any = data.get("name")
    key = {"name": name} if isinstance(name, str) else None
    return duplicate_faults(AIEngine.objects.exclude(pk=engine_id), key, "is already the name of AI engine {id}")
