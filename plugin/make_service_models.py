"""Writes plugin/stagemaker/service_models from the botocore that the client's lock pins: `make lock` runs it.

LocalStack pins an older botocore, whose models lack the newest operations and members of the services that the stage
answers. The models are Amazon's, under the Apache License 2.0; they are kept without their documentation, which is
most of their size.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

SERVICES = ("application-autoscaling", "ecr", "sagemaker", "sagemaker-runtime")
FOLDER = Path(__file__).parent / "stagemaker" / "service_models"


def service_model(service: str) -> tuple[str, dict[str, Any]]:
    """The newest version of the service's API, and its model without documentation."""
    loader = Loader()
    version = loader.determine_latest_version(service, "service-2")
    return version, _without_documentation(loader.load_data(f"{service}/{version}/service-2"))


def main() -> None:
    """Write the model of each service where botocore's loader looks for it below FOLDER."""
    for service in SERVICES:
        version, model = service_model(service)
        path = FOLDER / service / version / "service-2.json.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps(model, separators=(",", ":")).encode(), mtime=0))


def _without_documentation(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_documentation(item) for item in value]
    if not isinstance(value, dict):
        return value
    # A structure may have a member of this name, which is no text.
    kept = {key: item for key, item in value.items() if key != "documentation" or not isinstance(item, str)}
    return {key: _without_documentation(item) for key, item in kept.items()}


if __name__ == "__main__":
    main()
