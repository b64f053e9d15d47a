"""What each verb of the command line does: the table at the end has a function for each."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from rich.console import Console

from infra import (
    budget,
    demo,
    docker,
    engine,
    explain,
    hosts,
    hyperparameters,
    images,
    invoke,
    losses,
    policy,
    pushed,
    remains,
    tuning,
)
from infra.blueprint import Blueprint
from infra.clients import Clients, chosen_port, connect
from infra.data import dataset, fetch
from infra.data_bucket.denied import policy_told
from infra.deployment import (
    Deployment,
    best_hyperparameters,
    connect_to,
    data_of,
    deployment_of,
    existing,
    notebook_of,
    settings_of,
)
from infra.ec2 import train
from infra.errors import StepFailed
from infra.estimate import estimate, exceeded
from infra.hosts import aws
from infra.hosts.host import Host, RunningStack
from infra.interrupts import Interrupts
from infra.resource_policies import ResourcePolicy, of_others
from infra.resources import titles
from infra.resources.resource import Resource
from infra.settings import DeploymentSettings
from infra.terminal import Terminal
from infra.typed import make
from infra.wait import alone


@dataclass(frozen=True)
class Call:
    """A verb with its options, the terminal to write to, and the signals that may come."""

    options: Namespace
    terminal: Terminal
    interrupts: Interrupts


def _demo(call: Call) -> None:
    demo.run(call.options, hosts.choose(docker=call.options.docker), call.interrupts, call.terminal)


def _rehearse(call: Call) -> None:
    from infra.rehearse import rehearse  # matplotlib takes a second to import, which no other verb should wait for

    rehearse.run(call.options, call.interrupts, call.terminal)


def _start(call: Call) -> None:
    host, port = hosts.choose(docker=call.options.docker), chosen_port(os.environ)
    if host.images:
        host.check_can_start(port)  # before a build of minutes
        images.build(*host.images)
    _say_how(host, host.start(port, stays=True, held=call.interrupts.held))


def _stop(call: Call) -> None:
    with call.interrupts.held():
        print("Stopped." if hosts.choose(docker=call.options.docker).stop() else "Nothing ran.")


def _status(call: Call) -> int:
    if call.options.target == "aws":
        print("\n".join(aws.status(call.options.region)))
        return 0
    found = [(host, running) for host in hosts.every_host() if (running := host.status())]
    for host, running in found:
        _say_how(host, running)
    return 0 if found else _nothing_runs()


def _logs(call: Call) -> int:
    if call.options.target == "aws":
        print("\n".join(aws.logs(call.options.region)))
        return 0
    for host in hosts.every_host():
        if (code := host.follow_log()) is not None:
            return code
    return _nothing_runs()


def _say_how(host: Host, running: RunningStack) -> None:
    print(f"To talk to it:\n{running.how_to_talk()}\nTo end it: {host.stop_command}")


def _nothing_runs() -> int:
    if sys.platform == "linux":
        print(f"Nothing runs: {make('start')}, or in containers {make('up')}")
    else:
        print(f"Nothing runs: {make('up')}")
    return 1


def _plan(call: Call) -> None:
    options, today = call.options, datetime.now(UTC).date()
    found, policies = None, dict[str, ResourcePolicy]()
    if not options.destroy:
        hyperparameters.check(settings_of(options))
    if options.json:  # the document alone goes to stdout
        call = replace(call, terminal=Terminal(Console(highlight=False, stderr=True)))
    if options.destroy:
        plan = engine.plan_destroy(_existing(*_whose(call), call.terminal))
    else:
        deployment = _deployment(call)
        plan = engine.plan(deployment.resources(call.terminal))
        settings, stored = deployment.blueprint.settings, _stored_bytes(deployment)
        found = estimate(settings, stored, deployment.clients, today, options.hours)
        policies = of_others(deployment.blueprint, deployment.clients.caller)
    if options.json:
        document = {"plan": asdict(plan), **(found.document() if found else {"cost": None})}
        document |= {f"{name.replace('-', '_')}_policy": one.policy for name, one in policies.items()}
        print(json.dumps(document, indent=2, default=str))
        return
    for line in (*plan.lines(), *(found.lines() if found else [])):
        call.terminal.say(line)
    if options.destroy:
        return
    explain.tell(policies, call.terminal.say)
    if lacking := pushed.missing(deployment.blueprint.images):
        call.terminal.say(f"The registry lacks {' and '.join(lacking)}: `deploy` asks for `{make('push')}` first.")


def _checked(call: Call) -> Deployment:
    """What the options ask for. Raises StepFailed for what stands in its way, before anything is made."""
    hyperparameters.check(settings_of(call.options))
    deployment = _deployment(call)
    _check_budget(deployment, call)
    clients, images_of_registry = deployment.clients, deployment.blueprint.images
    pushed.check(images_of_registry, clients.ecr, clients.region)
    for image in images_of_registry.values():
        call.terminal.say(f"Image: {image.reference}")
    return deployment


def _check_budget(deployment: Deployment, call: Call) -> None:
    """Raises StepFailed for a deployment that costs more than its settings allow, unless the options do."""
    if not call.options.over_budget:
        settings, today = deployment.blueprint.settings, datetime.now(UTC).date()
        budget.require(exceeded(settings, _stored_bytes(deployment), deployment.clients, today))


def _stored_bytes(deployment: Deployment) -> int:
    """The data and the starting weights."""
    weights = [deployment.pretrained.path] if deployment.pretrained else []
    return sum(path.stat().st_size for path in (*(photo.path for photo in deployment.dataset.photos), *weights))


def _deploy(call: Call) -> None:
    deployment = _checked(call)
    with _policy_told(deployment, call):
        _apply(deployment.resources(call.terminal), call.terminal)
    _say_what_next(call)


def _say_what_next(call: Call) -> None:
    options = call.options
    target = "aws" if options.target == "aws" else ""
    same = "".join(f" {name}={value}" for name, value in (("PRESET", options.preset), ("TARGET", target)) if value)
    if not options.project:  # which make does not pass on
        call.terminal.say(f"Ask it: {make('invoke')} IMAGE=<photo>{same}. Delete it: {make('destroy')}{same}")


def _train(call: Call) -> None:
    deployment = _checked(call)
    jobs = [titles.of_model(titles.TRAINING_JOB, model.name) for model in deployment.blueprint.settings.models]
    with _policy_told(deployment, call):
        _apply(engine.needed_for(jobs, deployment.resources(call.terminal)), call.terminal)


def _tune(call: Call) -> None:
    deployment = _checked(call)
    with _policy_told(deployment, call):
        tuning.run(deployment, call.terminal)


def _policy_told(deployment: Deployment, call: Call) -> AbstractContextManager[None]:
    return policy_told(deployment.blueprint, deployment.clients.caller, call.terminal.say)


def _ec2_train(call: Call) -> None:
    deployment = _deployment(call)
    _check_budget(deployment, call)
    train.run(deployment, call.options, call.terminal)


def _apply(resources: list[Resource], terminal: Terminal) -> None:
    try:
        actions = engine.apply(resources, terminal)
    except KeyboardInterrupt:
        _say_left(resources, terminal)
        raise
    changed = sum(action != "unchanged" for action in actions)
    if not changed:
        terminal.say("Nothing changed: all is as planned.")
        return
    terminal.summary()
    terminal.say(f"{changed} of {len(actions)} steps changed something.")


def _say_left(resources: list[Resource], terminal: Terminal) -> None:
    left = engine.titles_left(resources, {step.title for step in terminal.steps})
    if left:
        terminal.say(f"Left to do: {', '.join(left)}. What was begun, such as a training job, goes on by itself.")


def _destroy(call: Call) -> None:
    options, terminal = call.options, call.terminal
    settings, clients = _whose(call)
    found = _existing(settings, clients, terminal)
    if options.ask or options.target == "aws":
        losses.ask(found, terminal, agreed=options.yes, how=f"YES=1 {make('destroy')}, or --yes")
    count = engine.destroy(found, terminal.say)
    terminal.say(f"Deleted {count} resources." if count else "Nothing was there to delete.")
    if options.target == "aws":
        remains.check(clients, settings.project, terminal.say)


def _deployment(call: Call) -> Deployment:
    """What the options ask for; what is wrong with them is said before AWS is asked."""
    options = call.options
    settings = settings_of(options)
    clients = connect_to(options.target, settings, call.terminal)
    data = data_of(options, settings, clients, call.terminal)
    best = None
    if getattr(options, "best", False):
        best = best_hyperparameters(clients, Blueprint(settings, clients.account, data_digest=""), call.terminal)
    return deployment_of(options, clients, data, best=best)


def _whose(call: Call) -> tuple[DeploymentSettings, Clients]:
    """The settings that the options name, and the clients of where they go."""
    settings = settings_of(call.options)
    return settings, connect_to(call.options.target, settings, call.terminal)


def _existing(settings: DeploymentSettings, clients: Clients, terminal: Terminal) -> list[Resource]:
    """What there may be of the project."""
    return existing(clients, Blueprint(settings, clients.account, data_digest=""), terminal)


def _invoke(call: Call) -> None:
    options = _with_endpoint(call.options)
    invoke.show_labels(options.image, options.endpoint, options.target, options.region, call.terminal)


def _notebook(call: Call) -> None:
    settings, clients = _whose(call)
    instance = notebook_of(clients, Blueprint(settings, clients.account, data_digest=""))
    if instance.read() is None:
        raise StepFailed(
            f"There is no notebook instance {instance.name}.",
            f"Deploy a preset with a table [notebook], such as PRESET=e {make('deploy')}.",
        )
    with call.terminal.step(instance.title) as done, alone(call.terminal.line):
        done.result = f"{instance.name} ({instance.start()})"
    call.terminal.say(f"Within 5 minutes: {instance.address()}")


def _load(call: Call) -> int:
    from infra.load import load  # matplotlib takes a second to import, which no other verb should wait for

    return load.run(_with_endpoint(call.options), call.interrupts, call.terminal)


def _with_endpoint(options: Namespace) -> Namespace:
    """The options with the endpoint that they mean, the function before it, and their region. An endpoint that is named
    has the function of a project of that name."""
    settings = settings_of(Namespace(preset=options.preset, project=options.project, region=options.region))
    blueprint = Blueprint(settings, account="", data_digest="")
    endpoint = options.endpoint or blueprint.called_endpoint
    function = blueprint.function if endpoint == blueprint.called_endpoint else f"{endpoint}-proxy"
    return Namespace(**{**vars(options), "endpoint": endpoint, "function": function, "region": settings.region})


def _policy(call: Call) -> None:
    options = call.options
    policy.show(options.role, options.form, options.group, options.out, options.account, call.terminal)


def _explain(call: Call) -> None:
    options = call.options
    settings = settings_of(options)
    blueprint = Blueprint(settings, options.account or settings.account or explain.LOCAL_ACCOUNT, data_digest="")
    explain.show(blueprint, options.role, options.json, call.terminal)


def _push(call: Call) -> None:
    options, settings = call.options, settings_of(call.options)
    if options.delete:
        clients = connect(options.target, settings.region, account=settings.account)
        repositories = images.repositories(clients, options.names)
        losses.ask(repositories, call.terminal, agreed=options.yes, how="--yes")
        if not engine.destroy(repositories, call.terminal.say):
            call.terminal.say("Nothing was there to delete.")
        return
    docker.require_engine()
    if options.build:
        images.refuse_dirty(dirty=options.dirty)
    clients = connect(options.target, settings.region, account=settings.account)  # before a build of minutes
    if options.build:
        images.build(*(options.names or images.NAMES), architecture=images.architecture_for(options.target))
    images.show(images.push(clients, settings, options.names, call.terminal, dirty=options.dirty), call.terminal)


def _data(call: Call) -> None:
    options = call.options
    if options.part == "fetch":
        fetch.fetch(options.url or fetch.DOG_IMAGES_URL, options.folder, options.sha256.lower(), call.terminal)
    found = dataset.load(options.folder)
    for remark in found.remarks:
        call.terminal.say(remark)
    call.terminal.say(f"{found}. Use it: DATA={found.folder} {make('demo')}")


def _clean(call: Call) -> None:
    with call.interrupts.held():
        stopped = [host.stop() for host in hosts.every_host()]
    print("Stopped." if any(stopped) else "Nothing ran.")
    print(f"{images.remove_built()} images removed.")


RUN: Mapping[str, Callable[[Call], int | None]] = {
    "demo": _demo,
    "rehearse": _rehearse,
    "start": _start,
    "stop": _stop,
    "status": _status,
    "logs": _logs,
    "plan": _plan,
    "deploy": _deploy,
    "train": _train,
    "tune": _tune,
    "ec2-train": _ec2_train,
    "destroy": _destroy,
    "invoke": _invoke,
    "notebook": _notebook,
    "load": _load,
    "policy": _policy,
    "explain": _explain,
    "push": _push,
    "data": _data,
    "clean": _clean,
}
