"""The operations that moto may answer in our place: those of which a record is all there is.

Moto would report success for work that nobody does, so that everything that is not listed answers 501 by its name.
`tests/contract/test_moto.py` says when an upgrade of moto or botocore changes what there is to list.
"""

RECORDS = frozenset(
    {
        "AssociateTrialComponent",
        "CreateDomain",
        "CreateExperiment",
        "CreateModelCard",
        "CreateModelPackage",
        "CreateModelPackageGroup",
        "CreatePipeline",
        "CreateTrial",
        "CreateTrialComponent",
        "DeleteDomain",
        "DeleteExperiment",
        "DeleteModelCard",
        "DeletePipeline",
        "DeleteTrial",
        "DeleteTrialComponent",
        "DescribeDomain",
        "DescribeExperiment",
        "DescribeModelCard",
        "DescribeModelPackage",
        "DescribeModelPackageGroup",
        "DescribePipeline",
        "DescribePipelineDefinitionForExecution",
        "DescribeTrial",
        "DescribeTrialComponent",
        "DisassociateTrialComponent",
        "ListDomains",
        "ListExperiments",
        "ListModelCardVersions",
        "ListModelCards",
        "ListModelPackageGroups",
        "ListModelPackages",
        "ListPipelineParametersForExecution",
        "ListPipelines",
        "ListTrialComponents",
        "ListTrials",
        "UpdateModelCard",
        "UpdateModelPackage",
        "UpdatePipeline",
        "UpdateTrialComponent",
    }
)


def may_answer(service: str, operation: str) -> bool:
    """Whether moto's answer to `operation` is all there is to it: it stores and returns what it was given."""
    return service == "sagemaker" and operation in RECORDS
