"""Refuses a second training while another one trains the same model.

The model registry identifies a model by its name, its AI engine's version and its patients, and lets no Workflow
overwrite another's model. So the later of two trainings would run to its end, and its model would then be refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.conf import settings

from executions.facts import OWNER_KIND, ExecutionRequest
from executions.models import Execution, ExecutionDataPartner, ExecutionState
from executions.registry import OUTPUT_MODEL_NAME
from runs.selectors import runs_of
from web.errors import Fault, InvalidInput

_UNDER_WAY = (ExecutionState.PENDING, ExecutionState.RUNNING)


def refuse_second_training(request: ExecutionRequest) -> None:
    """Raise InvalidInput while another execution trains the model that this one is to train.

    Call it before the registry is asked, and again inside the transaction that stores the execution, so that no other
    execution is stored in between.
    """
    other = training_under_way(request)
    if other is not None:
        detail = (
            f"is the name of the model that execution {other} trains with the same AI engine version and patients: "
            f"choose another name, or wait until execution {other} has ended"
        )
        raise InvalidInput(faults=[Fault(OUTPUT_MODEL_NAME, detail)])


def training_under_way(request: ExecutionRequest) -> int | None:
    """Return the id of a started execution that trains a model of the same name, version and patients, or None.

    Returns None if settings say not to ask the registry.
    """
    if request.output_model is None or not settings.VALIDATE_WITH_MAAS:
        return None
    named_so = Execution.objects.filter(
        state__in=_UNDER_WAY,
        output_model_name=request.output_model.name,
        ai_engines__version__in={engine.version for engine in request.engines},
    )
    started = {run.owner_id for run in runs_of(OWNER_KIND, named_so.values_list("pk", flat=True)).only("owner_id")}
    for execution_id in sorted(started):
        if _as_sets(_patients(execution_id)) == _as_sets(request.patients):
            return execution_id
    return None


def _patients(execution_id: int) -> dict[str, Sequence[str]]:
    partners = ExecutionDataPartner.objects.filter(execution=execution_id)
    return dict(partners.values_list("name", "patient_ids"))


def _as_sets(patients: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    return {partner: set(ids) for partner, ids in patients.items()}
