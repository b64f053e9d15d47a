"""Plays a system from empty to clean on the local stage, and writes a page that sets what a person did by hand beside
what ran. However it ends, Ctrl-C included, no process and no container is left."""

import os
import time
import tomllib
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from infra import hosts, hyperparameters, images, presets
from infra.clients import chosen_port, connect
from infra.data import digits
from infra.deployment import load_data, settings_of
from infra.errors import StepFailed
from infra.hosts.host import Host
from infra.hosts.process import IAM
from infra.interrupts import Interrupts
from infra.paths import paths
from infra.rehearse import by_hand, loads, page
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.scenes import SCENES
from infra.rehearse.section import Section, Table
from infra.settings import DeploymentSettings
from infra.terminal import Terminal

PER_CLASS = 40  # digits: 28 to train, 6 to valid, 6 to test
SEARCHED = {"jobs": 4, "parallel": 2}  # (ours) where neither the preset nor the command line says how many
COMPRESSION = "STAGEMAKER_TIME_COMPRESSION"


@dataclass
class Played:
    """What has been played so far: the sections, and the seconds of each scene by its title. `now` is the scene that is
    played, empty before the first, and `failure` why the rehearsal ended there, or nothing."""

    sections: list[Section] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    now: str = ""
    failure: str = ""


def run(options: Namespace, interrupts: Interrupts, terminal: Terminal) -> None:
    """Play the system that the options name, and write its page. When a scene fails, or Ctrl-C comes, the stack is
    stopped, the page says so, and then the exception goes on."""
    if not options.preset:
        raise StepFailed("No system was named.", "Name one, or a file: PRESET=a")
    settings = searched(options)
    hyperparameters.check(settings)
    options.data = options.data or digits.make(paths().data / f"digits-{PER_CLASS}", PER_CLASS)
    name = Path(options.preset).stem.lower()
    folder = options.out or paths().state / "rehearse" / name
    began, played = time.monotonic(), Played()
    try:
        _play(options, settings, folder, played, interrupts, terminal)
    except BaseException as error:
        played.failure = reason_of(error)
        raise
    finally:
        if played.now:  # what did not begin leaves an earlier page as it is
            host = "in containers" if options.docker else "as processes"
            took = f"{name.upper()} {host}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {time.monotonic() - began:.0f} s"
            title, sections = page_of(name.upper(), took, played, by_hand.read().get(name.upper(), {}))
            terminal.say(f"Page: {page.write(folder, title, sections)}")


def searched(options: Namespace) -> DeploymentSettings:
    """Those that the options name; a preset without [tuning] searches with the few jobs of SEARCHED."""
    settings = settings_of(options)
    if "tuning" in tomllib.loads(presets.find(options.preset).read_text(encoding="utf-8")):
        return settings
    for name, value in SEARCHED.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return settings_of(options)


def _play(
    options: Namespace,
    settings: DeploymentSettings,
    folder: Path,
    played: Played,
    interrupts: Interrupts,
    terminal: Terminal,
) -> None:
    """Every scene, on a stage of its own that is stopped at the end."""
    port, dataset = chosen_port(os.environ), load_data(options, terminal)
    host, compression = _host(options, settings)
    if host.images:
        host.check_can_start(port)  # before a build of minutes
        images.build(*host.images, *images.ALWAYS, *(("ec2-host",) if settings.ec2 else ()))
    running = None  # until it runs there is nothing of ours to stop
    try:
        with terminal.step("LocalStack") as done:
            running = host.start(port, stays=False, held=interrupts.held)
            done.result = f"up on {running.endpoint}"
        clients = connect("local", settings.region, {"AWS_ENDPOINT_URL": running.endpoint})
        rehearsal = Rehearsal(
            options, settings, dataset, clients, options.docker, compression, folder, terminal, interrupts
        )
        for number, scene in enumerate(SCENES, start=1):
            terminal.say(f"Scene {number} of {len(SCENES)}: {scene.title}")
            played.now, began = scene.title, time.monotonic()
            played.sections.append(scene.play(rehearsal))
            played.seconds[scene.title] = time.monotonic() - began
            terminal.say(f"Scene {number} took {played.seconds[scene.title]:.0f} s.")
    except (BotoCoreError, ClientError) as error:
        raise StepFailed(str(error), "Read LocalStack's last lines above.", host.log_tail()) from error
    finally:
        interrupts.no_more()
        if running:
            host.stop()


def _host(options: Namespace, settings: DeploymentSettings) -> tuple[Host, int]:
    """Where the stage runs, and how many times as fast as on AWS time passes for scaling: strict, whatever the
    environment says, and as compressed as it says, or as the load of this system needs."""
    model = loads.scaling_model(settings)
    wanted = loads.compression_for(model.endpoint.scaling if model else None)
    compression = os.environ.get(COMPRESSION) or str(wanted)
    environ = {**os.environ, COMPRESSION: compression, "STAGEMAKER_IAM": IAM}
    if not compression.isdecimal() or int(compression) < 1:
        raise StepFailed(f"{COMPRESSION}={compression} is not a whole number from 1 on.", "Unset it.")
    return hosts.choose(docker=options.docker, environ=environ), int(compression)


def page_of(name: str, took: str, played: Played, told: Mapping[str, str]) -> tuple[str, list[Section]]:
    """The title of the page, and its sections. `told` is what the author of the system did by hand, or nothing."""
    here = {key: value for section in played.sections for key, value in section.here.items()}
    failed = f"It ended in the scene “{played.now}”: {played.failure}" if played.failure else ""
    sentences = (
        f"{took}. From empty to clean on the local stage, whose IAM refuses what no policy allows.",
        "Instance types are those that AWS is asked for; here all runs on the cores of this machine.",
        *([failed] if failed else []),
    )
    rows = (*((scene, f"{seconds:.1f}") for scene, seconds in played.seconds.items()),)
    total = ("in all", f"{sum(played.seconds.values()):.1f}")
    times = Section("Times", tables=(Table(("Scene", "Seconds"), (*rows, total)),))
    outcome = Section("It failed" if failed else "It ran to the end", sentences)
    beside = [by_hand.beside(told, here)] if told else []
    return f"Rehearsal of system {name}", [outcome, *beside, *played.sections, times]


def reason_of(error: BaseException) -> str:
    """In a sentence or several."""
    if isinstance(error, BaseExceptionGroup):
        return " ".join(reason_of(one) for one in error.exceptions)
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted."
    return error.reason if isinstance(error, StepFailed) else str(error)
