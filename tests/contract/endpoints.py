"""An endpoint of the small images, for tests that call one."""

import io
import tarfile
from typing import Any

from tests.contract.gateway import SERVER, Gateway, until


def host(gateway: Gateway, role: str, name: str, **config: Any) -> None:
    """An endpoint in service, with one variant `a` of one instance. `config` is for CreateEndpointConfig. A body that
    begins with "python " is a program which the container runs to answer."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("weights.txt"))
    gateway.client("s3").put_object(Bucket="data", Key=f"{name}.tar.gz", Body=data.getvalue())
    sagemaker = gateway.client("sagemaker")
    container = {"Image": SERVER, "ModelDataUrl": f"s3://data/{name}.tar.gz"}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **config)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    in_service(sagemaker, name)


def in_service(sagemaker: Any, name: str) -> None:
    """Wait until it is."""
    status = until(
        lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"],
        lambda status: status not in ("Creating", "Updating"),
    )
    assert status == "InService"
