"""The model: a training job's artifact with the image that serves it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from infra.clients import Clients
from infra.network.lookup import placed
from infra.patience import SAGEMAKER, once_role_is_known
from infra.resources import titles
from infra.resources.resource import FixedResource, State, find


class Model(FixedResource):
    """A model, named like the training job that it comes from. To read and delete one, a request that holds only
    ModelName is enough."""

    def __init__(self, clients: Clients, request: Mapping[str, Any], model: str = "") -> None:
        self._clients, self._request = clients, request
        self.title = titles.of_model(titles.MODEL, model)
        network = (titles.JOBS_GROUP, titles.S3_ENDPOINT)
        self.depends_on = (titles.HOSTING_ROLE, titles.of_model(titles.TRAINING_JOB, model), *network)
        self.name = request["ModelName"]

    def read(self) -> State | None:
        """DescribeModel's answer."""
        return find(self._clients.sagemaker.describe_model, ModelName=self.name)

    def create(self) -> str:
        """Make it: a record, usable at once. Raises StepFailed when SageMaker cannot assume its role."""
        request = placed(self._clients.ec2, dict(self._request))
        create = partial(self._clients.sagemaker.create_model, **request)
        once_role_is_known(create, self._clients.iam, self._request["ExecutionRoleArn"], SAGEMAKER)
        return ""

    def delete(self) -> None:
        """Delete the record; its artifact stays in the bucket."""
        self._clients.sagemaker.delete_model(ModelName=self.name)
