"""All writes to the model registry."""

from registry.services.ai_engines import (
    ai_engine_create,
    ai_engine_delete,
    ai_engine_update,
)
from registry.services.ai_models import (
    ai_model_create,
    ai_model_delete,
    ai_model_update,
    ai_model_update_or_create,
)
from registry.services.evaluation_metrics import (
    evaluation_metric_create,
    evaluation_metric_delete,
    evaluation_metric_update,
    evaluation_metric_update_or_create,
)
from registry.services.generic_files import generic_file_create, generic_file_delete
from registry.services.versions import (
    ai_engine_version_create,
    ai_engine_version_delete,
    ai_engine_version_update,
)

__all__ = [
    "ai_engine_create",
    "ai_engine_delete",
    "ai_engine_update",
    "ai_engine_version_create",
    "ai_engine_version_delete",
    "ai_engine_version_update",
    "ai_model_create",
    "ai_model_delete",
    "ai_model_update",
    "ai_model_update_or_create",
    "evaluation_metric_create",
    "evaluation_metric_delete",
    "evaluation_metric_update",
    "evaluation_metric_update_or_create",
    "generic_file_create",
    "generic_file_delete",
]
