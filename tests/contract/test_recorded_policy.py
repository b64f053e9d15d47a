"""The policy of a run: it is recorded, and enough for the same run in the mode strict; nothing of it is too much."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

from infra import policy as infra_policy
from tests.contract.endpoints import in_service
from tests.contract.gateway import REGION, SERVER, Gateway, ended, endpoint_gone, make_role, training_request
from tests.contract.localstack_process import ROOT
from tests.contract.users import allow, client_of, make_user, policy

ACCOUNT = "000000000000"
RUNNER, WORKER = "replay-runner", "replay-worker"  # the role that calls, and the role of the job and the endpoint
JOB = "replay-train"
EVERYTHING = policy(allow("*"))


@dataclass(frozen=True)
class Runner:
    """A session of the role that runs everything, on one gateway."""

    gateway: Gateway
    credentials: Mapping[str, str]

    def client(self, service: str) -> Any:
        """With the rights of the role."""
        found = self.credentials
        return client_of(self.gateway, service, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def asked(gateway: Gateway, **query: Any) -> tuple[int, Any]:
    """The status and the answer of the stage's address."""
    url = f"{gateway.url}/_stagemaker/policy?{urlencode(query, doseq=True)}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def report_of(gateway: Gateway, role: str) -> Any:
    """What was recorded of a role."""
    status, report = asked(gateway, Principal=f"arn:aws:iam::{ACCOUNT}:role/{role}")
    assert status == 200, report
    return report


def make_runner(gateway: Gateway, runner_policy: str, worker_policy: str) -> Runner:
    """Both roles with these policies, and a session of the first."""
    iam = gateway.client("iam")
    make_role(gateway, WORKER)
    iam.put_role_policy(RoleName=WORKER, PolicyName="rights", PolicyDocument=worker_policy)
    trusting = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=RUNNER, AssumeRolePolicyDocument=policy(trusting))["Role"]["Arn"]
    iam.put_role_policy(RoleName=RUNNER, PolicyName="rights", PolicyDocument=runner_policy)
    sts = make_user(gateway, allow("sts:AssumeRole", arn)).client("sts")
    return Runner(gateway, sts.assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"])


def run(runner: Runner) -> None:
    """Train, deploy, call and delete, with the rights of the runner."""
    sagemaker, role = runner.client("sagemaker"), f"arn:aws:iam::{ACCOUNT}:role/{WORKER}"
    sagemaker.create_training_job(**training_request(JOB, role))
    job = ended(sagemaker, JOB)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    sagemaker.create_model(
        ModelName=JOB, ExecutionRoleArn=role, PrimaryContainer={"Image": SERVER, "ModelDataUrl": artifact}
    )
    variant = {"VariantName": "a", "ModelName": JOB, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=JOB, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=JOB, EndpointConfigName=JOB)
    in_service(sagemaker, JOB)
    answer = runner.client("sagemaker-runtime").invoke_endpoint(EndpointName=JOB, Body=b"tell me")
    assert answer["Body"].read().endswith(b"tell me")
    sagemaker.delete_endpoint(EndpointName=JOB)
    endpoint_gone(runner.gateway.client("sagemaker"), JOB)
    sagemaker.delete_endpoint_config(EndpointConfigName=JOB)
    sagemaker.delete_model(ModelName=JOB)


@pytest.fixture(scope="module")
def recorded(gateway: Gateway) -> dict[str, Any]:
    """Of each role what was recorded, in the mode off, of a run in which both may do everything."""
    run(make_runner(gateway, EVERYTHING, EVERYTHING))
    return {role: report_of(gateway, role) for role in (RUNNER, WORKER)}


def test_a_run_says_which_policy_its_caller_needs(recorded: dict[str, Any]) -> None:
    found = {
        action: statement["Resource"]
        for statement in recorded[RUNNER]["Policy"]["Statement"]
        for action in statement["Action"]
    }
    sagemaker = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
    assert found["sagemaker:CreateTrainingJob"] == f"{sagemaker}:training-job/{JOB}"
    assert found["sagemaker:InvokeEndpoint"] == f"{sagemaker}:endpoint/{JOB}"
    assert found["sagemaker:DeleteModel"] == f"{sagemaker}:model/{JOB}"
    (passing,) = [one for one in recorded[RUNNER]["Policy"]["Statement"] if one["Action"] == ["iam:PassRole"]]
    assert passing["Resource"] == f"arn:aws:iam::{ACCOUNT}:role/{WORKER}"
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    because = {one["Sid"]: one["Because"] for one in recorded[RUNNER]["Statements"]}
    assert because[passing["Sid"]] == ["sagemaker:CreateTrainingJob"]


def test_a_run_says_which_policy_its_job_needs(recorded: dict[str, Any]) -> None:
    found = {
        action: statement["Resource"]
        for statement in recorded[WORKER]["Policy"]["Statement"]
        for action in statement["Action"]
    }
    assert {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "logs:CreateLogStream", "logs:PutLogEvents"} <= set(found)
    assert found["s3:PutObject"] == f"arn:aws:s3:::data/out/{JOB}/output/*"


def test_the_same_run_passes_under_exactly_that_policy(recorded: dict[str, Any], strict_gateway: Gateway) -> None:
    policies = [json.dumps(recorded[role]["Policy"]) for role in (RUNNER, WORKER)]
    run(make_runner(strict_gateway, *policies))
    assert report_of(strict_gateway, RUNNER)["Refused"] == []


@pytest.mark.parametrize("role", [RUNNER, WORKER])
def test_without_any_one_statement_a_recorded_call_is_denied(
    recorded: dict[str, Any], gateway: Gateway, role: str
) -> None:
    statements = recorded[role]["Policy"]["Statement"]
    for left_out in statements:
        fewer = [one for one in statements if one is not left_out]
        resource, condition = left_out["Resource"], left_out.get("Condition", {})
        context = [
            {
                "ContextKeyName": key,
                "ContextKeyType": "string",
                "ContextKeyValues": [value] if isinstance(value, str) else value[:1],
            }
            for keys in condition.values()
            for key, value in keys.items()
        ]
        answer = gateway.client("iam").simulate_custom_policy(
            PolicyInputList=[policy(*fewer)],
            ActionNames=left_out["Action"],
            ResourceArns=[resource] if isinstance(resource, str) else resource,
            ContextEntries=context,
        )
        assert {one["EvalDecision"] for one in answer["EvaluationResults"]} == {"implicitDeny"}, left_out


def test_what_is_refused_stands_apart_with_the_statement_that_it_lacks(strict_gateway: Gateway) -> None:
    user = make_user(strict_gateway, allow("sagemaker:ListModels"))
    sagemaker = user.client("sagemaker")
    sagemaker.list_models()
    with pytest.raises(sagemaker.exceptions.ClientError):
        sagemaker.describe_model(ModelName="other")
    status, report = asked(strict_gateway, Principal=user.arn)
    assert status == 200
    assert [one["Action"] for one in report["Policy"]["Statement"]] == [["sagemaker:ListModels"]]
    (refused,) = report["Refused"]
    assert refused["Reason"].startswith(f"User: {user.arn} is not authorized to perform: sagemaker:DescribeModel")
    assert refused["Statement"]["Action"] == ["sagemaker:DescribeModel"]
    assert refused["Statement"]["Resource"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/other"


def test_make_policy_prints_it(recorded: dict[str, Any], gateway: Gateway, tmp_path: Path) -> None:
    def make_policy(*arguments: str) -> "subprocess.CompletedProcess[str]":
        python = ROOT / ".stagemaker" / "env" / "client" / "bin" / "python"
        environment = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": gateway.url, "COLUMNS": "300"}
        command = [str(python), "-m", "infra", "policy", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    done = make_policy(RUNNER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == recorded[RUNNER]["Policy"]
    done = make_policy(RUNNER, "--form=template", f"--group={JOB}*", "--out", str(tmp_path / "policy.tftpl"))
    assert done.returncode == 0, done.stdout + done.stderr
    template = (tmp_path / "policy.tftpl").read_text()
    assert f"arn:aws:sagemaker:${{region}}:${{account}}:training-job/{JOB}*" in template
    done = make_policy(RUNNER, "--form=table")
    assert "sagemaker:CreateTrainingJob" in done.stdout
    done = make_policy("replay-nobody")
    assert done.returncode == 1
    assert "Failed: There is no role replay-nobody." in done.stdout


def test_infra_signs_its_question_as_root(strict_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another machine's address only root is answered, as by LocalStack's own addresses from everywhere."""
    strict_gateway.client("cloudwatch").list_metrics()  # loads the service
    monkeypatch.setattr(infra_policy, "PATH", "/_aws/cloudwatch/metrics/raw")
    clients: Any = SimpleNamespace(endpoint=strict_gateway.url, region=REGION)
    answer = infra_policy.ask(clients, Principal=f"arn:aws:iam::{ACCOUNT}:role/a b", Group=("train-*", "x/y"))
    assert "metrics" in answer


def test_a_principal_that_nobody_saw_is_not_found(gateway: Gateway) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    assert asked(gateway, Principal=arn) == (
        404, {"__type": "ResourceNotFoundException", "message": f"Nothing was recorded of {arn}."},
    )  # fmt: skip


@pytest.mark.parametrize("query", [{"Principal": ""}, {"Group": ["x"] * 21}, {"Group": "x" * 3000}])
def test_a_wrong_question_is_refused(gateway: Gateway, query: dict[str, Any]) -> None:
    status, answer = asked(gateway, **query)
    assert (status, answer["__type"]) == (400, "ValidationException")
