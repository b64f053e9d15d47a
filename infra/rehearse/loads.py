"""The load that makes an endpoint scale, beside one of the same training that does not, if there is one."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from infra.load import load, pictures
from infra.load.page import ACTIVITY, activity_rows, summary_rows
from infra.load.scaling import curve_for
from infra.load.summary import figures_of
from infra.rehearse.rehearsal import Rehearsal
from infra.rehearse.section import Section, Table
from infra.settings import DeploymentSettings, ModelSettings, ScalingSettings

HIGHEST_RATE = 30.0  # requests a second (ours): so many 2 cores answer beside all else
COMPRESSIONS = (12, 15, 20)  # (ours), of the factors of 60 that the stage knows: a minute of AWS takes 5 to 3 s


def play(rehearsal: Rehearsal) -> Section:
    """Load the endpoint that scales, and with the same curve one that does not."""
    scaled = scaling_model(rehearsal.preset)
    if scaled is None or scaled.endpoint.scaling is None:
        return Section("Scaling", ("No endpoint of this system scales.",), here={"scaling": "none"})
    models = [scaled, *plain_models(rehearsal.preset, scaled)[:1]]
    runs = [_load(rehearsal, model, scaled.endpoint.scaling) for model in models]
    return section(runs, scaled.endpoint.scaling)


def scaling_model(settings: DeploymentSettings) -> ModelSettings | None:
    """The model whose endpoint scales: the one that the function calls, if it does."""
    models = [settings.called_model, *settings.models]
    return next((model for model in models if model.endpoint.scaling), None)


def plain_models(settings: DeploymentSettings, scaled: ModelSettings) -> list[ModelSettings]:
    """Those that are trained alike and whose endpoints do not scale: it is the same model, so they can be compared."""
    return [one for one in settings.models if one.training == scaled.training and one.endpoint.scaling is None]


def compression_for(settings: ScalingSettings | None) -> int:
    """How many times as fast as on AWS time must pass: the most that needs no more than HIGHEST_RATE, since the rate of
    a load grows with it, or the least."""
    if settings is None:
        return COMPRESSIONS[0]
    highest = max(rate for _, rate in curve_for(settings, 1).points)
    return max((one for one in COMPRESSIONS if one * highest <= HIGHEST_RATE), default=COMPRESSIONS[0])


def _load(rehearsal: Rehearsal, model: ModelSettings, scaling: ScalingSettings) -> Mapping[str, Any]:
    """The figures of one load. Raises KeyboardInterrupt as Ctrl-C does."""
    endpoint = rehearsal.deployment.blueprint.endpoint(model)
    options = Namespace(
        endpoint=endpoint, through="endpoint", image=rehearsal.photo.path, seed=None, connections=64, timeout=70.0
    )
    loads = load.prepared(options, rehearsal.clients, rehearsal.interrupts, rehearsal.terminal)
    told = "none" if model.endpoint.scaling is None else str(model.endpoint.scaling)
    loads.load(endpoint, told, curve_for(scaling, rehearsal.compression))
    if loads.is_interrupted:
        raise KeyboardInterrupt
    return figures_of(loads.runs[0])


def section(runs: Sequence[Mapping[str, Any]], scaling: ScalingSettings) -> Section:
    """The figures of the load with scaling, and perhaps of one without."""
    compressed = runs[0]["compressed"]
    most = max((one["current"] for one in runs[0]["observations"]), default=0)
    changes = [one for one in runs[0]["activities"] if not one["not_scaled"]]
    sentences = [
        f"The endpoint {runs[0]['title']} had up to {most} instances, by {len(changes)} scaling activities.",
        *([f"{compressed[0].upper()}{compressed[1:]}."] if compressed else []),
        "Instances share the cores of this machine: what is seen is when scaling acts, not how much quicker more "
        "machines would be.",
    ]
    tables = [
        Table(("", *(run["title"] for run in runs)), tuple(summary_rows(runs)), "Requests"),
        *(
            Table(ACTIVITY, tuple(activity_rows(run)), f"Scaling activities of {run['title']}")
            for run in runs
            if run["activities"]
        ),
    ]
    return Section(
        "Scaling under load" if len(runs) == 1 else "The endpoint with scaling, and one without",
        tuple(sentences),
        tuple(tables),
        pictures=(pictures.draw(runs),),
        here={"scaling": f"{scaling}; under load up to {most}, by {len(changes)} activities"},
    )
