"""`deploy --target aws` from end to end, in an account that has nothing of ours at first and at the end."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.blueprint import scalable
from tests.aws.deployer_keys import check_the_deployer_was_enough, deployer_keys
from tests.aws.deploys import PRESET, TAG, UNCHANGED, changing, document, pushed_images, put_image, run
from tests.aws.judges import judged
from tests.aws.pretended_aws import Keys, PretendedAws
from tests.contract.gateway import Gateway


@dataclass(frozen=True)
class Story:
    """The commands of one project, with the rights of `keys`; each must end well, and says what it says."""

    aws: PretendedAws
    project: str
    data: Path
    preset: Path
    keys: Keys

    def does(self, verb: str, *more: str, **environment: str) -> str:
        """What the verb says of the project."""
        data = ("--data", str(self.data)) if verb in ("deploy", "plan") else ()
        arguments = verb, *data, "--preset", str(self.preset), "--project", self.project, *more
        code, said = run(self.aws, *arguments, **self.aws.environment(self.keys), **environment)
        assert code == 0, said
        return said

    def plans(self) -> dict[str, dict[str, Any]]:
        """The steps of a plan that change something, by their titles."""
        steps = document(self.does("plan", "--json"))["plan"]["steps"]
        return {step["title"]: step for step in steps if step["action"] != "unchanged"}


def spoil(aws: PretendedAws, project: str) -> None:
    """Change by hand what a deployment has made."""
    role = f"{project}-lambda-us-east-1"
    aws.client("iam").put_role_policy(
        RoleName=role,
        PolicyName=aws.client("iam").list_role_policies(RoleName=role)["PolicyNames"][0],
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
    )
    aws.client("lambda").update_function_configuration(FunctionName=f"{project}-proxy", MemorySize=512)
    aws.client("application-autoscaling").register_scalable_target(**scalable(project), MinCapacity=2, MaxCapacity=9)


def test_a_deployment_from_empty_to_clean_with_the_rights_of_the_deployer(
    aws: PretendedAws, aws_gateway: Gateway, images: None, small_digits: Path, tmp_path: Path
) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(PRESET)
    project = f"d{uuid.uuid4().hex[:8]}"
    keys = deployer_keys(aws, aws_gateway, project)
    with judged(aws):
        tell(Story(aws, project, small_digits, preset, keys))
    check_the_deployer_was_enough(aws_gateway, project)


def tell(story: Story) -> None:
    """Each step of a deployment's life."""
    aws, project = story.aws, story.project
    aws.forget()
    assert "steps changed something." in story.does("deploy")
    (job,) = [call.members for call in aws.calls("sagemaker", "CreateTrainingJob")]
    assert "/stagemaker/trainer@sha256:" in job["AlgorithmSpecification"]["TrainingImage"]

    aws.forget()
    assert UNCHANGED in story.does("deploy")
    assert changing(aws) == []

    photo = next((story.data / "test").rglob("*.png"))
    code, said = run(aws, "invoke", str(photo), "--endpoint", project)
    assert (code, "trained" in said, "100.0%" in said) == (0, True, True), said
    code, said = run(aws, "status")
    assert (code, "AWS takes the credentials: account 000000000000" in said) == (0, True), said

    spoil(aws, project)
    aws.forget()
    drifted = story.plans()
    assert changing(aws) == []
    assert {title: step["action"] for title, step in drifted.items()} == {
        "Role of the function": "update", "Function": "update", "Scaling of the endpoint": "update",
    }  # fmt: skip
    assert [(change["member"], change["old"], change["new"]) for change in drifted["Function"]["changes"]] == [
        ("MemorySize", 512, 256)
    ]
    story.does("deploy")
    assert story.plans() == {}

    aws.forget()
    assert f"delete     Endpoint: {project}" in story.does("plan", "--destroy")
    code, said = run(aws, "destroy", "--project", project)
    assert (code, "There is no terminal to ask at" in said) == (1, True), said
    assert changing(aws) == []
    said = story.does("destroy", YES="1")
    assert f"Nothing is left with the tag stagemaker:project={project}." in said
    assert "Nothing was there to delete." in story.does("destroy")


def test_images_that_were_never_pushed_are_named_before_anything_is_made(aws: PretendedAws, small_digits: Path) -> None:
    with pushed_images(aws, "trainer"):
        put_image(aws, "trainer", "fedcba9")
        aws.forget()
        code, said = run(aws, "deploy", "--preset", "e", "--project", "never-made", "--data", str(small_digits))
    assert code == 1
    assert f"The registry lacks 000000000000.dkr.ecr.us-east-1.amazonaws.com/stagemaker/serve:{TAG}." in said
    assert "make push TARGET=aws" in said
    assert changing(aws) == []
