"""`ec2-train`: trains on an EC2 host as the first model's training job does, and sets both side by side."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from infra import engine
from infra.clients import Clients
from infra.data_bucket.denied import policy_told
from infra.deployment import Deployment
from infra.ec2 import instances, lookup
from infra.ec2.follow import follow
from infra.ec2.outcome import COMPLETED, location, read_result
from infra.ec2.report import Outcome, outcome_of
from infra.ec2.requests import RUN_TAG, Network, host_name, run_of
from infra.ec2.resources import of_run
from infra.ec2.settings import NO_KEY, Ec2Settings
from infra.ec2.tries import tries
from infra.ec2.user_data import Run
from infra.errors import StepFailed
from infra.network import resources as network_resources
from infra.resources import titles
from infra.terminal import Terminal

_NEXT = {
    "Interrupted": "Run this again: the next host goes on from the last checkpoint, where there is one.",
    "Stopped": "Give it a longer limit_s in [ec2], and run this again: it goes on from the checkpoint.",
    "Failed": "Mend what the reason and the log above say, and run this again.",
}


def run(deployment: Deployment, options: Namespace, terminal: Terminal) -> None:
    """What the command does: train, and say what came of it; with `detach`, only begin. Raises StepFailed for a
    training that did not complete; what another account must allow is said before."""
    if options.detach:
        planned = planned_run(deployment, options.image_tag)
        if read_result(deployment.clients.s3, planned.results) is None:
            _begin(deployment, planned, options.ssh_key, terminal)
            return
    outcome = train_on_host(deployment, terminal, image_tag=options.image_tag, ssh_key=options.ssh_key)
    outcome.show(terminal)
    if outcome.status != COMPLETED:
        with policy_told(deployment.blueprint, deployment.clients.caller, terminal.say):
            raise StepFailed(f"The run {outcome.run} ended as {outcome.status}: {outcome.why}", _NEXT[outcome.status])


def train_on_host(
    deployment: Deployment, terminal: Terminal, *, image_tag: str | None = None, ssh_key: str | None = NO_KEY
) -> Outcome:
    """Make what a host needs, launch it or find the one that does this run already, follow it to its end, and give its
    outcome, whatever its status is, beside the first model's training job where there is one. What these settings, data
    and image have completed before is not trained again. `image_tag` is of the trainer in ECR, None for that of the
    deployment, or else the one that was pushed last; `ssh_key` is the file of a public key, None for that of ~/.ssh.
    Raises StepFailed where no host can be launched, and for one that ended without a word."""
    clients, blueprint = deployment.clients, deployment.blueprint
    planned = planned_run(deployment, image_tag)
    result = read_result(clients.s3, planned.results)
    if result:
        terminal.say(f"The run {planned.name} was completed before: these settings, data and image.")
    else:
        instance_id = _begin(deployment, planned, ssh_key, terminal)
        result = follow(clients, planned, instance_id, terminal.say, terminal.line)
    return outcome_of(clients, blueprint, planned, result)


def planned_run(deployment: Deployment, image_tag: str | None) -> Run:
    """The run that the settings describe. Raises StepFailed where they have no host, and ECR no trainer."""
    blueprint = deployment.blueprint
    host = _host(blueprint.settings.ec2)
    return run_of(blueprint, host, lookup.trainer_image(deployment.clients, blueprint, image_tag))


def _host(settings: Ec2Settings | None) -> Ec2Settings:
    if settings is None:
        raise StepFailed("These settings have no EC2 host.", "Give a preset with [ec2], such as PRESET=b.")
    return settings


def _begin(deployment: Deployment, planned: Run, ssh_key: str | None, terminal: Terminal) -> str:
    """The id of the instance that does the run: the one that does it already, or a new one."""
    clients, project = deployment.clients, deployment.blueprint.settings.project
    for ending in instances.of_project(clients.ec2, project, instances.ENDING):
        instance_id, state = str(ending["InstanceId"]), ending["State"]["Name"]
        if state == "shutting-down":
            terminal.say(f"The EC2 host {instance_id} sends what it has, and ends. Its end is waited for.")
        else:
            terminal.say(f"The EC2 host {instance_id} was stopped, would never go on, and is terminated.")
        instances.end(clients, instance_id)
    running = next(instances.of_project(clients.ec2, project, instances.WORKING), None)
    if running is None:
        instance_id = _launch(deployment, planned, ssh_key, terminal)
    else:
        instance_id, name = str(running["InstanceId"]), instances.tag(running, RUN_TAG)
        if name != planned.name:
            raise StepFailed(
                f"The EC2 host {instance_id} of this project does another run, {name}.",
                f"Wait for its end, or end it: {_how_to_end(clients, instance_id)}",
            )
        terminal.say(f"The run {name} is under way.")
    if clients.target == "aws":  # LocalStack has no Session Manager
        terminal.say(f"A shell on it: aws ssm start-session --region {clients.region} --target {instance_id}")
    terminal.say(f"It ends itself. To end it now: {_how_to_end(clients, instance_id)}")
    return instance_id


def _launch(deployment: Deployment, planned: Run, ssh_key: str | None, terminal: Terminal) -> str:
    clients, blueprint = deployment.clients, deployment.blueprint
    host = _host(blueprint.settings.ec2)
    network = lookup.network_of(clients, blueprint, terminal.say)
    waiting = tries(host.market, network.subnets, lookup.zones_with(clients.ec2, host.instance_type))
    if not waiting:
        raise StepFailed(
            f"No zone of {blueprint.settings.region} with such a subnet has the type {host.instance_type}.",
            "Choose another instance_type in [ec2], other subnets in [network], or another region.",
            tuple(f"{subnet} in {zone}" for subnet, zone in sorted(network.subnets.items())),
        )
    _prepare(deployment, planned, network, _ssh(clients, host, ssh_key, terminal), terminal)
    before = _hosts_before(clients, blueprint.settings.project, planned)
    if before:
        terminal.say(_what_became_of(clients, planned, before[-1]))
    with terminal.step(titles.EC2_HOST) as done:
        token = f"{planned.name}-{len(before)}"  # AWS launches nothing for a token that it has seen
        names = host_name(blueprint), blueprint.role("ec2")  # of the launch template, and of the instance profile
        instance_id = instances.launch(clients, *names, host.instance_type, waiting, token, terminal.say)
        done.result = f"launched: {instance_id}"
    return instance_id


def _prepare(
    deployment: Deployment, planned: Run, network: Network, ssh: tuple[str, str] | None, terminal: Terminal
) -> None:
    """Make what a launch needs, the data in S3 included. Raises StepFailed."""
    clients, blueprint = deployment.clients, deployment.blueprint
    host = _host(blueprint.settings.ec2)
    ami = lookup.newest_ami(clients, host.ami_parameter)
    resources = of_run(clients, blueprint, host, planned, ami, network, ssh)
    way_to_s3 = [one for one in network_resources.wanted(clients, blueprint) if one.title == titles.S3_ENDPOINT]
    wanted = [one for one in way_to_s3 if one.is_wanted]
    engine.apply([*deployment.data_in_s3(terminal), *wanted, *resources], terminal)


def _ssh(clients: Clients, host: Ec2Settings, ssh_key: str | None, terminal: Terminal) -> tuple[str, str] | None:
    """The block that may come in by ssh, and the public key; None where nothing is opened. Raises StepFailed."""
    if not host.ssh_from or ssh_key == NO_KEY:
        return None
    if clients.target == "local" and ssh_key is None:
        terminal.say("No port is opened to ssh: nothing would listen on this machine. A key that is named opens it.")
        return None
    named = Path(ssh_key) if ssh_key else None
    return lookup.ssh_block(clients, host.ssh_from), lookup.public_key(named, Path.home() / ".ssh")


def _hosts_before(clients: Clients, project: str, planned: Run) -> list[str]:
    """The ids of all hosts that have tried this run, the one that wrote to S3 last at the end."""
    bucket, prefix = location(planned.results).values()
    wrote = dict[str, Any]()
    for page in clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/i-"):
        for one in page.get("Contents", ()):
            instance_id = one["Key"].removeprefix(f"{prefix}/").partition("/")[0]
            wrote[instance_id] = max(one["LastModified"], wrote.get(instance_id, one["LastModified"]))
    known = {
        str(one["InstanceId"])
        for one in instances.of_project(clients.ec2, project)
        if instances.tag(one, RUN_TAG) == planned.name
    }
    return [*sorted(known - wrote.keys()), *sorted(wrote, key=lambda one: wrote[one])]


def _what_became_of(clients: Clients, planned: Run, instance_id: str) -> str:
    """How the host that tried this run last ended, and whether another goes on from there."""
    result = read_result(clients.s3, planned.results, instance_id)
    ended = f"as {result.status}{f': {result.why}' if result.why else ''}" if result else "without a result"
    place = location(f"{planned.results}/checkpoints/")
    listed = clients.s3.list_objects_v2(Bucket=place["Bucket"], Prefix=place["Key"], MaxKeys=1)
    then = "goes on from its checkpoint" if listed.get("Contents") else "begins anew, since it left no checkpoint"
    return f"The EC2 host {instance_id} ended {ended.rstrip('.')}. Another one {then}."


def _how_to_end(clients: Clients, instance_id: str) -> str:
    where = f" --endpoint-url {clients.endpoint}" if clients.endpoint else ""
    return f"aws{where} ec2 terminate-instances --region {clients.region} --instance-ids {instance_id}"
