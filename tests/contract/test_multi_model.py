"""A multi-model endpoint of our own serving image, on a real LocalStack: models in S3 come and go with its calls."""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.endpoints import in_service
from tests.contract.gateway import Gateway, endpoint_gone, make_bucket, until
from tests.contract.localstack_process import ROOT

NAME, BUCKET = "many", "many-models"
ENVIRONMENTS = ROOT / ".stagemaker" / "env"
DIMENSIONS = [{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "a"}]
MODELS = {"one.tar.gz": 1, "dir/two.tar.gz": 2}  # with the first logit that it has for a red photo
WRITE = """
import json, sys
from pathlib import Path
from PIL import Image
from tests.unit.containers.serve_process import write_model
folder = Path(sys.argv[1])
for target, logit in json.loads(sys.argv[2]).items():
    write_model(folder / target, scale=logit)
Image.new("RGB", (20, 20), "red").save(folder / "red.png")
"""  # runs in the environment that has onnx and Pillow


@dataclass(frozen=True)
class Endpoint:
    """In service."""

    gateway: Gateway
    photo: bytes

    def ask(self, **request: Any) -> float:
        """The first logit of a red photo."""
        answer = self.gateway.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=NAME, Body=self.photo, ContentType="image/png", Accept="application/json", **request
        )
        return float(json.loads(answer["Body"].read())[0][0])

    def refused(self, **request: Any) -> Any:
        """The error."""
        with pytest.raises(ClientError) as error:
            self.ask(**request)
        return error.value.response

    def hits(self) -> float:
        """How many calls have found their model loaded."""
        now = datetime.now(UTC)
        points = self.gateway.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="ModelCacheHit",
            Dimensions=DIMENSIONS,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))


def archived(folder: Path) -> bytes:
    """A tar.gz of a folder's files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return data.getvalue()


@pytest.fixture(scope="module")
def image(gateway: Gateway) -> Iterator[str]:
    """The real serving image, under a name of its own among the small ones."""
    folder = gateway.localstack.folder.parent
    links = {
        folder / "images" / NAME: ROOT / "containers" / "serve",
        folder / "environments" / NAME: ENVIRONMENTS / "serve",
    }
    for link, target in links.items():
        link.symlink_to(target)
    yield f"stagemaker/{NAME}:test"
    for link in links:
        link.unlink()


@pytest.fixture(scope="module")
def endpoint(gateway: Gateway, role: str, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """With two tiny models in S3."""
    folder, sagemaker = tmp_path_factory.mktemp("models"), gateway.client("sagemaker")
    python = ENVIRONMENTS / "dev" / "bin" / "python"
    subprocess.run([python, "-c", WRITE, folder, json.dumps(MODELS)], cwd=ROOT, check=True, timeout=300)
    make_bucket(gateway, BUCKET, {f"all/{target}": archived(folder / target) for target in MODELS})
    container = {"Image": image, "Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/all/"}
    sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": NAME, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    in_service(sagemaker, NAME)
    yield Endpoint(gateway, (folder / "red.png").read_bytes())
    sagemaker.delete_endpoint(EndpointName=NAME)
    endpoint_gone(sagemaker, NAME)


def test_a_call_is_answered_by_the_model_that_it_names_which_stays_loaded(endpoint: Endpoint) -> None:
    answers = [endpoint.ask(TargetModel=target) for target in (*MODELS, *MODELS)]
    assert answers == [1.0, 2.0, 1.0, 2.0]
    until(endpoint.hits, lambda hits: hits == 2)


def test_a_call_that_names_no_model_or_a_missing_one_is_refused(endpoint: Endpoint) -> None:
    error = endpoint.refused()["Error"]
    assert (error["Code"], error["Message"]) == ("ValidationError", "Request is missing a target model header.")
    error = endpoint.refused(TargetModel="none.tar.gz")["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(f"Failed to download model data (bucket: {BUCKET}, key: all/none.tar.gz).")


def test_a_model_that_is_no_archive_of_ours_is_the_container_s_error(endpoint: Endpoint) -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("empty.txt"))
    endpoint.gateway.client("s3").put_object(Bucket=BUCKET, Key="all/broken.tar.gz", Body=body.getvalue())
    response = endpoint.refused(TargetModel="broken.tar.gz")
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 400)
