"""`load`: a load on the endpoint, directly, through the function or through its URL, with a live table and at the end a
page."""

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import boto3
from botocore.credentials import Credentials

from infra.clients import LOCAL_CREDENTIALS, Clients, connect, make_client
from infra.data import digits
from infra.errors import StepFailed
from infra.interrupts import Interrupts
from infra.invoke import HOW_TO_NAME_A_PHOTO, read_photo
from infra.load import page, payload, scaling
from infra.load.curve import Curve, constant, due_times, parse
from infra.load.generator import LATE_LIMIT_S, Generator, Sender
from infra.load.live import HEADER, rows
from infra.load.observe import Observer, Services, Variant, variant_of
from infra.load.requests import Connection, Request
from infra.load.scaling import SYSTEMS, curve_for
from infra.load.summary import Run
from infra.paths import paths
from infra.resources.resource import find
from infra.terminal import Terminal
from infra.typed import make

_DEFAULT_RATE = 5.0
_SHOW_EVERY_S = 0.5
_OPEN_LIMIT_S = 5.0  # after Ctrl-C, for requests that are open
_OBSERVE_EVERY_S = {"local": 1.0, "aws": 10.0}  # AWS throttles Describe calls


def run(options: Namespace, interrupts: Interrupts, terminal: Terminal) -> int:
    """Make the load that the options ask for, and write the page. The exit code: 130 after Ctrl-C. Raises StepFailed
    for options that cannot be meant, and when there is no endpoint."""
    chosen_curve(options)  # what is wrong with it is said before AWS is asked
    loads = prepared(options, connect(options.target, options.region), interrupts, terminal)
    try:
        loads.run()
    except KeyboardInterrupt:
        loads.is_interrupted = True
    finally:
        if loads.runs:
            folder = options.out or _new_folder(f"{loads.runs[0].began:%Y%m%d-%H%M%S}")
            terminal.say(f"Page: {page.write(folder, loads.runs)}")
    if loads.is_interrupted:
        terminal.say("Interrupted.")
    return 130 if loads.is_interrupted else 0


def prepared(options: Namespace, clients: Clients, interrupts: Interrupts, terminal: Terminal) -> "Loads":
    """What loads the endpoint of the options. Raises StepFailed when there is none in service."""
    session = boto3.Session(region_name=clients.region)
    client = partial(make_client, session, endpoint=clients.endpoint)
    services = Services(clients.sagemaker, client("application-autoscaling"), client("cloudwatch"))
    variant = _variant(services, options.endpoint)
    credentials = session.get_credentials() if clients.target == "aws" else Credentials(*LOCAL_CREDENTIALS.values())
    connection = partial(Connection, _request(options, clients), credentials, clients.region, options.timeout)
    return Loads(options, clients, services, variant, connection, interrupts, terminal)


@dataclass
class Loads:
    """One load, or two of the same curve, on one variant. `connection` makes a new sender."""

    options: Namespace
    clients: Clients
    services: Services
    variant: Variant
    connection: Callable[[], Sender]
    interrupts: Interrupts
    terminal: Terminal
    runs: list[Run] = field(default_factory=list)
    is_interrupted: bool = False

    def run(self) -> None:
        """Load the variant as it is; or scaled as a system, and after that, to compare, as it is."""
        if self.options.system is None:
            self.load("as it is", "as it is", chosen_curve(self.options))
            return
        before = scaling.before(self.services, self.variant)
        instances = f"{before.instances} instance{'' if before.instances == 1 else 's'}"
        try:
            self._load_scaled()
        finally:
            with self.interrupts.held(), self.terminal.step("Put back what was there") as step:
                scaling.put_back(self.services, self.variant, before, self.clients.poll_s)
                step.result = instances
        if self.options.compare and not self.is_interrupted:
            self.load("without scaling", f"none, {instances}", self.runs[0].curve)

    def _load_scaled(self) -> None:
        options, settings = self.options, SYSTEMS[self.options.system]
        with self.terminal.step(f"Scale as system {options.system}") as step:
            compression = scaling.scale(self.services, self.variant, settings)
            step.result = str(settings)
        curve = chosen_curve(options, compression)
        self.load(f"scaled as system {options.system}", str(settings), curve)

    def load(self, title: str, scaled: str, curve: Curve) -> None:
        """Send until the curve ends, or Ctrl-C comes. `title` names the run, `scaled` says how the variant scales."""
        due_s = _meant(partial(due_times, curve, self.options.seed))
        generator = Generator(due_s, self.connection, self.options.connections)
        observe_every_s = _OBSERVE_EVERY_S[self.clients.target]
        observer = Observer(self.services, self.variant, generator.now_s, observe_every_s)
        called = f"{self.options.through} of {self.variant.endpoint}"
        self.terminal.say(f"{len(due_s):,} requests to the {called}, {title}: {curve.text}, {curve.seconds:g} s")
        ended_s, began = curve.seconds, datetime.now(UTC)
        generator.start()
        try:
            observer.start()
            with self.terminal.live_table(HEADER) as show:
                self._watch(generator, observer, curve.seconds, show)
        except KeyboardInterrupt:
            self.is_interrupted = True
            generator.stop()
            ended_s = min(ended_s, generator.now_s())
            deadline = time.monotonic() + _OPEN_LIMIT_S
            while generator.is_running() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            results = generator.finish()
        self.runs.append(Run(title, called, scaled, curve, began, ended_s, results, observer.stop()))

    def _watch(
        self, generator: Generator, observer: Observer, seconds: float, show: Callable[[list[tuple[str, ...]]], None]
    ) -> None:
        """Show how it stands until every request has ended or should have."""
        limit_s = seconds + LATE_LIMIT_S + self.options.timeout
        while True:
            now_s, runs = generator.now_s(), generator.is_running()
            show(rows(generator.progress(), observer.seen()))
            if now_s > limit_s or (now_s > seconds and not runs):
                return
            time.sleep(_SHOW_EVERY_S)


def chosen_curve(options: Namespace, compression: int = 1) -> Curve:
    """What the options say; where they say nothing, one that makes the system scale. Raises StepFailed."""
    if options.compare and options.system is None:
        raise StepFailed("There is nothing to compare.", "Name a system too, such as --system D.")
    if not options.curve and options.rate is None and options.system:
        return _meant(partial(curve_for, SYSTEMS[options.system], compression, options.seconds))
    rate = _DEFAULT_RATE if options.rate is None else options.rate
    curve = _meant(partial(parse, options.curve) if options.curve else partial(constant, rate))
    return curve if options.seconds is None else _meant(partial(curve.lasting, options.seconds))


def _meant[T](call: Callable[[], T]) -> T:
    """What it returns. Raises StepFailed with the sentence of a ValueError, and for a file that cannot be read."""
    try:
        return call()
    except (ValueError, OSError) as error:
        raise StepFailed(str(error), "Mend the option; `--help` has examples.") from None


def _variant(services: Services, endpoint: str) -> Variant:
    described = find(services.sagemaker.describe_endpoint, EndpointName=endpoint)
    if described is None or not described.get("ProductionVariants"):
        raise StepFailed(f"There is no endpoint {endpoint} in service.", f"Make it: {make('deploy')}")
    return Variant(endpoint, variant_of(described)["VariantName"])


def _request(options: Namespace, clients: Clients) -> Request:
    photo = options.image or _first_photo(options.data)
    path, content_type = read_photo(photo, f"{make('load')} {HOW_TO_NAME_A_PHOTO}")
    if options.through == "endpoint":
        return payload.for_endpoint(clients, options.endpoint, content_type, path.read_bytes())
    if options.through == "url":
        return payload.for_url(clients, options.function, content_type, path.read_bytes())
    return payload.for_function(clients, options.function, options.endpoint, path.read_bytes())


def _new_folder(name: str) -> Path:
    """A folder whose name begins so; no other load gets it."""
    parent = paths().state / "load"
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))


def _first_photo(data: Path | None) -> Path | None:
    """Of the data set that the endpoint was made with: the user's, or the digits, which are written if need be."""
    folder = data or digits.make(paths().data / "digits")
    return next((path for path in sorted((folder / "test").rglob("*")) if path.is_file()), None)
