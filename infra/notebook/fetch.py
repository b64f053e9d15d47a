"""Runs on the notebook instance: brings the files of a deployment from its bucket, and has the notebook name the kernel
that has its packages."""

import json
import pathlib
import sys

import boto3

NOTEBOOK = "train_and_deploy.ipynb"
KERNEL = {"display_name": "Stagemaker", "language": "python", "name": "stagemaker"}


def fetch(region: str, bucket: str, folder: pathlib.Path) -> None:
    """Write the notebook and requirements.txt into the folder."""
    s3 = boto3.client("s3", region_name=region)
    for name in (NOTEBOOK, "requirements.txt"):
        body = s3.get_object(Bucket=bucket, Key=f"notebook/{name}")["Body"].read()
        if name == NOTEBOOK:
            notebook = json.loads(body)
            notebook["metadata"]["kernelspec"] = KERNEL
            body = json.dumps(notebook, indent=1).encode()
        (folder / name).write_bytes(body)


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]))
