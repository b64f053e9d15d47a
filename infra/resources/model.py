"""The model: a training job's artifact with the image that serves it."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.errors import StepFailed
from infra.network.lookup import placed
from infra.patience import NO_MODEL_DATA, SAGEMAKER, once_role_is_known, says
from infra.resources import titles
from infra.resources.resource import FixedResource, State, error_code, find


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
        """Make it: a record, usable at once. Raises StepFailed when SageMaker cannot assume its role, and at once when
        its artifact is missing, which SageMaker says in the same words as that the role may not read it yet."""
        request = placed(self._clients.ec2, dict(self._request))

        def create() -> None:
            try:
                self._clients.sagemaker.create_model(**request)
            except ClientError as error:
                if says(error, *NO_MODEL_DATA):
                    self._check_artifact(error)
                raise

        once_role_is_known(create, self._clients.iam, self._request["ExecutionRoleArn"], SAGEMAKER)
        return ""

    def _check_artifact(self, refusal: ClientError) -> None:
        """Raise StepFailed where there is none. The caller may not be allowed to look: then it may be there."""
        uri = self._request["PrimaryContainer"]["ModelDataUrl"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            self._clients.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) != "404":
                return
            job = key.split("/")[-3]
            raise StepFailed(
                f"The model cannot be made: its artifact {uri} is not there.",
                f"Put it back. Or delete the training job {job}, and deploy again: that trains anew.",
            ) from refusal

    def delete(self) -> None:
        """Delete the record; its artifact stays in the bucket."""
        self._clients.sagemaker.delete_model(ModelName=self.name)
