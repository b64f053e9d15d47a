"""What of a record is sent, and what of record and answer is kept: DataProcessing of CreateTransformJob.

AWS source: "Associate Prediction Results with Input Records" in the developer guide.
"""

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from stagemaker.core.strict_json import read_json
from stagemaker.transform.paths import WHOLE, BadPath, Path

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
TYPES = (CSV, JSON, JSON_LINES)


@dataclass(frozen=True)
class Filters:
    """Of a job whose records, and answers, are of one of TYPES. Methods raise BadPath for a record that the filters
    cannot be applied to, or that is not of its type."""

    content_type: str
    input: Path
    output: Path
    joins: bool

    @property
    def reads_answers(self) -> bool:
        """Whether answers must be split into one for each record."""
        return self.joins or self.output.text != WHOLE

    def request(self, record: bytes) -> bytes:
        """What is sent of a record."""
        return record if self.input.text == WHOLE else self._write(self.input.select(self._read(record)))

    def result(self, record: bytes, answer: bytes) -> bytes:
        """What is kept of a record and its answer."""
        value = self._read(answer)
        if self.joins:
            value = self._join(self._read(record), value)
        return self._write(self.output.select(value))

    def _join(self, record: Any, answer: Any) -> Any:
        if self.content_type == CSV:
            return [*record, *answer]
        if isinstance(record, dict):
            return {**record, "SageMakerOutput": answer}
        return {"SageMakerInput": record, "SageMakerOutput": answer}

    def _read(self, data: bytes) -> Any:
        try:
            if self.content_type != CSV:
                return read_json(data)
            rows = list(csv.reader(io.StringIO(data.decode()), strict=True))
        except (ValueError, csv.Error) as error:
            raise BadPath(f"a record or its answer is not {self.content_type}: {error}") from error
        if len(rows) != 1:
            raise BadPath(f"a record or its answer has {len(rows)} rows of CSV, and not one")
        return rows[0]

    def _write(self, value: Any) -> bytes:
        if self.content_type != CSV:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        row = value if isinstance(value, list) else [value]
        written = io.StringIO()
        csv.writer(written, lineterminator="").writerow(row)
        return written.getvalue().encode()


def answers(data: bytes, count: int) -> list[bytes]:
    """The answer to a request of `count` records, one for each: its lines, or all of it for one. BadPath when they are
    not as many."""
    if count == 1:
        return [data.removesuffix(b"\n").removesuffix(b"\r")]
    lines = data.splitlines()
    if len(lines) != count:
        raise BadPath(f"the answer to {count} records has {len(lines)} lines")
    return lines
