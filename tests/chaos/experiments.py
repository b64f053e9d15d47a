"""What the suite breaks on the stack in containers, one function for each experiment.

An experiment breaks a part, waits until the stack has done what is promised, and writes down what it saw. The runner
then waits until the endpoint serves again, and counts the calls.
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from tests.chaos import floods
from tests.chaos.calls import BROKEN_OFF, REFUSED
from tests.chaos.load import failure_of, post
from tests.chaos.programs import IMAGE
from tests.chaos.registry import login, push
from tests.chaos.stack import ContainerEnvironment
from tests.chaos.trial import Trial
from tests.chaos.workload import INSTANCES, NAME, until

MODEL_ERROR = "424 ModelError"
UNAVAILABLE = "503 ServiceUnavailable"
NOT_FOUND = "400 ValidationError"
RESTS_S = 30.0  # the third late ping comes after 12 to 17 s, and has 2 s; the rest is for a busy machine
REPLACED_S = 110.0  # once it rests, calls that it holds have 60 s
RESTARTED_S = 30.0
LOGGED_S = 240.0  # LocalStack takes half a million events in a minute or more on a busy machine
FLOOD_LINES = 700_000  # a log takes 500,000 of one container


def kill_an_instance(environment: ContainerEnvironment, trial: Trial) -> None:
    """SIGKILL to one of two."""
    instance = environment.instances()[0]
    since_s = trial.did("one of two instances is killed")
    environment.engine.run("kill", instance)
    until_s = trial.did("it is dead")
    trial.allow("calls that the killed instance held", {MODEL_ERROR}, since_s, until_s)
    _wait_for_instances(environment, trial, until_s, RESTARTED_S)


def kill_all_instances(environment: ContainerEnvironment, trial: Trial) -> None:
    """SIGKILL to both of two."""
    since_s = trial.did("both instances are killed")
    environment.engine.run("kill", *environment.instances())
    trial.did("they are dead")
    back_s = _wait_for_instances(environment, trial, since_s, RESTARTED_S)
    trial.allow("calls while no instance serves", {MODEL_ERROR, UNAVAILABLE}, since_s, back_s)


def pause_an_instance(environment: ContainerEnvironment, trial: Trial) -> None:
    """One of two stands still: it takes connections, and answers nothing."""
    instance = environment.instances()[0]
    since_s = trial.did("one of two instances stands still (docker pause)")
    environment.engine.run("pause", instance)
    trial.undo.callback(_ignoring_errors, environment, "unpause", instance)
    why = "calls that the instance got before its third late ping"
    trial.allow(why, {MODEL_ERROR}, since_s, since_s + RESTS_S)
    _wait_until_replaced(environment, trial, instance, since_s)
    _wait_for_instances(environment, trial, since_s, REPLACED_S + RESTARTED_S)


def cut_an_instance_off(environment: ContainerEnvironment, trial: Trial) -> None:
    """One of two loses its network."""
    instance = environment.instances()[0]
    since_s = trial.did("one of two instances loses its network (docker network disconnect)")
    for network in environment.engine.networks(instance):
        environment.engine.run("network", "disconnect", "--force", network, instance)
    until_s = trial.did("it is cut off")
    why = "calls that it held, and those that took a connection which had been used within the last second"
    trial.allow(why, {MODEL_ERROR}, since_s, until_s + 1.5)
    _wait_until_replaced(environment, trial, instance, since_s)
    _wait_for_instances(environment, trial, since_s, REPLACED_S + RESTARTED_S)


def starve_an_instance(environment: ContainerEnvironment, trial: Trial) -> None:
    """The kernel ends an instance that takes more memory than it may."""
    for instance in environment.instances():
        environment.engine.run("update", "--memory", "96m", "--memory-swap", "96m", instance)
    since_s = trial.did("both instances may take 96 MiB, and a call makes one of them take more")
    host, _, port = environment.url.removeprefix("http://").partition(":")
    path = f"/endpoints/{NAME}/invocations"
    failure = failure_of(*post(host, int(port), "sagemaker", path, b"eat"))
    until_s = trial.did(f"the call ends with {failure or 'success'}")
    trial.check("the call that takes too much memory fails as ModelError", failure == MODEL_ERROR, failure)
    trial.allow("calls that the ended instance held", {MODEL_ERROR}, since_s, until_s)
    _wait_for_instances(environment, trial, since_s, RESTARTED_S)


def kill_a_host_of_a_job(environment: ContainerEnvironment, trial: Trial) -> None:
    """SIGKILL to one of two hosts."""
    job = environment.workload.start_job("hosts", hosts=2, steps=6000)
    environment.workload.training(job)
    host = until(lambda: environment.hosts(job), lambda found: len(found) == 2)[1]
    began_s = trial.did("one of a job's two hosts is killed")
    environment.engine.run("kill", host)
    ended = environment.workload.ended(job)
    took_s = trial.did(f"the job is {ended['TrainingJobStatus']}: {ended.get('FailureReason')}") - began_s
    trial.check(
        "the job is Failed, with the exit code 137 in its reason", _failed(ended, "137"), ended.get("FailureReason")
    )
    trial.check("it ends within 30 s of the kill", took_s < 30, f"{took_s:.1f} s")
    trial.check("nothing of it is left", environment.hosts(job) == [], environment.hosts(job))


def starve_a_job(environment: ContainerEnvironment, trial: Trial) -> None:
    """The kernel ends a job that takes more memory than it may."""
    job = environment.workload.start_job("memory", steps=30, eat=1)
    (host,) = until(lambda: environment.hosts(job), bool)
    environment.engine.run("update", "--memory", "96m", "--memory-swap", "96m", host)
    trial.did("a job may take 96 MiB, and takes more")
    ended = environment.workload.ended(job)
    trial.did(f"the job is {ended['TrainingJobStatus']}: {ended.get('FailureReason')}")
    trial.check(
        "the job is Failed, and its reason names the memory", _failed(ended, "memory"), ended.get("FailureReason")
    )


def kill_a_function(environment: ContainerEnvironment, trial: Trial) -> None:
    """SIGKILL to the containers of a function, one of which works on an invocation."""

    def invoke(sleep_s: float) -> str:
        event = json.dumps({"body": "chaos", "sleep": sleep_s})
        answer = environment.clients.lambda_.invoke(FunctionName=NAME, Payload=event)
        return answer["Payload"].read().decode() if "FunctionError" in answer else ""

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(invoke, 15)
        time.sleep(2)
        containers = environment.engine.containers(environment.network, f"stagemaker-lambda-{NAME}-")
        since_s = trial.did(f"the {len(containers)} containers of the function are killed; one works on an invocation")
        environment.engine.run("kill", *containers)
        until_s = trial.did("they are dead")
        error = held.result()
    took_s = trial.did(f"the invocation ends: {error}") - until_s
    trial.check("the invocation that it held fails within 5 s", bool(error) and took_s < 5, f"{error} ({took_s:.1f} s)")
    why = "invocations that a killed container held, or that came within a second of its death"
    trial.allow(why, {"function error Unhandled"}, since_s, until_s + 1, "function")
    time.sleep(1)
    error = invoke(0)
    took_s = trial.did(f"the next invocation: {error or 'answered'}") - until_s
    trial.check("the next invocation is answered within 20 s", not error and took_s < 20, f"{error} ({took_s:.1f} s)")


def take_the_registry_away(environment: ContainerEnvironment, trial: Trial) -> None:
    """The registry is killed, and started again."""
    ecr, registry = environment.clients.ecr, environment.service("registry")
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=NAME)
    trial.undo.callback(_ignoring_errors, environment, "start", registry)
    environment.engine.run("kill", registry)
    gone_s = trial.did("the registry is killed")
    answer = login(environment)
    took_s = trial.did(f"docker login: {answer}") - gone_s
    refused = answer != "Login Succeeded" and took_s < 30
    trial.check("a login says within 30 s that there is no registry", refused, f"{answer} ({took_s:.1f} s)")
    job = environment.workload.start_job("local-image", steps=1)
    environment.workload.ended(job)
    status = environment.workload.job_status(job)
    trial.check("a job of an image that the engine has runs without it", status == "Completed", status)
    environment.engine.run("start", registry)
    trial.did("the registry is started again")
    until(lambda: login(environment), lambda found: found == "Login Succeeded", 60)
    image = push(environment, IMAGE)
    trial.did(f"an image is pushed: {image}")
    details = ecr.describe_images(repositoryName=NAME)["imageDetails"]
    trial.check("a push works again, without a restart of LocalStack", len(details) == 1, len(details))


def kill_localstack(environment: ContainerEnvironment, trial: Trial) -> None:
    """SIGKILL to LocalStack, and `docker compose up` again."""
    job = environment.workload.steady_job
    since_s = trial.did("LocalStack is killed (kill -9)")
    environment.engine.run("kill", environment.service("localstack"))
    made = set(environment.engine.made(environment.network))
    trial.did(f"it is dead; {len(made)} containers, networks and volumes that it made are left")
    time.sleep(2)  # calls that fail at once belong to it
    environment.start_again()
    up_s = trial.did("`docker compose up --wait` has brought it back")
    trial.check("it answers again within 60 s", up_s - since_s < 60, f"{up_s - since_s:.1f} s")
    status = environment.workload.endpoint_status()
    trial.check("records are gone with it: the endpoint is not found", "Could not find" in status, status)
    with suppress(AssertionError):
        until(lambda: made.isdisjoint(environment.engine.made(environment.network)), bool, 30)
    left = sorted(made.intersection(environment.engine.made(environment.network)))
    trial.check("nothing that the killed one made is left", left == [], left)
    status = environment.workload.job_status(job)
    trial.check("its jobs are not found", "not found" in status, status)
    environment.workload.make()
    made_s = trial.did("bucket, role, endpoint, function and job are made again")
    kinds = {REFUSED, BROKEN_OFF, NOT_FOUND, UNAVAILABLE, "404 ResourceNotFoundException", "404 ResourceNotFound"}
    trial.allow("calls from the kill until all is made again", kinds, since_s, made_s, "endpoint", "function")


def pause_localstack(environment: ContainerEnvironment, trial: Trial) -> None:
    """LocalStack stands still for 8 s."""
    localstack = environment.service("localstack")
    trial.undo.callback(_ignoring_errors, environment, "unpause", localstack)
    trial.did("LocalStack stands still for 8 s (docker pause)")
    environment.engine.run("pause", localstack)
    time.sleep(8)
    environment.engine.run("unpause", localstack)
    trial.did("it goes on")
    time.sleep(2)
    serving = environment.workload.in_service()
    trial.check("every instance still serves", serving, environment.workload.endpoint_status())


def slow_s3(environment: ContainerEnvironment, trial: Trial) -> None:
    """S3 gives 64 KiB a second to a job and to LocalStack itself."""
    proxy, size_bytes = environment.service("proxy"), 1 << 20
    environment.workload.put_input(size_bytes)
    trial.undo.callback(_ignoring_errors, environment, "kill", "--signal", "USR2", proxy)
    environment.engine.run("kill", "--signal", "USR1", proxy)
    began_s = trial.did("S3 gives 64 KiB/s, and a job reads 1 MiB")
    job = environment.workload.start_job("slow-s3", inputs=True, steps=1)
    environment.workload.ended(job)
    status = environment.workload.job_status(job)
    took_s = trial.did(f"the job is {status}") - began_s
    said = f"{status} after {took_s:.0f} s"
    trial.check("the job waits for its data, and completes", status == "Completed" and took_s > 8, said)
    trial.check("it got all of its data", f"input bytes {size_bytes}" in environment.workload.log(job))


def flood_of_lines(environment: ContainerEnvironment, trial: Trial) -> None:
    """A job writes as fast as it can."""
    trial.did(f"a job writes {FLOOD_LINES:,} lines as fast as it can")
    job = environment.workload.start_job("lines", shout=FLOOD_LINES)
    environment.workload.ended(job)
    status = environment.workload.job_status(job)
    ended_s = trial.did(f"the job is {status}")
    with suppress(AssertionError):
        until(lambda: environment.workload.log(job)[-1:], lambda last: last == ["steps 0"], LOGGED_S)
    lines = environment.workload.log(job)
    took_s = trial.did(f"the last line of its log: {lines[-1:]}") - ended_s
    trial.check("the job completes", status == "Completed", status)
    claim = f"its last line is in the log within {LOGGED_S:.0f} s"
    trial.check(claim, lines[-1:] == ["steps 0"], f"{took_s:.0f} s: {lines[-1:]}")
    told = [line for line in lines if "left out" in line]
    trial.check("its log says how many lines were left out", bool(told), told)
    _check_memory(environment, trial)


def flood_of_connections(environment: ContainerEnvironment, trial: Trial) -> None:
    """Connections that are opened and say nothing."""
    began_s = trial.did("2,000 connections to the gateway and 600 to the registry's port say nothing for 10 s")
    with floods.idle(environment.port, 2000) as gateway, floods.idle(environment.registry_port, 600) as registry:
        trial.did(f"{gateway.opened} and {registry.opened} were opened")
        time.sleep(10)
        answer = login(environment)
        trial.did(f"docker login: {answer}")
    trial.did("they are closed")
    trial.check("a login is answered beside them", answer == "Login Succeeded", answer)
    trial.check("the flood was one", gateway.opened >= 1500, gateway.opened)
    until(lambda: login(environment), lambda found: found == "Login Succeeded", 60)
    trial.did("docker login works")
    _check_memory(environment, trial)
    trial.check("it is over within 90 s", time.monotonic() - began_s < 90, f"{time.monotonic() - began_s:.0f} s")


def flood_of_bodies(environment: ContainerEnvironment, trial: Trial) -> None:
    """Bodies that come slowly, large ones, and ones that are longer than any operation takes."""
    path = f"/endpoints/{NAME}/invocations"
    trial.did("100 bodies come at 1 KiB/s, and 20 of 5 MiB and 4 of 300 MiB as fast as they are taken, for 10 s")
    with floods.slow_bodies(environment.port, path, 100) as slow:
        answers = floods.large_bodies(environment.port, path, 5 << 20, 20)
        trial.did(f"5 MiB: {answers}")
        refused = floods.large_bodies(environment.port, path, 300 << 20, 4)
        trial.did(f"300 MiB: {refused}")
        time.sleep(10)
    trial.did(f"{slow.opened} slow ones are closed")
    trial.check("bodies of 5 MiB are answered", answers == {"200": 20}, answers)
    trial.check("bodies of 300 MiB are refused", not any(status.startswith("2") for status in refused), refused)
    _check_memory(environment, trial)


def starve_localstack(environment: ContainerEnvironment, trial: Trial) -> None:
    """LocalStack, which routes every call, has a fifth of a processor for 20 s."""
    localstack, instances = environment.service("localstack"), environment.instances()
    trial.undo.callback(_ignoring_errors, environment, "update", "--cpus", str(os.cpu_count()), localstack)
    trial.did("LocalStack has a fifth of a processor for 20 s (docker update --cpus)")
    environment.engine.run("update", "--cpus", "0.2", localstack)
    time.sleep(20)
    environment.engine.run("update", "--cpus", str(os.cpu_count()), localstack)
    trial.did("it has all processors again")
    kept = environment.instances() == instances
    trial.check("no instance is replaced", kept, f"{len(instances)} before, {len(environment.instances())} after")


def flood_of_calls(environment: ContainerEnvironment, trial: Trial) -> None:
    """A hundred callers ask one call after the other: as many as the machine answers, and a hundred that wait."""
    since_s = trial.did("100 callers ask one call after the other for 10 s")
    answers = floods.calls(environment.port, f"/endpoints/{NAME}/invocations", 100, 10)
    until_s = trial.did(f"they are over: {answers}")
    count, steady = sum(answers.values()), environment.load.sent("endpoint", since_s, until_s)
    trial.check("the flood was one", count >= 3 * steady, f"{count} beside {steady}")
    trial.check("each is answered or refused", set(answers) <= {"200", "503"} and answers["200"] > 0, answers)


def delete_the_endpoint(environment: ContainerEnvironment, trial: Trial) -> None:
    """DeleteEndpoint while calls are under way."""
    since_s = trial.did("the endpoint is deleted and made again (DeleteEndpoint, CreateEndpoint)")
    environment.workload.make_endpoint_again()
    until_s = trial.did("it serves")
    trial.allow("calls while there is no endpoint that serves", {NOT_FOUND}, since_s, until_s)


def _ignoring_errors(environment: ContainerEnvironment, *arguments: str) -> None:
    with suppress(RuntimeError):
        environment.engine.run(*arguments)


def _failed(job: dict[str, object], text: str) -> bool:
    return job["TrainingJobStatus"] == "Failed" and text in str(job.get("FailureReason"))


def _wait_for_instances(environment: ContainerEnvironment, trial: Trial, since_s: float, limit_s: float) -> float:
    """Until all instances run and serve again, since a moment; the moment when they did."""
    with suppress(AssertionError):
        until(lambda: len(environment.instances()) == INSTANCES and environment.workload.in_service(), bool, limit_s)
    back_s = trial.did("all instances serve")
    took_s, status = back_s - since_s, environment.workload.endpoint_status()
    trial.check("the endpoint stays InService", status == "InService", status)
    serving = environment.workload.in_service()
    trial.check(f"all instances serve again within {limit_s:.0f} s", serving and took_s <= limit_s, f"{took_s:.1f} s")
    return back_s


def _wait_until_replaced(environment: ContainerEnvironment, trial: Trial, instance: str, since_s: float) -> None:
    """Until the container is gone."""
    with suppress(AssertionError):
        until(lambda: instance not in environment.instances(), bool, REPLACED_S)
    gone_s = trial.did("its container is gone")
    took_s = gone_s - since_s
    trial.check(f"it is replaced within {REPLACED_S:.0f} s", took_s <= REPLACED_S, f"{took_s:.1f} s")


def _check_memory(environment: ContainerEnvironment, trial: Trial) -> None:
    used = environment.engine.run(
        "stats", "--no-stream", "--format", "{{.MemUsage}}", environment.service("localstack")
    )
    gib = used.split("/")[0].strip()
    trial.check("LocalStack takes less than 3 GiB of memory", not gib.endswith("GiB") or float(gib[:-3]) < 3, used)
