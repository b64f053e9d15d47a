"""Answers that are streams of events, sent while they are made: at the pace of the caller, and no longer than there is
one."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import OperationModel, StructureShape
from localstack.aws.api import RequestContext
from localstack.http import Response

from stagemaker.adapters.caller import NAME, Caller
from stagemaker.api.event_stream import CONTENT_TYPE, encoded


class _Encoded(Iterator[bytes]):
    """The events of a stream as they are sent. The thread that sends them iterates, and then closes it."""

    def __init__(self, events: Any, shape: StructureShape, caller: Caller | None) -> None:
        self._events, self._shape, self._caller = events, shape, caller
        self._begun = False

    def __next__(self) -> bytes:
        if self._caller is not None:  # which LocalStack's own services have not: they do not come through the server
            if not self._begun:
                self._begun = True
                self._caller.begin()
                self._caller.when_left(self._events.cancel)
            self._caller.wait_for_room()
        return encoded(next(self._events), self._shape)

    def close(self) -> None:
        """Free what the events come from."""
        self._events.close()


def streamed(context: RequestContext, operation: OperationModel, answer: Mapping[str, Any]) -> Response:
    """The answer of an operation whose output is a stream of events, and headers beside it. The stream is an iterator
    of events with `cancel`, which may be called from any thread, and `close`."""
    output = operation.output_shape
    member = output.event_stream_name
    response = Response(_Encoded(answer[member], output.members[member], context.request.environ.get(NAME)))
    response.headers["Content-Type"] = CONTENT_TYPE
    for name, shape in output.members.items():
        if shape.serialization.get("location") == "header" and name in answer:
            response.headers[shape.serialization["name"]] = answer[name]
    context.service_response = {name: value for name, value in answer.items() if name != member}  # for its log
    return response
