"""What a transform job asks a model's container, over the instances of its fleet."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPException

from stagemaker.core.numbers import whole_number
from stagemaker.core.strict_json import read_json
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.http_client import CONNECT_S, NotReached, TooLarge
from stagemaker.hosting.instance import Instance, Lease
from stagemaker.hosting.model_error import is_error
from stagemaker.hosting.passage import NoAnswer as PassageNoAnswer
from stagemaker.hosting.passage import Passage
from stagemaker.transform.plan import DEFAULT_CONCURRENCY, DEFAULT_PAYLOAD_MB, DEFAULT_STRATEGY, Batching

LOOK_AGAIN_S = 0.05  # for an instance that is being restarted
PARAMETERS_S = 2.0  # (ours) for GET /execution-parameters, as for /ping
MAX_PARAMETERS_BYTES = 64 << 10
MAX_ANSWER_BYTES = 100 << 20  # (ours) AWS's limit of a request


class NoAnswer(Exception):
    """A container gave no usable answer to a request; the message says what came."""


class Caller:
    """Asks the instances, each request of one of them: the first of `instances` that serves. Thread-safe. `cancelled`
    ends a wait for one that is being restarted."""

    def __init__(
        self, instances: Callable[[], Sequence[Instance]], timeout_s: float, retries: int, cancelled: Callable[[], bool]
    ) -> None:
        self._instances, self._timeout_s, self._retries, self._cancelled = instances, timeout_s, retries, cancelled

    def invoke(self, body: bytes, headers: dict[str, str], first: int) -> bytes:
        """The answer to POST /invocations, asked of the instance of number `first` if it serves. NoAnswer after all
        retries; what the container calls the caller's fault (4xx) is not sent again, but for 429."""
        problem = "Unable to get response from algorithm"
        call = ContainerCall(PATH, headers, body, self._timeout_s)
        for _ in range(1 + self._retries):
            with self._lease(first) as lease, closing(Passage(lease.containers, MAX_ANSWER_BYTES)) as passage:
                try:
                    connect_s = CONNECT_S if lease.others else None
                    passage.send(call, self._timeout_s, connect_s=connect_s, on_sending=lease.sent)
                    reply = passage.read_whole(MAX_ANSWER_BYTES)
                except (PassageNoAnswer, NotReached) as error:
                    if isinstance(error.__cause__, TooLarge):
                        raise NoAnswer(f"the answer is larger than {MAX_ANSWER_BYTES:,} bytes") from error
                    problem = f"Unable to get response from algorithm ({type(error.__cause__ or error).__name__})"
                    continue
            if not is_error(reply.status):
                return reply.body
            problem = f"Bad HTTP status received from algorithm: {reply.status}"
            if 400 <= reply.status < 500 and reply.status != 429:
                break
        raise NoAnswer(problem)

    def batching(self, asked: Batching) -> tuple[int, int, str]:
        """Concurrent requests, bytes of one, and strategy: as the request says, else the container, else by default."""
        said = self._parameters()
        concurrency = asked.concurrency or _positive(said.get("MaxConcurrentTransforms")) or DEFAULT_CONCURRENCY
        payload_mb = asked.payload_mb or _positive(said.get("MaxPayloadInMB")) or DEFAULT_PAYLOAD_MB
        told = {"SINGLE_RECORD": "SingleRecord", "MULTI_RECORD": "MultiRecord"}.get(str(said.get("BatchStrategy")))
        return concurrency, payload_mb << 20, asked.strategy or told or DEFAULT_STRATEGY

    def _parameters(self) -> dict[str, object]:
        """What the container answers to GET /execution-parameters; nothing when it has no such address."""
        with self._lease(0) as lease:
            try:
                reply = lease.client.request(
                    "GET", "/execution-parameters", timeout_s=PARAMETERS_S, max_bytes=MAX_PARAMETERS_BYTES
                )
                said = read_json(reply.body) if reply.status == 200 else {}
            except (OSError, HTTPException, ValueError):
                return {}
        return said if isinstance(said, dict) else {}

    def _lease(self, first: int) -> Lease:
        """A place on an instance, when one serves. NoAnswer when none does within the time of a request."""
        end_s = time.monotonic() + self._timeout_s
        while not self._cancelled() and time.monotonic() < end_s:
            instances = self._instances()
            for number in range(len(instances)):
                lease = instances[(first + number) % len(instances)].take()
                if lease is not None:
                    return lease
            time.sleep(LOOK_AGAIN_S)
        raise NoAnswer("No container of the model is healthy")


def _positive(value: object) -> int | None:
    number = whole_number(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    return number or None
