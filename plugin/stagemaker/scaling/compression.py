"""Pure: time that passes faster than on AWS, so that a minute's rehearsal shows what takes an hour there.

Periods, cooldowns and rates shrink; counts do not: a target of 25 invocations a minute becomes 25 in a compressed
minute. Moments (`at`, `cron`, StartTime) stay what they are. Every place that shows a time says `sentence`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Compression:
    """`factor` seconds of AWS pass in one; it divides 60, so that a compressed minute has whole seconds."""

    factor: int = 1

    def real_s(self, aws_s: int) -> int:
        """How long a period of CloudWatch takes here: whole seconds, at least one, since it stores no finer time."""
        return max(1, aws_s // self.factor)

    def aws_s(self, now_s: float) -> float:
        """A clock that runs as fast as time passes here."""
        return now_s * self.factor

    @property
    def sentence(self) -> str:
        """What every place says that shows a time; empty without compression."""
        if self.factor == 1:
            return ""
        return f"time is compressed {self.factor} times: a minute of AWS takes {60 // self.factor} s."
