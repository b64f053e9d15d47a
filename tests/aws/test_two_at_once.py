"""Two deployments at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.aws.broken_off import Project, left_of
from tests.aws.deploys import run
from tests.aws.rules import Fault
from tests.aws.wire import Asked

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
