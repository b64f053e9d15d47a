"""What IAM costs: a decision, and InvokeEndpoint in the mode strict beside the mode off.

It needs no Docker. The two stacks of processes run at the same time, and bursts of one client take turns between them.
The caller is a user with ten policies of twenty statements.
"""

import json
import os
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.access_policies import NAME, SERVICES, documents
from benchmarks.endpoint_start import endpoint
from benchmarks.environment import ROLE, SERVE, process_stack
from benchmarks.invoke_endpoint import BODY, Target, burst, post
from benchmarks.timing import write
from infra.paths import CHECKOUT

PYTHON = CHECKOUT / ".stagemaker" / "env" / "plugin" / "bin" / "python"
BURST_S = 2.0


def main(rounds: int) -> None:
    """Measure and write."""
    subprocess.run([str(CHECKOUT / "scripts/setup"), "plugin", "serve"], check=True)
    write("access", {**_decisions(), "invoke_endpoint": _invoke_figures(rounds)})


def _decisions() -> Any:
    done = subprocess.run(
        [str(PYTHON), "-m", "benchmarks.access_ours"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def summarize(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """From the p50 of every round, in milliseconds. What strict adds is the median of the differences of the rounds."""
    added = [strict - off for strict, off in zip(found["strict"], found["off"], strict=True)]
    return {
        **{f"{mode}_p50_ms": round(statistics.median(values), 3) for mode, values in found.items()},
        "strict_adds_at_p50_ms": round(statistics.median(added), 3),
        "rounds": len(added),
    }


def _invoke_figures(rounds: int) -> dict[str, Any]:
    with _serving("off") as off, _serving("strict") as strict:
        found: dict[str, list[float]] = {"off": [], "strict": []}
        for number in range(rounds + 1):
            for mode, stack in (("off", off), ("strict", strict)):
                p50_ms = burst(stack.target(), 1, BURST_S).figures()["p50_ms"]
                print(f"  {f'round {number}' if number else 'warm-up'}: {mode} p50 {p50_ms:.2f} ms", flush=True)
                if number:
                    found[mode].append(p50_ms)
    return summarize(found)


@dataclass(frozen=True)
class _Serving:
    """A stack with an endpoint, and the key of the user who calls it."""

    url: str
    key_id: str
    secret: str

    def target(self) -> Target:
        """The request, signed now: a signature is good for 15 minutes."""
        return self._target(self.secret)

    def check(self, *, is_strict: bool) -> None:
        """ValueError unless a wrong signature is refused by the stack that is strict, and only by it."""
        try:
            burst(self._target("wrong"), 1, 0.0001)
            is_refused = False
        except ValueError:
            is_refused = True
        if is_refused != is_strict:
            raise ValueError(f"a wrong signature is refused: {is_refused}")

    def _target(self, secret: str) -> Target:
        address = urlsplit(self.url)
        request = post(f"/endpoints/{NAME}/invocations", BODY, self.key_id, secret)
        return Target((str(address.hostname), int(address.port or 80)), request)


@contextmanager
def _serving(mode: str) -> Iterator[_Serving]:
    with process_stack(STAGEMAKER_IAM=mode) as session:
        sagemaker, iam = session.client("sagemaker"), session.client("iam")
        sagemaker.create_model(ModelName=NAME, PrimaryContainer={"Image": SERVE}, ExecutionRoleArn=ROLE)
        variant = {"VariantName": "All", "ModelName": NAME, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
        endpoint(sagemaker, NAME)
        iam.create_user(UserName=NAME)
        invoking = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}
        allow = json.dumps({"Version": "2012-10-17", "Statement": [invoking]})
        iam.put_user_policy(UserName=NAME, PolicyName="invoke", PolicyDocument=allow)
        for service, text in zip(SERVICES, documents(), strict=True):
            arn = iam.create_policy(PolicyName=service, PolicyDocument=text)["Policy"]["Arn"]
            iam.attach_user_policy(UserName=NAME, PolicyArn=arn)
        key = iam.create_access_key(UserName=NAME)["AccessKey"]
        serving = _Serving(sagemaker.meta.endpoint_url, key["AccessKeyId"], key["SecretAccessKey"])
        serving.check(is_strict=mode == "strict")
        yield serving
