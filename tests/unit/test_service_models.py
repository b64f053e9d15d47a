"""The service models that the plugin ships are those of the botocore that the clients' lock pins."""

import gzip
import json

import pytest

from plugin.make_service_models import FOLDER, SERVICES, service_model


@pytest.mark.parametrize("service", SERVICES)
def test_a_shipped_model_is_the_locked_botocore_s(service: str) -> None:
    version, model = service_model(service)
    shipped = json.loads(gzip.decompress((FOLDER / service / version / "service-2.json.gz").read_bytes()))
    assert shipped == model, "run `make lock`"


@pytest.mark.parametrize("service", SERVICES)
def test_no_documentation_is_shipped(service: str) -> None:
    _, model = service_model(service)
    texts = [shape.get("documentation") for shape in model["shapes"].values()]
    assert texts == [None] * len(model["shapes"])
