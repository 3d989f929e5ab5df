"""Actions that drive the AI engine beside the step runner."""

from dataclasses import dataclass

from runtime.linkage import AIEngineLinkage
from runtime.step_runner.action import Action, Context


@dataclass(frozen=True)
class PingAIEngine(Action):
    """Wait until the AI engine answers."""

    name = "ping_ai_engine"
    client_host: str
    ping_url: str
    max_initialization_time: float

    def run(self, context: Context) -> None:
        """Ping until it answers 200."""
        with AIEngineLinkage(self.client_host, self.ping_url) as engine:
            engine.wait_until_ready(self.max_initialization_time)


@dataclass(frozen=True)
class RunAIEngine(Action):
    """Run a use case and wait for its end."""

    name = "run_ai_engine"
    use_case: str
    client_host: str
    server_host: str
    ping_url: str
    run_url: str
    callback_url: str
    max_iteration_time: float
    max_initialization_time: float

    def run(self, context: Context) -> None:
        """Wait until the AI engine is ready, run the use case and wait for the callback."""
        with AIEngineLinkage(self.client_host, self.ping_url) as engine:
            engine.wait_until_ready(self.max_initialization_time)
            engine.run(
                run_url=self.run_url,
                use_case=self.use_case,
                server_host=self.server_host,
                callback_url=self.callback_url,
                max_iteration_time=self.max_iteration_time,
            )


@dataclass(frozen=True)
class EndAIEngine(Action):
    """End the AI engine."""

    name = "end_ai_engine"
    client_host: str
    ping_url: str
    end_url: str
    max_finalization_time: float
    max_finalization_retries: int

    def run(self, context: Context) -> None:
        """Ask it to exit and wait until it has."""
        with AIEngineLinkage(self.client_host, self.ping_url) as engine:
            engine.end(
                end_url=self.end_url,
                max_finalization_time=self.max_finalization_time,
                max_finalization_retries=self.max_finalization_retries,
            )
