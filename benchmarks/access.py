"""What IAM costs: a decision, and InvokeEndpoint in the mode strict beside the mode off.

It needs no Docker. The two stacks of processes run at the same time, and one client asks them in turn. The caller is a
user with ten policies of twenty statements.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from benchmarks.access_policies import NAME, SERVICES, documents
from benchmarks.endpoint_start import endpoint
from benchmarks.environment import ROLE, SERVE, process_stack
from benchmarks.invoke_endpoint import BODY, Target, latencies, post
from benchmarks.timing import write
from infra.paths import CHECKOUT

PYTHON = CHECKOUT / ".stagemaker" / "env" / "plugin" / "bin" / "python"
ROUND_S = 4.0


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


def summarize(found: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """From the latencies of every round, in seconds: medians in milliseconds. What strict adds is the median of the
    differences of the rounds' medians."""
    medians_ms = {mode: [statistics.median(latencies) * 1e3 for latencies in rounds] for mode, rounds in found.items()}
    added = [strict - off for strict, off in zip(medians_ms["strict"], medians_ms["off"], strict=True)]
    return {
        **{f"{mode}_p50_ms": round(statistics.median(values), 3) for mode, values in medians_ms.items()},
        "strict_adds_at_p50_ms": round(statistics.median(added), 3),
        "rounds": len(added),
        "requests": sum(map(len, found["strict"])),
    }


def _invoke_figures(rounds: int) -> dict[str, Any]:
    found: dict[str, list[list[float]]] = {"off": [], "strict": []}
    with _serving("off") as off, _serving("strict") as strict:
        for number in range(rounds + 1):
            end = time.perf_counter() + ROUND_S
            pairs = list(zip(latencies(off.target(), end), latencies(strict.target(), end), strict=False))
            print(f"  {f'round {number}' if number else 'warm-up'}: {len(pairs)} requests to each", flush=True)
            if number:
                for mode, measured in zip(found, zip(*pairs, strict=True), strict=True):
                    found[mode].append(list(measured))
    return summarize(found)


@dataclass(frozen=True)
class _Serving:
    """A stack with an endpoint, and the key of the user who calls it."""

    url: str
    key_id: str
    secret: str

    def target(self) -> Target:
        """The request, signed now: a signature is good for 15 minutes."""
        address = urlsplit(self.url)
        request = post(f"/endpoints/{NAME}/invocations", BODY, self.key_id, self.secret)
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
        wrong = session.client("sagemaker", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key="no")  # noqa: S106
        if _is_refused(wrong.list_models) != (mode == "strict"):
            raise ValueError(f"a wrong signature is not treated as in the mode {mode}")
        yield _Serving(sagemaker.meta.endpoint_url, key["AccessKeyId"], key["SecretAccessKey"])


def _is_refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError:
        return True
    return False
