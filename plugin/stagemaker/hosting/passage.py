"""A call on its way through containers of an instance: to one, or through all of a pipeline, one after another."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO

from stagemaker.hosting.calls import MAX_BODY_BYTES, ContainerCall
from stagemaker.hosting.http_client import Answer, HttpClient, NotReached, Reply, TooLarge, read_whole
from stagemaker.hosting.model_error import is_error, timed_out
from stagemaker.hosting.multi_container import first_call, next_call


class NoAnswer(Exception):
    """The container may have got the request and gave no usable answer; the message says why."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


@dataclass(frozen=True)
class ContainerClient:
    """A container in service. `name` is that of `multi_container.container_names`."""

    name: str
    client: HttpClient


class Passage:
    """Of one call. `containers` are those that it goes through; what one of them says to the next has at most
    `max_bytes`. One thread sends and reads; `cancel` may be called from any."""

    def __init__(self, containers: Sequence[ContainerClient], max_bytes: int = MAX_BODY_BYTES) -> None:
        self._containers, self._max_bytes = containers, max_bytes
        self.container = containers[0].name  # which has the call, or had it last
        self.answer: Answer | None = None  # that has begun: the last container's, or the first error
        self._took_s: dict[str, float] = {}  # by container: of those whose answers went on
        self._since_s = time.monotonic()

    def send(
        self,
        call: ContainerCall,
        timeout_s: float,
        *,
        connect_s: float | None = None,
        on_sending: Callable[[], object] = lambda: None,
    ) -> None:
        """Until an answer has begun that is not for another container. They have `timeout_s`, all together.

        NotReached when one of them is not there, and nothing was sent to any; NoAnswer for anything later. `connect_s`
        and `on_sending` as of `HttpClient.open`, of the first container."""
        deadline_s = time.monotonic() + timeout_s
        first, *others = self._containers
        try:
            with self._explained(self._max_bytes):
                for other in others:
                    other.client.reach(_left_s(deadline_s), connect_s)
                self._open(first, first_call(call, alone=not others), deadline_s, connect_s, on_sending)
                self._pass_on(others, call, deadline_s)
        except BaseException:
            self.close()
            self.answer = None
            raise

    def latencies_s(self) -> dict[str, float]:
        """How long each container had the call, when the answer was read just now."""
        return {**self._took_s, self.container: time.monotonic() - self._since_s}

    def read(self) -> bytes:
        """The next piece of the answer as soon as it has come; nothing at the end, and of no answer. NoAnswer."""
        if self.answer is None:
            return b""
        with self._explained(self._max_bytes):
            return self.answer.read()

    def read_whole(self, max_bytes: int) -> Reply:
        """The whole answer. NoAnswer, also where none has begun."""
        if self.answer is None:
            raise NoAnswer("There is no answer.")
        with self._explained(max_bytes):
            return Reply(self.answer.status, self.answer.headers, read_whole(self.answer, max_bytes))

    def cancel(self) -> None:
        """Break off the request: whoever reads gets NoAnswer."""
        if self.answer is not None:
            self.answer.cancel()

    def close(self) -> None:
        """Read no more of the answer, if there is one. A second call does nothing."""
        if self.answer is not None:
            self.answer.close()

    def _pass_on(self, others: Sequence[ContainerClient], call: ContainerCall, deadline_s: float) -> None:
        """Send each of the others what the one before it has answered, up to an error."""
        with ExitStack() as bodies:
            for number, container in enumerate(others, start=1):
                if self.answer is None or is_error(self.answer.status):
                    break
                body = bodies.enter_context(tempfile.SpooledTemporaryFile(MAX_BODY_BYTES))
                self._read_into(body, self.answer)
                following = next_call(call, self.answer.headers, body, body.tell(), last=number == len(others))
                body.seek(0)
                self._took_s[self.container] = time.monotonic() - self._since_s
                try:
                    self._open(container, following, deadline_s)
                except NotReached as error:
                    raise NoAnswer("The container is not there any more.") from error

    def _open(
        self,
        container: ContainerClient,
        call: ContainerCall,
        deadline_s: float,
        connect_s: float | None = None,
        on_sending: Callable[[], object] = lambda: None,
    ) -> None:
        self.container, self.answer, self._since_s = container.name, None, time.monotonic()
        self.answer = container.client.open(
            "POST",
            call.path,
            body=call.body,
            headers=call.headers,
            timeout_s=_left_s(deadline_s),
            connect_s=connect_s,
            on_sending=on_sending,
        )

    def _read_into(self, body: IO[bytes], answer: Answer) -> None:
        """All of an answer that goes on. TooLarge."""
        with answer:
            while piece := answer.read():
                body.write(piece)
                if body.tell() > self._max_bytes:
                    raise TooLarge(f"more than {self._max_bytes} bytes")

    @contextmanager
    def _explained(self, max_bytes: int) -> Iterator[None]:
        """Raise NoAnswer for what a container and its connection can do wrong; NotReached as it is."""
        try:
            yield
        except NotReached:
            raise
        except TimeoutError as error:
            raise NoAnswer(timed_out(self.container), timed_out=True) from error
        except TooLarge as error:
            raise NoAnswer(f"The container's response is longer than {max_bytes} bytes.") from error
        except (OSError, HTTPException) as error:
            raise NoAnswer(f"The container broke off the connection: {type(error).__name__}.") from error


def _left_s(deadline_s: float) -> float:
    return deadline_s - time.monotonic()
