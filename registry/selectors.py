"""Reads of the model registry, joined with what the presenters show."""

from __future__ import annotations

from django.db.models import F, Prefetch, QuerySet

from registry.models import (
    AIEngine,
    AIEngineVersion,
    AIModel,
    DefaultUserVars,
    EarlierContents,
    EvaluationMetric,
    GenericFile,
)
from web.errors import NotFound


def ai_engines() -> QuerySet[AIEngine]:
    """Return the AI engines, each with the list of its versions as `known_versions`, with their ids only."""
    versions = AIEngineVersion.objects.only("pk", "ai_engine_id").order_by("pk")
    return AIEngine.objects.prefetch_related(Prefetch("versions", versions, to_attr="known_versions"))


def ai_engine_versions() -> QuerySet[AIEngineVersion]:
    """Return the versions of AI engines, each with the list of its default user variables as `user_vars`."""
    # A list: `.all()` on the relation of each row would create a queryset each time, which is slow.
    return AIEngineVersion.objects.prefetch_related(Prefetch("default_user_vars", to_attr="user_vars"))


def ai_models() -> QuerySet[AIModel]:
    """Return the AI models, each with the id of its engine as `engine_id`."""
    return AIModel.objects.annotate(engine_id=F("ai_engine_version__ai_engine_id"))


def evaluation_metrics() -> QuerySet[EvaluationMetric]:
    """Return the evaluation metrics, each with its engine's and version's ids as `engine_id` and `version_id`."""
    return EvaluationMetric.objects.annotate(
        engine_id=F("ai_model__ai_engine_version__ai_engine_id"), version_id=F("ai_model__ai_engine_version_id")
    )


def generic_files() -> QuerySet[GenericFile]:
    """Return the generic files."""
    return GenericFile.objects.all()


def default_user_vars(*, version_id: int, functionality: str) -> DefaultUserVars:
    """Return the default user variables of a version for one functionality. Raises NotFound."""
    row = DefaultUserVars.objects.filter(version_id=version_id, functionality=functionality).first()
    if row is None:
        raise NotFound(f"There are no default user variables for {functionality} in AI engine version {version_id}.")
    return row


def files_of_model(*, model_id: int, version: int | None) -> AIModel | EarlierContents:
    """Return the row with a model's files: the model for the newest (None), or an earlier version. Raises NotFound."""
    model = AIModel.objects.filter(pk=model_id).first()
    if model is None:
        raise NotFound(f"There is no AI model {model_id}.")
    if version is None or version == model.contents_version:
        return model
    earlier = model.earlier_contents.filter(version=version).first()
    if earlier is None:
        raise NotFound(
            f"The AI model {model_id} has no version {version} of its files; the newest is {model.contents_version}."
        )
    return earlier
