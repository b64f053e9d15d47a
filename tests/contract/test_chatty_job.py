"""A job that writes without end, against a real LocalStack: memory, its log, other callers and its stop."""

import time
from pathlib import Path

from tests.contract.gateway import Gateway, ended, training_request, until

FLOOD_S = 10
MIB = 1 << 20


def memory_bytes(gateway: Gateway) -> int:
    """What LocalStack's process holds in memory."""
    (line,) = (x for x in Path(f"/proc/{gateway.pid}/status").read_text().splitlines() if x.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def last_messages(gateway: Gateway, job: str) -> list[str]:
    """Of the log stream of the job's host."""
    logs, group = gateway.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"], limit=200)["events"]
    return [event["message"] for event in events]


def test_a_job_that_writes_without_end_holds_nobody(gateway: Gateway, role: str) -> None:
    sagemaker = gateway.client("sagemaker")
    sagemaker.create_training_job(**training_request("quiet", role))  # which has LocalStack load what a job needs
    ended(sagemaker, "quiet")
    before_bytes = memory_bytes(gateway)
    sagemaker.create_training_job(**training_request("chatty", role, HyperParameters={"flood": "accuracy=0.5"}))
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName="chatty")["SecondaryStatus"],
        lambda status: status == "Training",
    )
    end_s, slowest_s = time.monotonic() + FLOOD_S, 0.0
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        sagemaker.describe_training_job(TrainingJobName="chatty")
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        time.sleep(0.5)
    began_s = time.monotonic()
    sagemaker.stop_training_job(TrainingJobName="chatty")
    assert ended(sagemaker, "chatty")["TrainingJobStatus"] == "Stopped"
    assert time.monotonic() - began_s < 60
    assert slowest_s < 30
    assert memory_bytes(gateway) - before_bytes < 300 * MIB
    said = [line for line in last_messages(gateway, "chatty") if not line.startswith("Stagemaker: metric accuracy: ")]
    assert said[-1] == "accuracy=0.5"
