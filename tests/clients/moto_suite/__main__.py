"""Runs moto's own tests against the stage, counts those that pass, and says of every other why it does not.

The one argument is the folder of moto's published source, which `scripts/test-moto` fetches.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tests.clients.client_stack import running
from tests.contract.localstack_process import ROOT

HERE = Path(__file__).parent
SUITES = ("sagemaker", "sagemakerruntime", "applicationautoscaling", "ecr")
FIRST_ACCOUNTS = {False: 210000000001, True: 310000000001}
LOOK = "to be looked at: a fault of ours, or one more reason"
# The first that is found in the failure's text counts; what contradicts AWS is asked before.
REASONS = {
    "speaks to moto's own API (/moto-api), which is not AWS's": r"/moto-api/",
    "needs an image that this machine has": r"needs Docker: the process runtime|There is no registry for images",
    "not implemented (501 by name, or no such service)": (
        r"NotImplementedException|Stagemaker does not implement|assert 501 ==|API for service application-autoscaling"
        r"|assert 'InternalFailure' =="
    ),
    "needs another service that LocalStack has not, or not offline (ECS, DynamoDB)": (
        r"API for service ecs|dynamodb\.CreateTable"
    ),
    "depends on the order of an enum's values, which AWS does not document": (
        r"in test_put_image_tag_mutability_error_invalid_param"
    ),
    "needs a real role": r"Could not assume role|execution role ARN .* is invalid|Cross-account",
    "needs a real bucket or object": r"There is no bucket|NoSuchBucket|Could not access model data|No S3 objects found",
}


@dataclass(frozen=True)
class Result:
    """Of one test. `failure` is its text, or empty; `calls` how many requests it sent to the stage."""

    name: str
    skipped: bool
    failure: str
    calls: int


def main(source: Path) -> None:
    """Print the figures of both runs: the tests as they are, and with the roles, buckets and images that they name."""
    temporary = tempfile.TemporaryDirectory(prefix="stagemaker-moto-", ignore_cleanup_errors=True)
    with temporary as folder, running(Path(folder) / "stack") as stack:
        for resources in (False, True):
            report = Path(folder) / f"{resources}.xml"
            _run(source, stack.endpoint, report, resources)
            print(f"\n{source.name}, {'with the resources that they name' if resources else 'as they are'}:")
            _print(_results(report))
        stack.process.kill()  # Python takes a minute to forget what moto keeps of 900 accounts
        stack.process.wait()


def _run(source: Path, endpoint: str, report: Path, resources: bool) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{source}{os.pathsep}{HERE.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TEST_SERVER_MODE": "true",
        "TEST_SERVER_MODE_ENDPOINT": endpoint,
        "MOTO_CALL_RESET_API": "false",
        "MOTO_FIRST_ACCOUNT": str(FIRST_ACCOUNTS[resources]),
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    python = ROOT / ".stagemaker" / "env" / "clients-moto" / "bin" / "python"
    plugins = ["own_accounts", *(["named_resources"] if resources else [])]
    command = [
        *(str(python), "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore", f"--junitxml={report}"),
        *("-q", "--tb=short", "--no-summary", "--color=no"),
        *(f"-pmoto_suite.{name}" for name in plugins),
        *(f"tests/test_{name}" for name in SUITES),
    ]
    subprocess.run(command, cwd=source, env=environment, check=False)


def _results(report: Path) -> list[Result]:
    found = []
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314, our own pytest wrote it
        failures = [*case.findall("failure"), *case.findall("error")]
        text = "\n".join(f"{failure.get('message')}\n{failure.text}" for failure in failures)
        calls = next((int(each.get("value", "0")) for each in case.iter("property") if each.get("name") == "calls"), 0)
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        found.append(Result(name, case.find("skipped") is not None, text, calls))
    return found


def _print(results: list[Result]) -> None:
    passed = [result for result in results if not result.failure and not result.skipped]
    print(f"{len(passed)} of {len(results)} pass ({sum(not result.calls for result in passed)} of them call nothing).")
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.skipped:
            reasons["skipped by moto itself: it cannot stop the clock of a server"].append(result.name)
        elif result.failure:
            reasons[reason(result)].append(result.name)
    for why, names in sorted(reasons.items(), key=lambda each: -len(each[1])):
        print(f"{len(names):4} {why}")
        for name in names:
            print(f"       {name}")


def reason(result: Result) -> str:
    """Why a test fails, in one sentence."""
    for each in tomllib.loads((HERE / "contradicts_aws.toml").read_text())["contradiction"]:
        if each.get("test", "") in result.name and re.search(each["failure"], result.failure, re.DOTALL):
            return f"contradicts AWS: {each['why']}"
    return next((why for why, text in REASONS.items() if re.search(text, result.failure)), LOOK)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
