"""Measures a model: accuracy, loss and the confusion matrix from logits, and the files that show them.

It needs only numpy and Pillow, so the same figures can be computed from the responses of an endpoint. Pillow draws the
confusion matrix, because matplotlib builds a font cache for seconds in every new container.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Evaluation:
    """`confusion[i, j]` counts the examples of class i that were predicted as class j. `loss` is the mean cross-entropy
    in nats. `top1` and `top5` are shares, 0 to 1."""

    classes: tuple[str, ...]
    top1: float
    top5: float
    loss: float
    confusion: Array

    def rows(self) -> list[dict[str, Any]]:
        """For each class: examples, precision, recall, F1 and the class that is most often predicted instead."""
        return [self._row(index) for index in range(len(self.classes))]

    def _row(self, index: int) -> dict[str, Any]:
        examples, predicted = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
        hits = int(self.confusion[index, index])
        wrong = self.confusion[index].copy()
        wrong[index] = 0
        return {
            "class": self.classes[index],
            "examples": examples,
            "precision": round(hits / predicted, 4) if predicted else 0.0,
            "recall": round(hits / examples, 4) if examples else 0.0,
            "f1": round(2 * hits / (examples + predicted), 4) if examples + predicted else 0.0,
            "most_confused_with": self.classes[int(wrong.argmax())] if wrong.any() else "",
        }


def evaluate(logits: Array, labels: Array, classes: Sequence[str]) -> Evaluation:
    """Figures for logits (N, classes) and labels (N,). Of equal logits, the lower class number ranks higher."""
    order = np.argsort(-logits, axis=1, kind="stable")  # (N, classes), best first
    hits = order == labels[:, None]
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    return Evaluation(
        classes=tuple(classes),
        top1=float(hits[:, 0].mean()),
        top5=float(hits[:, :5].any(axis=1).mean()),
        loss=_loss(logits, labels),
        confusion=confusion,
    )


def temperature(logits: Array, labels: Array) -> float:
    """The number by which logits (N, classes) are divided so that their softmax is calibrated: it makes the loss on
    these examples least (Guo et al., On Calibration of Modern Neural Networks, 2017). From 0.05 to 20."""
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):  # the search by golden section: the loss has one minimum
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _loss(logits / np.exp(left), labels) < _loss(logits / np.exp(right), labels):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _loss(logits: Array, labels: Array) -> float:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean())


def write(evaluation: Evaluation, folder: Path, split: str) -> None:
    """Writes `<split>_evaluation.json`, `<split>_classes.csv` and `<split>_confusion.png` into `folder`."""
    rows = evaluation.rows()
    figures = {"accuracy": evaluation.top1, "top5_accuracy": evaluation.top5, "loss": evaluation.loss}
    content = {"split": split, **figures, "classes": rows, "confusion": evaluation.confusion.tolist()}
    (folder / f"{split}_evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with (folder / f"{split}_classes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw(evaluation).save(folder / f"{split}_confusion.png")


def draw(evaluation: Evaluation) -> Image.Image:
    """The confusion matrix as a picture: one row for each true class, one column for each predicted class. A darker
    cell is a larger share of the true class."""
    count = len(evaluation.classes)
    cell = max(12, min(40, 1200 // count))
    font = ImageFont.load_default(max(9, min(14, cell - 3)))
    margin = 24 + int(max(font.getlength(name) for name in evaluation.classes))
    side = margin + cell * count + 12
    image = Image.new("RGB", (side, side + 28), "white")
    pen = ImageDraw.Draw(image)
    pen.text((8, 6), f"true class (rows) and predicted class (columns): {evaluation.top1:.1%} right", "black", font)
    for index, name in enumerate(evaluation.classes):
        _label(image, pen, font, name, margin, margin + cell * index, cell)
    shares = evaluation.confusion / np.maximum(evaluation.confusion.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(np.ones((count, count), bool)):
        left, top, share = margin + cell * int(column), 28 + margin + cell * int(row), float(shares[row, column])
        colour = tuple(round(255 + (end - 255) * share) for end in (8, 48, 107))
        pen.rectangle((left, top, left + cell - 1, top + cell - 1), colour, outline=(225, 225, 225))
        if (number := int(evaluation.confusion[row, column])) and cell >= 16:
            ink = "white" if share > 0.5 else "black"
            pen.text((left + cell / 2, top + cell / 2), str(number), ink, font, anchor="mm")
    return image


def _label(
    image: Image.Image, pen: ImageDraw.ImageDraw, font: Any, name: str, margin: int, offset: int, cell: int
) -> None:
    """Draws the class name to the left of its row and, turned by 90 degrees, above its column."""
    pen.text((margin - 6, 28 + offset + cell / 2), name, "black", font, anchor="rm")
    strip = Image.new("RGB", (margin - 6, cell), "white")
    ImageDraw.Draw(strip).text((0, cell / 2), name, "black", font, anchor="lm")
    image.paste(strip.rotate(90, expand=True), (offset, 28))
