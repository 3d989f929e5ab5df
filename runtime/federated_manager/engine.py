"""The AI engine beside the manager, run in the background so that the channel can be watched meanwhile."""

import logging
import threading
from collections.abc import Callable

from runtime.errors import LinkageError
from runtime.federated_manager.settings import EngineSettings
from runtime.linkage import AIEngineLinkage

log = logging.getLogger(__name__)


class Job:
    """Work in a separate daemon thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ends_within(self, seconds: float | None) -> bool:
        """Return whether it ends, with or without an error, within so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> bool:
        """Return whether it has ended, after waiting at most so long; raise its error."""
        if not self.ends_within(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # raised where the result is awaited
            self._error = error


class Engine:
    """One AI engine; raises LinkageError when it fails or takes too long."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def wait_until_ready(self) -> None:
        """Ping until it answers."""
        with self._linkage() as linkage:
            linkage.wait_until_ready(self._settings.max_initialization_time)

    def start(self, use_case: str) -> Job:
        """Run a use case in the background."""
        return Job(lambda: self.run(use_case))

    def run(self, use_case: str) -> None:
        """Run a use case and wait for its end."""
        with self._linkage() as linkage:
            linkage.run(
                run_url=self._settings.run_url,
                use_case=use_case,
                server_host=self._settings.server_host,
                callback_url=self._settings.callback_url,
                max_iteration_time=self._settings.max_iteration_time,
            )

    def end(self) -> None:
        """Ask it to exit and wait until it has."""
        with self._linkage() as linkage:
            linkage.end(
                end_url=self._settings.end_url,
                max_finalization_time=self._settings.max_finalization_time,
                max_finalization_retries=self._settings.max_finalization_retries,
            )

    def end_after_failure(self) -> None:
        """Ask it to exit, since the pod runs until it exits; errors are only logged."""
        try:
            self.end()
        except LinkageError as error:
            log.warning("%s", error)

    def _linkage(self) -> AIEngineLinkage:
        return AIEngineLinkage(self._settings.client_host, self._settings.ping_url)
