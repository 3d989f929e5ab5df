"""The parts around the pods that every shipped Workflow has: entry point, exit handler, clean-up."""

from __future__ import annotations

from collections.abc import Sequence

from hera.workflows import Container, ContainerSet, Workflow
from hera.workflows.models import (
    Arguments,
    Artifact,
    ParallelSteps,
    Template,
    TTLStrategy,
    WorkflowStep,
)

from templates.actions import update_to_failed
from templates.pods import ERROR_MESSAGE, RETRY_ALWAYS, step_runner_pod

ENTRYPOINT = "main"
SERVICE_ACCOUNT = "argo-workflow"
SECONDS_AFTER_SUCCESS = 100
SECONDS_AFTER_FAILURE = 1200


def step(template: str, artifacts: dict[str, str] | None = None) -> WorkflowStep:
    """Return a step named after its template; `artifacts` maps its input artifacts to their sources."""
    given = [Artifact(name=name, from_=source) for name, source in (artifacts or {}).items()]
    return WorkflowStep(name=template, template=template, arguments=Arguments(artifacts=given) if given else None)


def workflow(
    name: str, groups: Sequence[Sequence[WorkflowStep]], templates: Sequence[Container | ContainerSet]
) -> Workflow:
    """Build a Workflow of groups of steps, one group after the other, the steps of a group side by side."""
    main = Template(name=ENTRYPOINT, steps=[ParallelSteps(root=list(group)) for group in groups])
    return workflow_of(name, main, templates)


def workflow_of(name: str, main: Template, templates: Sequence[Container | ContainerSet]) -> Workflow:
    """Build a Workflow around its entry point, which is named `ENTRYPOINT`, and the templates that it calls."""
    exit_step = WorkflowStep(name="report-failure", template="report-failure", when="{{workflow.status}} != Succeeded")
    message = f"{{{{workflow.outputs.parameters.{ERROR_MESSAGE}}}}}"
    return Workflow(
        generate_name=f"{name}-",
        service_account_name=SERVICE_ACCOUNT,
        entrypoint=ENTRYPOINT,
        on_exit="exit-handler",
        ttl_strategy=TTLStrategy(
            seconds_after_success=SECONDS_AFTER_SUCCESS, seconds_after_failure=SECONDS_AFTER_FAILURE
        ),
        templates=[
            main,
            *templates,
            Template(name="exit-handler", steps=[ParallelSteps(root=[exit_step])]),
            step_runner_pod(
                name="report-failure",
                actions=[update_to_failed(message)],
                retry=RETRY_ALWAYS,
                reports_error=False,
            ),
        ],
    )
