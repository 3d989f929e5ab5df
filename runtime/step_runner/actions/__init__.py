"""Every action of the step runner by its name on the wire."""

from runtime.step_runner.action import Action
from runtime.step_runner.actions.ai_engine import EndAIEngine, PingAIEngine, RunAIEngine
from runtime.step_runner.actions.downloads import (
    DownloadAIModel,
    DownloadExternalData,
    DownloadJSON,
    DownloadUserVars,
)
from runtime.step_runner.actions.files import AddDataProviderInfo, ChangeAPIHostAndPort, CreateDirectory
from runtime.step_runner.actions.internal_data import PrepareInternalData
from runtime.step_runner.actions.status import UpdateToFailed, UpdateToRunning
from runtime.step_runner.actions.uploads import UpdateToSucceeded

ACTIONS: dict[str, type[Action]] = {
    action.name: action
    for action in (
        AddDataProviderInfo,
        ChangeAPIHostAndPort,
        CreateDirectory,
        DownloadAIModel,
        DownloadExternalData,
        DownloadJSON,
        DownloadUserVars,
        EndAIEngine,
        PingAIEngine,
        PrepareInternalData,
        RunAIEngine,
        UpdateToFailed,
        UpdateToRunning,
        UpdateToSucceeded,
    )
}
