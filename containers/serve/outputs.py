"""Turns logits into the text of the answer, in the form that the headers of the request ask for.

By default every row is the image's raw logits in the order of the model's classes. A caller asks for labels and
probabilities by a parameter of Accept (`application/json;verbose=true`, `text/csv;top-k=3`) or by the custom attributes
that InvokeEndpoint passes on (`X-Amzn-SageMaker-Custom-Attributes: verbose=true,top-k=3`). `top-k` implies `verbose`;
its default is 5. Other parameters and attributes are ignored.

| Accept                | raw                 | verbose                                                      |
|-----------------------|---------------------|--------------------------------------------------------------|
| application/json      | [[-1.5, ...], ...]  | [[{"label": "...", "probability": 0.9}, ...], ...]           |
| application/jsonlines | [-1.5, ...] a line  | [{"label": "...", "probability": 0.9}, ...] a line           |
| text/csv              | -1.5,... a line     | header `image,rank,label,probability`, a line for each label |
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic_core import to_json  # a tenth of the json module's time for 133 numbers

from containers.serve.engines import Logits
from containers.serve.numbers import is_decimal, whole_number
from containers.serve.refused import Refused, quoted

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
MEDIA_TYPES = (JSON, JSON_LINES, CSV)
DEFAULT_TOP_K = 5
MAX_TOP_K = 999_999
_DECIMALS = 6  # more than a float32 logit holds


@dataclass(frozen=True)
class Form:
    """The form of an answer: a media type, and the number of labels in each row, or None for raw logits."""

    media: str
    top_k: int | None = None


@lru_cache(maxsize=64)  # callers send the same headers again and again
def negotiate(accept: str, custom_attributes: str = "") -> Form:
    """The form that the headers ask for. Raises Refused 406 for types that are not supported, 400 for wrong options."""
    form = _best(accept)
    pairs = custom_attributes.replace(";", ",").split(",")
    return _with_options(form, dict(_pair(pair) for pair in pairs if "=" in pair))


def render(logits: Logits, classes: Sequence[str], form: Form) -> str:
    """The answer's text. Raises ValueError when the model answered a value that is not finite."""
    if not np.isfinite(logits).all():
        raise ValueError("The model answered values that are not finite.")
    rows = (
        logits.astype(np.float64).round(_DECIMALS).tolist()
        if form.top_k is None
        else _ranked(logits, classes, form.top_k)
    )
    match form.media:
        case "text/csv":
            return _csv(rows, verbose=form.top_k is not None)
        case "application/jsonlines":
            return "".join(to_json(row).decode() + "\n" for row in rows)
    return to_json(rows).decode()


def _best(accept: str) -> Form:
    """The supported type with the highest quality; of equal ones the first. A wildcard means the first of
    MEDIA_TYPES that fits it."""
    best: tuple[float, Form] | None = None
    for part in accept.split(",") if accept.strip() else ["*/*"]:
        name, _, rest = part.strip().partition(";")
        options = dict(_pair(pair) for pair in rest.split(";") if "=" in pair)
        quality = _quality(options.get("q", "1"))
        media = next((known for known in MEDIA_TYPES if _matches(name.strip().lower(), known)), None)
        if media and quality > (best[0] if best else 0):
            best = (quality, _with_options(Form(media), options))
    if best is None:
        raise Refused(406, f"Accept {quoted(accept)} cannot be answered; accept {', '.join(MEDIA_TYPES)}.")
    return best[1]


def _matches(pattern: str, media: str) -> bool:
    return pattern in ("*/*", media, media.partition("/")[0] + "/*")


def _quality(text: str) -> float:
    return min(1.0, float(text)) if is_decimal(text) else 0.0


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip().strip('"').lower()


def _with_options(form: Form, options: dict[str, str]) -> Form:
    if (top_k := options.get("top-k")) is not None:
        number = whole_number(top_k)
        if number is None or not 1 <= number <= MAX_TOP_K:
            raise Refused(400, f"top-k must be a whole number from 1 to {MAX_TOP_K:,}, not {quoted(top_k)}.")
        return replace(form, top_k=number)
    match options.get("verbose"):
        case None:
            return form
        case "true":
            return replace(form, top_k=form.top_k or DEFAULT_TOP_K)
        case "false":
            return replace(form, top_k=None)
        case other:
            raise Refused(400, f"verbose must be true or false, not {quoted(other)}.")


def _ranked(logits: Logits, classes: Sequence[str], top_k: int) -> list[list[dict[str, Any]]]:
    """The top_k (all, if there are fewer) labels of each row with their softmax probabilities, best first."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return [
        [{"label": classes[index], "probability": round(float(row[index]), _DECIMALS)} for index in best]
        for row, best in zip(probabilities, order, strict=True)
    ]


def _csv(rows: Sequence[Sequence[Any]], *, verbose: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not verbose:
        writer.writerows(rows)
        return text.getvalue()
    writer.writerow(("image", "rank", "label", "probability"))
    for image, row in enumerate(rows):
        writer.writerows((image, rank, best["label"], best["probability"]) for rank, best in enumerate(row, start=1))
    return text.getvalue()
