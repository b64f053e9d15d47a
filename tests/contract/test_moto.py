"""What moto would answer for SageMaker: each operation is a record that it may keep, or work that it does not do.

When an upgrade of moto or botocore adds or takes away one, this test says which: decide, and change the list.
"""

import botocore.session
from botocore import xform_name
from moto.sagemaker.responses import SageMakerResponse

from stagemaker.api.moto import RECORDS
from tests.contract.own_operations import own_operations

# Moto keeps a record of these and does nothing: a job that never runs, a server that never answers.
WORK = {
    "AddTags", "CreateAutoMLJobV2", "CreateCluster", "CreateCompilationJob", "CreateDataQualityJobDefinition",
    "CreateEndpoint", "CreateEndpointConfig", "CreateFeatureGroup", "CreateHyperParameterTuningJob", "CreateModel",
    "CreateModelBiasJobDefinition", "CreateModelExplainabilityJobDefinition", "CreateModelQualityJobDefinition",
    "CreateNotebookInstance", "CreateNotebookInstanceLifecycleConfig", "CreateProcessingJob",
    "CreateTrainingJob", "CreateTransformJob", "DeleteCluster",
    "DeleteCompilationJob", "DeleteDataQualityJobDefinition", "DeleteEndpoint", "DeleteEndpointConfig",
    "DeleteHyperParameterTuningJob", "DeleteModel", "DeleteModelBiasJobDefinition",
    "DeleteModelExplainabilityJobDefinition", "DeleteModelQualityJobDefinition", "DeleteNotebookInstance",
    "DeleteNotebookInstanceLifecycleConfig", "DeleteTags", "DescribeNotebookInstanceLifecycleConfig",
    "DescribeAutoMLJobV2", "DescribeCluster", "DescribeClusterNode", "DescribeCompilationJob",
    "DescribeDataQualityJobDefinition", "DescribeEndpoint", "DescribeEndpointConfig", "DescribeFeatureGroup",
    "DescribeHyperParameterTuningJob", "DescribeModel", "DescribeModelBiasJobDefinition",
    "DescribeModelExplainabilityJobDefinition", "DescribeModelQualityJobDefinition", "DescribeNotebookInstance",
    "DescribePipelineExecution", "DescribeProcessingJob", "DescribeTrainingJob", "DescribeTransformJob",
    "ListAutoMLJobs", "ListClusterNodes", "ListClusters", "ListCompilationJobs", "ListDataQualityJobDefinitions",
    "ListEndpointConfigs", "ListEndpoints", "ListHyperParameterTuningJobs", "ListModelBiasJobDefinitions",
    "ListModelExplainabilityJobDefinitions", "ListModelQualityJobDefinitions", "ListModels", "ListNotebookInstances",
    "ListPipelineExecutions", "ListProcessingJobs", "ListTags", "ListTrainingJobs", "ListTransformJobs", "Search",
    "StartNotebookInstance", "StartPipelineExecution", "StopAutoMLJob", "StopNotebookInstance",
    "UpdateEndpointWeightsAndCapacities",
}  # fmt: skip


def test_every_operation_that_moto_has_is_known() -> None:
    names = botocore.session.get_session().get_service_model("sagemaker").operation_names
    offered = {name for name in names if hasattr(SageMakerResponse, xform_name(name))}
    assert offered - RECORDS - WORK == set(), "new in moto or botocore: a record (api/moto.py), or work (here)?"
    assert RECORDS - offered == set(), "moto has these no more: take them out of api/moto.py"
    assert WORK - offered == set(), "moto has these no more: take them out of the list here"


def test_no_operation_is_on_two_lists() -> None:
    assert set() == RECORDS & WORK
    assert RECORDS & set(own_operations()["sagemaker"]) == set()
