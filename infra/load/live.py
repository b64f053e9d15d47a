"""The rows of the live table of a load. Pure."""

from infra.load.generator import WINDOW_S, Progress
from infra.load.observe import Seen, short_name
from infra.load.summary import PERCENTS, percentile

HEADER = ("", "Now")


def rows(progress: Progress, seen: Seen) -> list[tuple[str, ...]]:
    """Counts since the beginning, latencies of the last WINDOW_S, and what was seen of the endpoint last."""
    found: list[tuple[str, ...]] = [
        ("Second", f"{progress.now_s:.0f}"),
        ("Due", f"{progress.due:,}"),
        ("Sent", f"{progress.sent:,}"),
        ("Answered", f"{progress.answered:,}"),
        *((f"Failed: {kind}", f"{count:,}") for kind, count in sorted(progress.failed.items())),
        ("Not sent", f"{progress.not_sent:,}"),
        (f"Latency, last {WINDOW_S:.0f} s", _latencies(progress.latencies_s)),
    ]
    if seen.observations:
        last = seen.observations[-1]
        wanted = "" if last.current == last.desired else f" of {last.desired}"
        found.append(("Instances", f"{last.current}{wanted} ({last.status})"))
        found += [(short_name(name), state) for name, state in last.alarms.items()]
    if seen.compressed:
        found.append(("", seen.compressed))
    return found


def _latencies(latencies_s: list[float]) -> str:
    if not latencies_s:
        return "nothing was answered"
    return ", ".join(f"p{percent} {percentile(latencies_s, percent) * 1000:.0f} ms" for percent in PERCENTS)
