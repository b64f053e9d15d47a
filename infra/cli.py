"""The command line: one table of verbs with their options and what they say. `infra.verbs`, which does the work, is
imported only when a verb runs, so that `--help` answers at once."""

import os
import sys
from argparse import ArgumentError, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from infra.paths import paths
from infra.settings import EARLY_STOPPING, MAX_TRAINING_S, STRATEGIES, SYSTEMS, DeploymentSettings
from infra.typed import make

_DEFAULTS = DeploymentSettings()
SCALED_SYSTEMS = ("A", "B", "C", "D", "E", "target-1500")
MAX_LOAD_CONNECTIONS = 1000
_MAY_YOU = f"May you do it? `{make('explain')} ROLE=deployer` prints what a deployment needs. Then run this again."
_IS_IT_RUNNING = f"Is the stack running? `{make('start')}` starts it, `{make('up')}` in containers."


@dataclass(frozen=True)
class Verb:
    """What a user can do. `next_step` is the advice when AWS's interface fails, `interrupted` is said on Ctrl-C."""

    name: str
    summary: str
    add_options: Callable[[ArgumentParser], None]
    next_step: str
    interrupted: str = "Interrupted."


class _Parser(ArgumentParser):
    """Says what is wrong with the options in one line and where the right ones are, without the list of all. A choice
    that an environment variable makes is checked as one of the command line."""

    def error(self, message: str) -> NoReturn:
        """Ends the command with code 2."""
        self.exit(2, f"Failed: {message}\nNext: `{self.prog} --help` says what it takes.\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, which does not check the choices of defaults."""
        found, others = super().parse_known_args(args, namespace)
        for action in self._actions:
            value = getattr(found, action.dest, None)
            if isinstance(value, str) and action.choices is not None and value not in action.choices:
                self.error(str(ArgumentError(action, f"{value!r} is none of {', '.join(action.choices)}")))
        return found, others


def main(arguments: list[str] | None = None) -> int:
    """Run the verb that the arguments name. The exit code: 0 when it is done, 1 when not, 130 on Ctrl-C. Raises
    SystemExit with code 2 for arguments that are none."""
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help()
        raise SystemExit(2)
    options = parser.parse_args(arguments)
    verb: Verb = options.verb

    from infra import command, verbs
    from infra.terminal import Terminal

    terminal = Terminal()
    return command.run(
        lambda interrupts: verbs.RUN[verb.name](verbs.Call(options, terminal, interrupts)), terminal,
        next_step=_next_step(verb, options), interrupted=verb.interrupted,
    )  # fmt: skip


def _next_step(verb: Verb, options: Namespace) -> str:
    """The advice when AWS's interface fails."""
    is_aws = getattr(options, "target", "local") == "aws"  # not every verb has a target
    return _MAY_YOU if is_aws and verb.next_step == _IS_IT_RUNNING else verb.next_step


def _parser() -> ArgumentParser:
    parser = _Parser(prog="python -m infra", description="Runs the stack, and deploys the workload on it.")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        one = verbs.add_parser(
            verb.name, help=verb.summary, description=f"{verb.summary[0].upper()}{verb.summary[1:]}."
        )
        one.set_defaults(verb=verb)
        verb.add_options(one)
    return parser


def _no_options(parser: ArgumentParser) -> None:
    """The verb takes none."""


def _add_docker(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--docker", action="store_true", default=_is_set("DOCKER"), help="in containers, not processes (or DOCKER=1)"
    )


def _add_target(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--target", choices=("local", "aws"), default="local", help="the stack on this machine, or AWS (default: local)"
    )


def _add_region(parser: ArgumentParser) -> None:
    parser.add_argument("--region", default=_DEFAULTS.region, help="default: %(default)s")


def _add_place(parser: ArgumentParser) -> None:
    _add_target(parser)
    _add_region(parser)


def _add_project(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--preset", default=os.environ.get("PRESET") or None, metavar="NAME|FILE",
        help="what is deployed: one of presets/ by its name (a to e), or a file of that form; other options win over "
        "it (default: $PRESET, else presets/default.toml)",
    )  # fmt: skip
    parser.add_argument("--project", help=f"begins every name (default: the preset's, {_DEFAULTS.project})")
    parser.add_argument("--region", help=f"default: the preset's, {_DEFAULTS.region}")


def _add_destination(parser: ArgumentParser) -> None:
    _add_target(parser)
    _add_project(parser)


def _add_data_folder(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ["DATA"]) if os.environ.get("DATA") else None,
        help="folder of train/ valid/ test/ of class folders (default: $DATA, else scikit-learn's digits)",
    )  # fmt: skip


def _add_content(parser: ArgumentParser) -> None:
    _add_project(parser)
    _add_data_folder(parser)
    parser.add_argument(
        "--system", choices=SYSTEMS, type=_system,
        help=f"the function's form (default: the preset's, {_DEFAULTS.function.system})",
    )  # fmt: skip
    parser.add_argument("--pretrained", type=Path, help="starting weights, sent as the channel `pretrained`")
    parser.add_argument(
        "--images", choices=("built", "pushed"), default="built",
        help="on this machine: the images as built here, or as `make push` put them into ECR (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--image-tag", default=os.environ.get("IMAGE_TAG") or None, metavar="TAG",
        help="of images in ECR: the tag that `push` gave them (default: $IMAGE_TAG, else the checkout's commit)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="hyperparameters",
        help="a hyperparameter, such as epochs=5; may be given again",
    )  # fmt: skip
    _add_function(parser)


def _add_function(parser: ArgumentParser) -> None:
    environ = os.environ
    parser.add_argument(
        "--reserved", type=int, default=environ.get("RESERVED") or None, metavar="NUMBER",
        help="invocations of the function at once (default: $RESERVED, else the preset's, else what the account has "
        "left)",
    )  # fmt: skip
    parser.add_argument(
        "--provisioned", type=int, default=environ.get("PROVISIONED") or None, metavar="NUMBER",
        help="environments of the function that wait warm (default: $PROVISIONED, else the preset's, else none)",
    )  # fmt: skip
    parser.add_argument(
        "--url", action="store_true", default=_is_set("FUNCTION_URL"),
        help="give the function an address: on this machine for anybody, on AWS for callers that IAM allows (or "
        "FUNCTION_URL=1)",
    )  # fmt: skip
    parser.add_argument(
        "--origin", action="append", default=environ.get("ORIGIN", "").split() or None, dest="origins",
        help="web pages that may call that address, such as http://localhost:3000; may be given again (or $ORIGIN)",
    )  # fmt: skip


def _add_demo(parser: ArgumentParser) -> None:
    _add_docker(parser)
    parser.add_argument("--keep", action="store_true", default=_is_set("KEEP"), help="leave the stack up (or KEEP=1)")
    _add_content(parser)


def _add_deploy(parser: ArgumentParser) -> None:
    _add_target(parser)
    _add_content(parser)
    parser.add_argument(
        "--over-budget", action="store_true", default=_is_set("OVER_BUDGET"),
        help="go on where the plan costs more than [budget] of the preset allows (or OVER_BUDGET=1)",
    )  # fmt: skip


def _add_train(parser: ArgumentParser) -> None:
    _add_deploy(parser)
    parser.add_argument(
        "--best", action="store_true", default=_is_set("BEST"),
        help="with the hyperparameters that the project's last tuning job found (or BEST=1)",
    )  # fmt: skip


def _add_tune(parser: ArgumentParser) -> None:
    _add_deploy(parser)
    _add_search(parser)


def _add_search(parser: ArgumentParser) -> None:
    tuning = _DEFAULTS.tuning
    parser.add_argument(
        "--jobs", type=int, default=os.environ.get("JOBS") or None,
        help=f"in all (default: $JOBS, else the preset's, {tuning.jobs})",
    )  # fmt: skip
    parser.add_argument(
        "--parallel", type=int, default=os.environ.get("PARALLEL") or None,
        help=f"at once (default: $PARALLEL, else the preset's, {tuning.parallel})",
    )  # fmt: skip
    parser.add_argument("--strategy", choices=STRATEGIES, help=f"default: the preset's, {tuning.strategy}")
    parser.add_argument(
        "--early-stopping", choices=EARLY_STOPPING,
        help=f"stop jobs that are worse than the median (default: the preset's, {tuning.early_stopping})",
    )  # fmt: skip


def _add_rehearse(parser: ArgumentParser) -> None:
    _add_docker(parser)
    _add_content(parser)
    _add_search(parser)
    parser.add_argument(
        "--out", type=Path, default=Path(os.environ["OUT"]) if os.environ.get("OUT") else None,
        help="folder of the page (default: $OUT, else .stagemaker/state/rehearse/<preset>)",
    )  # fmt: skip


def _add_ec2_train(parser: ArgumentParser) -> None:
    _add_deploy(parser)
    parser.add_argument(
        "--detach", action="store_true", default=_is_set("DETACH"), help="launch it and do not follow it (or DETACH=1)"
    )
    parser.add_argument(
        "--ssh-key", default=os.environ.get("SSH_KEY") or None, metavar="FILE",
        help="the public key for ssh where the preset opens it, or `none` to open nothing (default: $SSH_KEY, else "
        "that of ~/.ssh; on this machine none)",
    )  # fmt: skip


def _add_plan(parser: ArgumentParser) -> None:
    _add_target(parser)
    _add_content(parser)
    parser.add_argument("--destroy", action="store_true", help="show what `destroy` would delete instead")
    parser.add_argument(
        "--hours", type=_hours, default=os.environ.get("HOURS") or None,
        help="a guess how long one training job takes, for its estimated cost on AWS (default: $HOURS, else only the "
        "cost at worst)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="write the plan and the cost as one JSON document")


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MAX_TRAINING_S / 3600:
        raise ArgumentTypeError(f"{text} is not a number of hours, above 0 and up to {MAX_TRAINING_S // 3600}")
    return hours


def _add_destroy(parser: ArgumentParser) -> None:
    _add_target(parser)
    _add_project(parser)
    parser.add_argument(
        "--yes", action="store_true", default=_is_set("YES"), help="delete data without a question (or YES=1)"
    )
    parser.add_argument(
        "--ask", action="store_true", default=_is_set("ASK"), help="ask on this machine, too, as on AWS (or ASK=1)"
    )


def _add_invoke(parser: ArgumentParser) -> None:
    parser.add_argument("image", type=Path, nargs="?", default=os.environ.get("IMAGE") or None, help="default: $IMAGE")
    _add_endpoint(parser)


def _add_endpoint(parser: ArgumentParser) -> None:
    _add_destination(parser)
    parser.add_argument(
        "--endpoint", default=os.environ.get("ENDPOINT") or None,
        help="its name (default: $ENDPOINT, else that of the preset which the function calls)",
    )  # fmt: skip


def _add_load(parser: ArgumentParser) -> None:
    load = parser.add_mutually_exclusive_group()
    load.add_argument(
        "--curve", default=os.environ.get("CURVE") or None, metavar="KIND:RATES",
        help="requests per second over time: constant:10; step:2,10@60,2@180 is 2, from second 60 on 10, from 180 on "
        "2; ramp:0,20@300 rises for 300 s; sine:2,10@60 has a period of 60 s; file:rates.csv has lines `second,rate` "
        "(default: $CURVE)",
    )  # fmt: skip
    load.add_argument(
        "--rate",
        type=float,
        default=os.environ.get("RATE") or None,
        help="requests per second (default: $RATE, else 5)",
    )
    parser.add_argument("--seconds", type=float, help="how long (default: what the curve says, 60 for a constant rate)")
    parser.add_argument(
        "--seed", type=int, default=os.environ.get("SEED") or None,
        help="requests at random moments, as of many users, the same for the same seed (default: $SEED, else evenly)",
    )  # fmt: skip
    parser.add_argument(
        "--through", choices=("endpoint", "function", "url"), default=os.environ.get("THROUGH") or "endpoint",
        help="call the endpoint itself, the function before it by Lambda's Invoke, or that function's URL (default: "
        "$THROUGH, else endpoint)",
    )  # fmt: skip
    parser.add_argument(
        "--system", choices=SCALED_SYSTEMS, type=_system, default=os.environ.get("SYSTEM") or None,
        help="scale the endpoint as this system did (target-1500: as one seen on a live account), for the time of the "
        "load, under a load that makes it scale unless another is given (default: $SYSTEM, else the endpoint stays as "
        "it is)",
    )  # fmt: skip
    parser.add_argument(
        "--compare", action="store_true", default=_is_set("COMPARE"),
        help="the same load a second time without scaling, on one page (or COMPARE=1)",
    )  # fmt: skip
    _add_endpoint(parser)
    parser.add_argument(
        "--image", type=Path, default=os.environ.get("IMAGE") or None, help="the photo to send (default: $IMAGE, else "
        "the first test photo of the data set)",
    )  # fmt: skip
    parser.add_argument(
        "--connections", type=_connections, default=64, help="requests in flight at most (default: %(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=70.0, help="seconds for an answer (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder of the page (default: a new one in .stagemaker/state/load)")
    _add_data_folder(parser)


def _system(text: str) -> str:
    return text.upper() if len(text) == 1 else text


def _connections(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LOAD_CONNECTIONS:
        raise ArgumentTypeError(f"{text} is not a number from 1 to {MAX_LOAD_CONNECTIONS}")
    return int(text)


def _add_policy(parser: ArgumentParser) -> None:
    environ = os.environ
    parser.add_argument(
        "role", nargs="?", default=environ.get("ROLE") or None,
        help="a role's name, user/<name>, root, or an ARN (default: $ROLE)",
    )  # fmt: skip
    parser.add_argument(
        "--form", choices=("json", "template", "table"), default=environ.get("FORM") or "json",
        help="json: for this account; template: with ${account} and ${region}, as Terraform's templatefile reads it; "
        "table: with the calls that need each statement, and what the role's policies do not allow (default: $FORM, "
        "else json)",
    )  # fmt: skip
    parser.add_argument(
        "--group", action="append", default=environ.get("GROUP", "").split() or [], metavar="PATTERN",
        help="a pattern for names that each run makes anew, such as 'train-*'; may be given again (or $GROUP)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path(environ["OUT"]) if environ.get("OUT") else None,
        help="a file to write to (default: $OUT, else the terminal)",
    )  # fmt: skip
    parser.add_argument("--account", help="twelve digits (default: that of the local credentials)")


def _add_explain(parser: ArgumentParser) -> None:
    environ = os.environ
    parser.add_argument(
        "role", nargs="?", default=environ.get("ROLE") or None,
        help="training, hosting, lambda, ec2, notebook, deployer, bucket, s3-endpoint, data-bucket, data-key or key "
        "(default: $ROLE, else all)",
    )  # fmt: skip
    _add_project(parser)
    parser.add_argument("--account", help="twelve digits (default: the preset's, else that of the local credentials)")
    parser.add_argument("--json", action="store_true", help="write trust, policy and reasons as one JSON document")


def _add_push(parser: ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as trainer (default: all that are built)")
    parser.add_argument("--build", action="store_true", help="build what is pushed first")
    parser.add_argument(
        "--dirty", action="store_true", default=_is_set("DIRTY"),
        help="also images that were built from files which are in no commit: their tag says so (or DIRTY=1)",
    )  # fmt: skip
    parser.add_argument("--delete", action="store_true", help="delete the images' repositories instead")
    parser.add_argument("--yes", action="store_true", help="with --delete: without asking")
    _add_target(parser)
    _add_project(parser)


def _add_data(parser: ArgumentParser) -> None:
    parts = parser.add_subparsers(metavar="PART", required=True, dest="part")
    fetch = parts.add_parser("fetch", help="download and unpack the 133 dog breeds; run it again to resume")
    fetch.add_argument("--url", help="the archive (default: the publisher's)")
    fetch.add_argument("--sha256", default="", help="the archive's digest, if you know it: any other is refused")
    fetch.add_argument(
        "--to", type=Path, default=paths().data / "dogImages", dest="folder", help="default: .stagemaker/data/dogImages"
    )
    check = parts.add_parser("check", help="say whether a folder is a data set")
    check.add_argument("folder", type=Path)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


_GO_ON = "Interrupted. Run it again to go on, or `destroy` to delete what is there."
VERBS = (
    Verb(
        "demo", "train, deploy and call a real model on this machine, then delete everything again",
        _add_demo, "Please report this.", "Interrupted: everything was stopped.",
    ),
    Verb(
        "rehearse", "play a system from empty to clean on this machine, and write a page about it",
        _add_rehearse, "Please report this.", "Interrupted: everything was stopped.",
    ),
    Verb(
        "start", "start LocalStack with the plugin on 127.0.0.1:$PORT, and wait until it answers",
        _add_docker, "Read LocalStack's log: .stagemaker/state/log", "Interrupted: everything was stopped.",
    ),
    Verb("stop", "stop the stack and all that it started", _add_docker, "Run it again."),
    Verb("status", "say whether the stack runs, and how to talk to it", _add_place, "Run it again."),
    Verb("logs", "follow the log of the stack", _add_place, "Run it again.", "The stack goes on."),
    Verb("plan", "show what `deploy` would change and cost, and change nothing", _add_plan, _IS_IT_RUNNING),
    Verb(
        "deploy", "make what is missing and change what differs; a second run changes nothing",
        _add_deploy, _IS_IT_RUNNING, _GO_ON,
    ),
    Verb("train", "do the part of `deploy` up to the trained model", _add_train, _IS_IT_RUNNING, _GO_ON),
    Verb("tune", "search for the best hyperparameters, and draw what was found", _add_tune, _IS_IT_RUNNING, _GO_ON),
    Verb(
        "ec2-train", "train on an EC2 host, which ends itself, and set it beside the training job",
        _add_ec2_train, _IS_IT_RUNNING, "Interrupted. The host goes on and ends itself: run it again to follow it.",
    ),
    Verb(
        "destroy", "delete all that `deploy` ever made for the project, last first",
        _add_destroy, _IS_IT_RUNNING, "Interrupted. Run it again to go on.",
    ),
    Verb(
        "invoke", "ask the endpoint what is in a photo", _add_invoke,
        f"Is there an endpoint? `{make('deploy')}` makes it.",
    ),
    Verb(
        "notebook", "start the notebook instance where it is stopped, and print an address that opens it for 5 minutes",
        _add_destination, _IS_IT_RUNNING, "Interrupted. It goes on to start.",
    ),
    Verb(
        "load", "send requests to the endpoint at a rate over time, and write a page about what came of them",
        _add_load, _IS_IT_RUNNING,
    ),
    Verb(
        "policy", "write the smallest policy that allows what a role was seen to do", _add_policy, _IS_IT_RUNNING,
    ),
    Verb("explain", "say what each role of a deployment may do and why, and ask nobody", _add_explain, "Run it again."),
    Verb(
        "push", "push the images to ECR", _add_push,
        f"Does the stack run in containers (`{make('status')}`)? On AWS: do your credentials allow ecr:*Repository*, "
        "ecr:*Image* and ecr:*Layer*?",
        "Interrupted. Run it again: layers that were sent whole are not sent again.",
    ),
    Verb(
        "data", "fetch or check a data set of photos by class", _add_data,
        "Please report this.", "Interrupted. What was downloaded is kept: run it again to go on.",
    ),
    Verb("clean", "stop the stack, and remove the images that were built", _no_options, "Run it again."),
)  # fmt: skip
