"""Provisions the stack on a running LocalStack (`--target local`): `up` makes what is missing and says what it changed,
`train` the part of it up to the trained model, `down` deletes all of it. A second `up` changes nothing."""

import argparse
import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from infra import command, dataset, digits, steps
from infra.clients import Clients, connect
from infra.errors import StepFailed
from infra.paths import CHECKOUT, paths
from infra.plan import Plan
from infra.presets import settings_for
from infra.resources import UNCHANGED
from infra.resources.storage import File
from infra.settings import SYSTEMS, Settings
from infra.steps import World
from infra.terminal import Terminal

HANDLER = CHECKOUT / "containers" / "lambda" / "handler.py"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that describe a deployment; `demo` takes them too."""
    default = Settings()
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ["DATA"]) if os.environ.get("DATA") else None,
        help="folder of train/ valid/ test/ of class folders (default: $DATA, else scikit-learn's digits)",
    )  # fmt: skip
    parser.add_argument("--project", default=default.project, help="begins every name (default: %(default)s)")
    parser.add_argument("--region", default=default.region, help="default: %(default)s")
    parser.add_argument("--system", choices=SYSTEMS, default=default.system, help="the Lambda's form (default: E)")
    parser.add_argument("--pretrained", type=Path, help="starting weights, sent as the channel `pretrained`")
    parser.add_argument(
        "--images", choices=("built", "pushed"), default="built",
        help="on this machine: the images as built here, or as `make push` put them into ECR (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="hyperparameters",
        help="a hyperparameter, such as epochs=5; may be given again",
    )  # fmt: skip


def settings_of(options: argparse.Namespace) -> Settings:
    """The options as settings, without hyperparameters. StepFailed for what AWS would not take."""
    try:
        return Settings(project=options.project, region=options.region, system=options.system)
    except ValueError as error:
        raise StepFailed(str(error), "Mend the option.") from None


def load_data(folder: Path | None) -> dataset.Dataset:
    """The user's data set, or the digits, written first if need be."""
    return dataset.load(folder.resolve() if folder else digits.make(paths().data / "digits"))


def world_of(options: argparse.Namespace, clients: Clients, data: dataset.Dataset, terminal: Terminal) -> World:
    """Everything that the steps need."""
    chosen = settings_for(data, settings_of(options))
    settings = replace(chosen, hyperparameters={**chosen.hyperparameters, **_pairs(options.hyperparameters)})
    weights = _weights(options.pretrained)
    digest = hashlib.sha256(f"{data.digest}{weights.sha256 if weights else ''}".encode()).hexdigest()
    built = clients.target == "local" and options.images == "built"
    plan = Plan(settings, clients.account, digest, pretrained=weights is not None, built=built)
    return World(clients, plan, data, HANDLER, terminal, weights)


def _weights(path: Path | None) -> File | None:
    if path is None:
        return None
    if not path.is_file():
        raise StepFailed(f"There is no file {path}.", "Give the starting weights: --pretrained <file>")
    with open(path, "rb") as file:
        return File(path, hashlib.file_digest(file, "sha256").hexdigest())


def _pairs(texts: list[str]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise StepFailed(f"The hyperparameter {text!r} has no value.", "Write it as NAME=VALUE.")
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def run(options: argparse.Namespace, terminal: Terminal) -> None:
    """`up` or `down`, as the options say. Raises StepFailed."""
    settings = settings_of(options)
    clients = connect(options.target, settings.region)
    if options.command == "down":
        count = steps.down(clients, Plan(settings, clients.account, ""), terminal)
        terminal.say(f"Deleted {count} resources." if count else "Nothing was there to delete.")
        return
    chosen = steps.TRAINING if options.command == "train" else steps.STEPS
    changes = steps.up(world_of(options, clients, load_data(options.data), terminal), chosen)
    terminal.summary()
    changed = sum(change != UNCHANGED for change in changes)
    terminal.say(
        f"{changed} of {len(changes)} steps changed something." if changed else "Nothing changed: all is as planned."
    )


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.bootstrap up|train|down --target local`: 0 when done, 1 when a step failed, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m infra.bootstrap", description=__doc__)
    parser.add_argument("command", choices=("up", "train", "down"), nargs="?", default="up")
    parser.add_argument("--target", choices=("local",), default="local", help="where (default: %(default)s)")
    add_options(parser)
    options, terminal = parser.parse_args(arguments), Terminal()
    return command.run(
        lambda _: run(options, terminal), terminal,
        next_step="Is the stack running? `make start` starts it, `make up` in containers.",
        interrupted="Interrupted. Run it again to go on, or `down` to delete what is there.",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
