"""The part of the benchmark of a full serving container that needs no server."""

from benchmarks.serve_overload import whole_answer

ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nContent-Length: 3\r\n\r\nabc"


def test_an_answer_counts_when_it_is_whole() -> None:
    assert [whole_answer(ANSWER[:end]) for end in range(len(ANSWER))] == [None] * len(ANSWER)
    assert whole_answer(ANSWER) == 503
