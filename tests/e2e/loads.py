"""Every command of docs/load.md, on a stack with a deployed endpoint and function."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import boto3

from infra.clients import Clients, make_client
from infra.paths import CHECKOUT
from tests.e2e import readme
from tests.e2e.environment import Environment

ENDPOINT = "stagemaker-demo"


def check_every_load_of_the_document(environment: Environment, clients: Clients) -> None:
    """Those of the endpoint as it is run at the same time, for 2 s each; then those that scale it, one by one, and the
    one through the function's URL again, which then is of AuthType AWS_IAM."""
    lines = [line for block in readme.blocks("docs/load.md") for line in block.text.splitlines()]
    loads = [line for line in lines if line.startswith("make load")]
    scaled = [line for line in loads if "SYSTEM=" in line]
    files = str(environment.paths.state / "rates.csv")
    replaced = {".stagemaker/rates.csv": files, "SECONDS=60": "SECONDS=2", "SYSTEM=": "SECONDS=2 SYSTEM="}
    run = partial(readme.run, checkout=CHECKOUT, environment=environment.variables, replaced=replaced)
    for line in lines:
        if line not in loads:
            run(line)
    with ThreadPoolExecutor(len(loads)) as pool:
        pages = [page_of(said) for said in pool.map(run, [line for line in loads if line not in scaled])]
    pages += [page_of(run(line)) for line in scaled]
    signed = {"FunctionName": f"{ENDPOINT}-proxy", "Qualifier": "live", "AuthType": "AWS_IAM"}
    clients.lambda_.update_function_url_config(**signed)
    pages += [page_of(run(line)) for line in loads if "THROUGH=url" in line]
    assert len(set(pages)) == len(loads) + 1
    for page in pages:
        check_page(page)
    check_nothing_stays_scaled(clients)


def page_of(said: str) -> Path:
    """The page that a load has written."""
    return Path(said.rpartition("Page: ")[2].splitlines()[0])


def check_page(page: Path) -> None:
    """Every request of every run is accounted for, and the endpoint was looked at."""
    assert "<svg" in page.read_text()
    runs = json.loads((page.parent / "figures.json").read_text())["runs"]
    for run in runs:
        assert run["due"] == run["answered"] + sum(run["failed"].values()) + run["not_sent"] > 0
        assert run["answered"] > 0, run["failed"]
        assert run["observations"]
    if len(runs) == 2:
        assert [run["title"] for run in runs] == ["scaled as system D", "without scaling"]
        assert "<th>scaled as system D</th><th>without scaling</th>" in page.read_text()
        assert runs[0]["compressed"].startswith("time is compressed")


def check_nothing_stays_scaled(clients: Clients) -> None:
    """The variant has its one instance, and is no scalable target."""
    described = clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    autoscaling = make_client(boto3.Session(region_name=clients.region), "application-autoscaling", clients.endpoint)
    assert autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
