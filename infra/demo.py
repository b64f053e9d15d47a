"""The whole path on one machine, told on the terminal: data, training, endpoint, function, proof; then everything is
stopped and deleted, or kept where the user wants it. However it ends, Ctrl-C included, no process and no container is
left."""

import os
from argparse import Namespace

from botocore.exceptions import BotoCoreError, ClientError

from infra import engine, hyperparameters, images, proof
from infra.blueprint import ALIAS
from infra.clients import chosen_port, connect
from infra.deployment import Deployment, deployment_of, existing, load_data, settings_of
from infra.errors import StepFailed
from infra.hosts.host import Host, RunningStack
from infra.interrupts import Interrupts
from infra.terminal import Terminal


def run(options: Namespace, host: Host, interrupts: Interrupts, terminal: Terminal) -> None:
    """The story from start to end. Raises StepFailed; then the stack is stopped, as on every other exception."""
    settings = settings_of(options)
    hyperparameters.check(settings)
    port = chosen_port(os.environ)
    with terminal.step("Data") as done:
        data = load_data(options, terminal)
        done.result = f"{data}, from {data.folder}"
    if host.images:
        host.check_can_start(port)  # before a build of minutes
        with terminal.step("Images") as done:
            done.result = images.build(*host.images, *images.ALWAYS)
    running, kept = None, False  # until it runs there is nothing of ours to stop
    try:
        with terminal.step("LocalStack") as done:
            running = host.start(port, stays=options.keep, held=interrupts.held)
            done.result = f"up on {running.endpoint}"
        clients = connect("local", settings.region, {"AWS_ENDPOINT_URL": running.endpoint})
        deployment = deployment_of(options, clients, data)
        engine.apply(deployment.resources(terminal), terminal)
        _prove(deployment, host, terminal)
        if options.keep:
            kept = True
        else:
            _clean_up(deployment, host, terminal)
    except (BotoCoreError, ClientError) as error:
        raise _failure(error, host) from error  # here, while there is a log to show
    finally:
        interrupts.no_more()
        if running and not kept:
            host.stop()
    terminal.summary()
    if kept:
        _say_how(deployment, running, host, terminal)


def _prove(deployment: Deployment, host: Host, terminal: Terminal) -> None:
    for endpoint in deployment.blueprint.endpoints:
        with terminal.step("Accuracy through the endpoint") as done:
            done.result = f"{endpoint}: {proof.measure(deployment, endpoint, terminal)}"
    with terminal.step("Photos through the function") as done:
        done.result = proof.show_three(deployment, terminal)
    with terminal.step("Only this machine can reach it") as done:
        done.result = "listens on " + ", ".join(host.check_loopback())


def _clean_up(deployment: Deployment, host: Host, terminal: Terminal) -> None:
    with terminal.step("Clean up") as done:
        count = engine.destroy(existing(deployment.clients, deployment.blueprint, terminal), terminal.say)
        host.stop()
        done.result = f"{count} resources deleted, LocalStack stopped"


def _say_how(deployment: Deployment, running: RunningStack, host: Host, terminal: Terminal) -> None:
    blueprint = deployment.blueprint
    photo = deployment.dataset.split("test")[0]
    event = '{"s3": "s3://' + f"{blueprint.bucket}/data/{photo.key}" + '"}'
    terminal.say("The stack stays up. In another shell:")
    for line in (
        *running.how_to_talk(blueprint.settings.region).splitlines(),
        f"aws sagemaker describe-endpoint --endpoint-name {blueprint.called_endpoint}",
        f"aws sagemaker-runtime invoke-endpoint --endpoint-name {blueprint.called_endpoint} --content-type "
        f"{photo.content_type} --accept 'application/json;top-k=5' --body 'fileb://{photo.path}' /dev/stdout",
        f"echo '{event}' | aws lambda invoke --function-name {blueprint.function} --qualifier {ALIAS} "
        "--payload fileb:///dev/stdin /dev/stdout",
    ):
        terminal.console.print(line, soft_wrap=True, markup=False)
    terminal.say(f"To end it: {host.stop_command}")


def _failure(error: Exception, host: Host) -> StepFailed:
    """What the reader is told when AWS's interface fails, with the stack's last lines."""
    text = "Read LocalStack's last lines above, and run it again; KEEP=1 does not help, for what failed is stopped."
    return StepFailed(str(error), text, host.log_tail())
