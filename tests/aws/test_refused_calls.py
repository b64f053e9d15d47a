"""A deployment whose calls AWS refuses, whatever they ask for: the credentials have expired, or there are too many."""

import random
import threading

from tests.aws import refusals
from tests.aws.broken_off import Project, since
from tests.aws.deploys import run
from tests.aws.rules import Fault
from tests.aws.wire import Asked

EXPIRED = "The AWS credentials have expired"
UNKNOWN = "AWS does not accept the credentials"
SHARE = 0.2  # of all calls that are throttled
SEED = 7


def test_credentials_that_end_in_the_middle_are_told_once_and_the_next_run_goes_on(project: Project) -> None:
    for operation, error, sentence in (
        ("ListObjectsV2", refusals.EXPIRED, EXPIRED),
        ("PutObject", refusals.EXPIRED, EXPIRED),
        ("CreateEndpoint", refusals.UNKNOWN_KEY, UNKNOWN),
        ("CreateFunction", refusals.EXPIRED, EXPIRED),
    ):
        check_refused(project, Fault(matches=since(operation), error=error), sentence, *project.deploy)
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    project.check_deployed()
    fault = Fault(matches=since("DeleteEndpoint"), error=refusals.EXPIRED)
    check_refused(project, fault, EXPIRED, *project.destroy)
    project.check_destroyed()


def check_refused(project: Project, fault: Fault, sentence: str, *command: str) -> None:
    """The command ends by the fault, and says so in one sentence, with what to do."""
    with project.aws.injected(fault):
        code, said = run(project.aws, *command)
    assert code == 1, said
    assert said.count("Failed: ") == said.count(sentence) == said.count("Next: ") == 1, said
    assert "aws sso login" in said or "aws sts get-caller-identity" in said
    assert "Traceback" not in said


def test_a_fifth_of_all_calls_may_be_throttled(project: Project) -> None:
    chance, lock = random.Random(SEED), threading.Lock()  # noqa: S311 - no secret

    def is_throttled(_: Asked) -> bool:
        with lock:
            return chance.random() < SHARE

    project.aws.forget()
    with project.aws.injected(Fault(matches=is_throttled, error=refusals.THROTTLED)):
        code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    assert any(call.is_fault for call in project.aws.calls())
    project.check_destroyed()
