"""A deployment that is killed or interrupted goes on where it was; a destruction, too; nothing is lost or left behind.

STAGEMAKER_ALL_POINTS=1 breaks a deployment off after each of its changing calls, which takes half an hour.
"""

from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

import pytest

from tests.aws.broken_off import ALL_POINTS, Point, Project, broken_off
from tests.aws.deploys import run

DEPLOYING = (  # each of a run that goes on from the one before
    Point(SIGKILL, "CreateRole", 2),
    Point(SIGINT, "CreateBucket"),
    Point(SIGKILL, "PutObject", 20),
    Point(SIGINT, "CreateTrainingJob"),
    Point(SIGKILL, "CreateEndpoint"),
    Point(SIGINT, "CreateFunction"),
    Point(SIGKILL, "PublishVersion"),
)
DESTROYING = (Point(SIGINT, "DeleteEndpoint"), Point(SIGKILL, "DeleteObjects"))
LEFT_TO_DO = (  # at the end of what is said after CreateTrainingJob; before it, what had not ended yet
    "Model, Endpoint configuration, Endpoint, Scaling of the endpoint, Function, Alias of the function. "
    "What was begun, such as a training job, goes on by itself.\n"
    "  Interrupted. Run it again to go on, or `destroy` to delete what is there.\n"
)
MOST_CALLS = 60  # changing ones of a deployment of 36 photos, and some more
PART_BYTES = 8 << 20  # of what boto3 sends in parts


def break_off(project: Project, point: Point, *command: str) -> tuple[bool, str]:
    """Whether the command came to the point, and what it said. It ended as the signal has it, and an interrupted one
    said how to go on."""
    code, said, has_come = broken_off(project.aws, point, *command)
    assert "Traceback" not in said
    if not has_come:
        assert code == 0, said
    elif point.signal is SIGKILL:
        assert code == -SIGKILL, said
    else:
        assert code == 130, said
        assert "Interrupted. Run it again to go on" in said
    return has_come, said


def test_what_is_broken_off_again_and_again_ends_well(project: Project) -> None:
    for point in DEPLOYING:
        has_come, said = break_off(project, point, *project.deploy)
        assert has_come, said
        if point.operation == "CreateTrainingJob":
            assert LEFT_TO_DO in said, said
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    project.check_deployed()
    for point in DESTROYING:
        has_come, said = break_off(project, point, *project.destroy)
        assert has_come, said
    project.check_destroyed()


def test_half_a_file_in_s3_does_not_count_as_the_file(project: Project, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end")
    command = *project.deploy, "--pretrained", str(weights)
    s3: Any = project.aws.client("s3")
    has_come, said = break_off(project, Point(SIGKILL, "UploadPart", 2), *command)
    assert has_come, said
    assert "Contents" not in s3.list_objects_v2(Bucket=project.bucket, Prefix="pretrained/")
    code, said = run(project.aws, *command)
    assert code == 0, said
    found = s3.get_object(Bucket=project.bucket, Key=f"pretrained/{weights.name}")["Body"].read()
    assert found == weights.read_bytes()
    project.check_destroyed()


def check_ends_well(project: Project, number: int) -> None:
    """What is there is destroyed without a rest, of each second one after a deployment that goes on from it."""
    if number % 2:
        code, said = run(project.aws, *project.deploy)
        assert code == 0, said
        project.check_deployed()
    project.check_destroyed()


@pytest.mark.skipif(not ALL_POINTS, reason="takes half an hour: STAGEMAKER_ALL_POINTS=1")
@pytest.mark.parametrize("number", range(1, MOST_CALLS))
@pytest.mark.parametrize("signal", [SIGKILL, SIGINT])
def test_a_deployment_may_be_broken_off_after_each_call(project: Project, signal: Any, number: int) -> None:
    break_off(project, Point(signal, number=number), *project.deploy)
    check_ends_well(project, number)


@pytest.mark.skipif(not ALL_POINTS, reason="takes some minutes: STAGEMAKER_ALL_POINTS=1")
@pytest.mark.parametrize("number", range(1, 20))
def test_a_destruction_may_be_broken_off_after_each_call(project: Project, number: int) -> None:
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    break_off(project, Point(SIGKILL, number=number), *project.destroy)
    check_ends_well(project, number)
