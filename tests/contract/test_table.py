"""The one table of operations, against botocore's models: names, actions and resources are AWS's own."""

import botocore.session
import pytest
from botocore.model import Shape

from stagemaker.api.operation import Operation, every
from stagemaker.core.refs import Scope
from tests.contract.own_operations import own_services, shared_services

SCOPE = Scope("000000000000", "eu-west-1")
ROWS = [
    (service.name, operation)
    for service in (*own_services().values(), *shared_services().values())
    for operation in service.operations.values()
]


def sample(shape: Shape) -> dict[str, object]:
    """A request with text for each member that is a name or an ARN."""
    members = shape.members if shape.type_name == "structure" else {}
    return {name: "arn:aws:x:y:z:a/b" if name.lower().endswith("arn") else "Name" for name, one in members.items()
            if one.type_name == "string"}  # fmt: skip


@pytest.mark.parametrize(("service", "operation"), ROWS, ids=lambda value: str(getattr(value, "name", value)))
def test_a_row_is_an_operation_of_its_service(service: str, operation: Operation) -> None:
    model = botocore.session.get_session().get_service_model(service).operation_model(operation.name)
    prefix, _, name = operation.action.partition(":")
    assert (prefix, name) == ("sagemaker" if service == "sagemaker-runtime" else service, operation.name)
    arns = operation.resource(SCOPE, sample(model.input_shape))
    assert arns, "a policy must name something"
    assert all(arn == "*" or arn.startswith("arn:aws:") for arn in arns)


def test_only_lists_searches_and_logins_need_every_resource() -> None:
    wide = {operation.name for _, operation in ROWS if operation.resource is every}
    assert wide == {"ListTrainingJobs", "ListModels", "ListEndpointConfigs", "ListEndpoints",
                    "ListHyperParameterTuningJobs", "ListProcessingJobs", "ListTransformJobs", "Search",
                    "ListNotebookInstances", "ListNotebookInstanceLifecycleConfigs",
                    "GetSearchSuggestions", "GetAuthorizationToken", "DescribeRegistry",
                    "SimulateCustomPolicy", "DescribeScalableTargets", "DescribeScalingPolicies",
                    "DescribeScheduledActions", "DescribeScalingActivities"}  # fmt: skip
