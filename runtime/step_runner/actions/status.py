"""Actions that report an execution's state to the orchestrator."""

from dataclasses import dataclass

from runtime.step_runner.action import Action, Context


@dataclass(frozen=True)
class UpdateToRunning(Action):
    """Report that the execution is running."""

    name = "update_to_running"
    update_status_url: str

    def run(self, context: Context) -> None:
        """Send the PATCH."""
        context.calls.send_data("PATCH", self.update_status_url, {})


@dataclass(frozen=True)
class UpdateToFailed(Action):
    """Report that the execution failed, and why."""

    name = "update_to_failed"
    update_status_url: str
    message: str

    def run(self, context: Context) -> None:
        """Send the PATCH."""
        context.calls.send_data("PATCH", self.update_status_url, {"message": self.message})
