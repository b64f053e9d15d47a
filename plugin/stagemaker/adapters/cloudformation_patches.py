"""What we change in LocalStack's CloudFormation: where it finds our providers, and its rollback."""

from typing import Any

from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor
from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor

from stagemaker.adapters.cloudformation import provider_of
from stagemaker.adapters.patches import Patch
from stagemaker.adapters.rollback import defer_rollback
from stagemaker.app import App


def _providers(_app: App, original: Any) -> Any:
    def try_load_resource_provider(resource_type: str) -> Any:
        return provider_of(resource_type or "") or original(resource_type)

    return staticmethod(try_load_resource_provider)


def _process(_app: App, original: Any) -> Any:
    def process(self: ChangeSetModelExecutor) -> None:
        try:
            original(self)
        except Exception:
            defer_rollback(self)
            raise

    return process


PATCHES = (
    Patch(
        ResourceProviderExecutor,
        "try_load_resource_provider",
        ("resource_type",),
        _providers,
        why="CloudFormation finds a type's provider by entry points, and has one for AWS::ECR::Repository.",
        without="CloudFormation says CREATE_COMPLETE for resources of SageMaker and ECR that were never made.",
    ),
    Patch(
        ChangeSetModelExecutor,
        "process",
        ("self",),
        _process,
        why="A stack that fails keeps what it had made; an update that fails deletes what it was to replace.",
        without="Endpoints of a failed stack run on, and nobody knows of them.",
    ),
)
