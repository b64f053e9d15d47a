"""One object through the model: cut into records, asked in order, and put together in a file of ours."""

import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from stagemaker.transform.filters import answers
from stagemaker.transform.plan import TransformPlan
from stagemaker.transform.splitting import BadRecord, batches, split

Ask = Callable[[bytes], bytes]  # the body of a request -> that of its answer; raises NoAnswer


class Cancelled(Exception):
    """The job is to end."""


@dataclass(frozen=True)
class Transformer:
    """How the objects of a job are worked on. At most `concurrency` requests of an object are under way at once."""

    plan: TransformPlan
    concurrency: int
    max_bytes: int
    strategy: str
    cancelled: Callable[[], bool]

    def transform(self, source: Path, target: Path, ask: Ask, executor: Executor) -> None:
        """Write the answers to the object in the file `source` into the file `target`, in the order of its records.

        Raises BadRecord, BadPath or NoAnswer when it cannot be done whole; `target` is unfinished then. Cancelled when
        the job is to end."""
        waiting: deque[Future[bytes]] = deque()
        try:
            with self._open(source) as stream, target.open("wb") as out:
                for batch in self._batches(stream):
                    if self.cancelled():
                        raise Cancelled
                    waiting.append(executor.submit(self._answer, batch, ask))
                    if len(waiting) >= 2 * self.concurrency:
                        out.write(waiting.popleft().result())
                while waiting:
                    out.write(waiting.popleft().result())
        finally:
            for future in waiting:
                future.cancel()

    def _answer(self, batch: list[bytes], ask: Ask) -> bytes:
        """What is kept of one request."""
        filters, plan = self.plan.filters, self.plan
        separator = self._separator
        sent = batch if filters is None else [filters.request(record) for record in batch]
        answer = ask(separator.join(sent))
        if filters is not None and filters.reads_answers:
            found = answers(answer, len(batch))
            results = [filters.result(record, each) for record, each in zip(batch, found, strict=True)]
            return b"".join(result + b"\n" for result in results) if plan.joins_lines else b"".join(results)
        return answer + b"\n" if plan.joins_lines and not answer.endswith(b"\n") else answer

    @property
    def _separator(self) -> bytes:
        return b"\n" if self.plan.split_kind == "Line" else b""

    def _batches(self, stream: BinaryIO) -> Iterator[list[bytes]]:
        records = split(stream, self.plan.split_kind, self.max_bytes)
        several = self.strategy == "MultiRecord" and self.plan.split_kind != "None"
        found = batches(records, self._separator, self.max_bytes, several=several)
        while True:
            try:
                yield next(found)
            except StopIteration:
                return
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BadRecord(f"the object is not gzip: {error}") from error

    def _open(self, source: Path) -> BinaryIO:
        return gzip.open(source, "rb") if self.plan.is_gzipped else source.open("rb")  # type: ignore[return-value]
