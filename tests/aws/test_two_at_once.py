"""Two deployments at once, and a destruction beside a deployment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.aws.broken_off import ALL_POINTS, Project, left_of
from tests.aws.deploys import LIMIT_S, run
from tests.aws.rules import Fault
from tests.aws.wire import Asked

WHERE = ("PutObject", "CreateTrainingJob", "CreateModel", "CreateEndpoint", "CreateFunction")
MEETING_S = 3.0  # a call waits so long for its like from the other deployment


def test_two_deployments_at_once_make_one_of_each(project: Project) -> None:
    barriers, lock = dict[str, threading.Barrier](), threading.Lock()

    def meet(asked: Asked) -> None:
        with lock:
            barrier = barriers.setdefault(asked.operation, threading.Barrier(2))
        with suppress(threading.BrokenBarrierError):
            barrier.wait(MEETING_S)

    together = Fault(matches=lambda asked: asked.operation.startswith(("Create", "Publish")), meanwhile=meet)
    with project.aws.injected(together), ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: run(project.aws, *project.deploy), range(2)))
    for code, said in ended:
        assert (code, "Traceback" in said) == (0, False), said
    name = project.name
    left = [each for each in left_of(project.aws, name) if not each.startswith("/aws/")]
    assert sorted(each.replace(name, "") for each in left if "-us-east-1" in each) == [
        "-000000000000-us-east-1", "-hosting-us-east-1", "-lambda-us-east-1", "-training-us-east-1"
    ]  # fmt: skip
    assert left.count(name) == left.count(f"{name}-proxy") == left.count(f"endpoint/{name}/variant/AllTraffic") == 1
    assert len([each for each in left if "-us-east-1" not in each]) == 6, "a job, a model and a configuration, too"
    project.check_deployed()
    project.check_destroyed()


@pytest.mark.parametrize("operation", WHERE if ALL_POINTS else WHERE[:1])
def test_a_destruction_in_the_middle_of_a_deployment_leaves_nothing_that_the_next_one_does_not_delete(
    project: Project, operation: str
) -> None:
    """The deployment waits at that call until the destruction has ended."""
    has_come, is_destroyed = threading.Event(), threading.Event()

    def wait(_: Asked) -> None:
        has_come.set()
        is_destroyed.wait(LIMIT_S)

    fault = Fault(operation=operation, last=1, meanwhile=wait)
    with project.aws.injected(fault), ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(run, project.aws, *project.deploy)
        assert has_come.wait(LIMIT_S)
        try:
            destroyed = run(project.aws, *project.destroy)
        finally:
            is_destroyed.set()
        ended = [deploying.result(), destroyed]
    for code, said in ended:
        assert code in (0, 1), said
        assert "Traceback" not in said, said
        assert ("Failed: " in said, said.count("Next: ")) == (code == 1, said.count("Failed: ")), said
    project.check_destroyed()
