"""Commands that a test has started."""

import subprocess


def ended(process: "subprocess.Popen[str]", limit_s: float) -> tuple[int, str]:
    """The exit code of a command, and all that it said on stdout. One that does not end in time is killed, and the test
    fails with what it said."""
    with process:
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            raise AssertionError(f"it did not end within {limit_s:.0f} s: {said}") from None
        return process.returncode, said
