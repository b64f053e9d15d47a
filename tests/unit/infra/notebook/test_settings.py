"""What a notebook instance may be: what AWS would not take is refused with the reason."""

from typing import Any

import pytest

from infra.notebook.settings import NotebookSettings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instance_type": "t3.medium"}, "'t3.medium' is not an instance type of SageMaker"),
        ({"volume_gb": 4}, "4 GB: AWS takes 5 to 16,384."),
        ({"volume_gb": 16_385}, "16385 GB"),
        ({"repository": "http://example.com/a"}, "must be an address such as https://example.com/a/b.git"),
        ({"repository": "https://user:secret@example.com/a"}, "must be an address"),
        ({"repository": "https://example.com/a;reboot"}, "must be an address"),
        ({"commit": "main"}, "The commit 'main' must be a commit, a branch or a tag of a repository."),
        ({"repository": "https://example.com/a", "commit": "--exec=reboot"}, "The commit '--exec=reboot'"),
        ({"idle_minutes": -1}, "-1 minutes without use"),
        ({"subnet": "subnet-1"}, "A subnet needs security groups, at most 5, and they need a subnet."),
        ({"security_groups": ("sg-1",)}, "A subnet needs security groups"),
        ({"subnet": "subnet-1", "security_groups": ("sg-1",) * 6}, "at most 5"),
        ({"direct_internet": False}, "Without direct internet there must be a subnet."),
    ],
)
def test_what_aws_would_not_take(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        NotebookSettings(**changes)
    assert reason in str(caught.value)


def test_a_repository_at_a_commit() -> None:
    made = NotebookSettings(repository="https://git.example.com:8443/team/stage-maker.git", commit="v1.0/rc-1")
    assert made.commit == "v1.0/rc-1"
