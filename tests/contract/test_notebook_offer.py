"""A stage of processes says that it has no notebook instances, and nothing is made to learn it."""

from infra.clients import connect
from infra.resources.notebook import why_not_offered
from tests.contract.gateway import REGION, Gateway


def test_a_stage_of_processes_has_no_notebook_instances(gateway: Gateway) -> None:
    clients = connect("local", REGION, {"AWS_ENDPOINT_URL": gateway.url})
    assert "process runtime" in why_not_offered(clients)
