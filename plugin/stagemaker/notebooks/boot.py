"""What happens in the container of a notebook instance before JupyterLab runs, and what its output says of it.

AWS runs the scripts of the lifecycle configuration as root, each for at most 5 minutes, and then JupyterLab as the user
ec2-user on the same machine: what a script starts in the background goes on. So one container does all three, and a
line with a mark that nobody knows beforehand stands at the beginning and the end of each script. Pure.
"""

from collections.abc import Callable, Mapping, Sequence

HOOKS = ("OnCreate", "OnStart")  # of a lifecycle configuration, in their order
SCRIPTS = "/opt/ml/lifecycle"  # (ours) where the container sees them
VOLUME = "/home/ec2-user/SageMaker"
LIMIT_S = 300  # AWS's, for each script
# AWS's PATH of the scripts, and behind it where our image has Python.
_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/bin"
# Arguments: the mark, the names of the scripts, --, and the program of the user.
_PROGRAM = f"""
exec 2>&1
mark=$1; shift
chown ec2-user:ec2-user {VOLUME}
while [ "$1" != -- ]; do
    echo "$mark begin $1"
    PATH={_PATH} HOME=/root "{SCRIPTS}/$1" < /dev/null
    code=$?
    printf '\\n%s end %s %s\\n' "$mark" "$1" "$code"
    [ "$code" = 0 ] || exit "$code"
    shift
done
shift
echo "$mark serve"
cd {VOLUME}
exec setpriv --reuid ec2-user --regid ec2-user --init-groups env HOME=/home/ec2-user USER=ec2-user "$@"
"""


def boot_command(mark: str, hooks: Sequence[str]) -> tuple[str, ...]:
    """What the container of an instance runs as root. Its scripts lie in SCRIPTS, by their names."""
    return "bash", "-c", _PROGRAM, "boot", mark, *hooks, "--", "start-notebook"


class BootLog:
    """Takes the lines of the container, in their order, to the streams of those who wrote them. Not thread-safe for
    writing; its members may be read from any thread.

    `sinks` has one for each of HOOKS, and "" for JupyterLab's. `elapsed` are seconds that pass evenly."""

    def __init__(self, mark: str, sinks: Mapping[str, Callable[[str], None]], elapsed: Callable[[], float]) -> None:
        self.serving = False  # all scripts have ended well
        self.failed: tuple[str, int] | None = None  # the script that did not, and its exit code
        self._mark, self._sinks, self._elapsed = mark, sinks, elapsed
        self._running: tuple[str, float] | None = None  # a script, and when it began
        self._blank = False  # an empty line came last: before a mark it is ours, since a script may not end its line

    def line(self, line: str) -> None:
        """One more line."""
        mark, _, said = line.partition(" ")
        if mark != self._mark:
            self._write(line)
            return
        self._blank = False
        match said.split(" "):
            case ["begin", hook]:
                self._running = hook, self._elapsed()
            case ["end", hook, code]:
                self._running = None
                self.failed = (hook, int(code)) if code != "0" else None
            case ["serve"]:
                self.serving = True

    def _write(self, line: str) -> None:
        running = self._running
        sink = self._sinks[running[0] if running else ""]
        if self._blank:
            sink("")
        self._blank = running is not None and not line
        if not self._blank:
            sink(line)

    def overdue(self, limit_s: float) -> str:
        """The script that has run for longer than `limit_s`; empty when none does."""
        running = self._running
        return running[0] if running and self._elapsed() - running[1] > limit_s else ""
