"""Which actions of IAM a request to the registry needs.

Source: "IAM permissions for pushing an image" and "Amazon ECR repository policy examples" of ECR's guide: a push needs
InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload, BatchCheckLayerAvailability and PutImage; a pull needs
BatchGetImage and GetDownloadUrlForLayer.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from stagemaker.core.refs import Ref
from stagemaker.registry.front_route import RouteKind

THE_STAGE = ""  # holds the tokens that the stage gives to the engine
_ACTIONS: Mapping[tuple[RouteKind, str], tuple[str, ...]] = {
    ("tags", "GET"): ("ecr:ListImages",),
    ("manifest", "GET"): ("ecr:BatchGetImage",),
    ("manifest", "HEAD"): ("ecr:BatchGetImage",),
    ("manifest", "PUT"): ("ecr:PutImage",),
    ("blob", "GET"): ("ecr:GetDownloadUrlForLayer",),
    ("blob", "HEAD"): ("ecr:BatchCheckLayerAvailability",),
    ("uploads", "POST"): ("ecr:InitiateLayerUpload",),
    ("upload", "GET"): ("ecr:UploadLayerPart",),
    ("upload", "PATCH"): ("ecr:UploadLayerPart",),
    ("upload", "PUT"): ("ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
    ("upload", "DELETE"): ("ecr:UploadLayerPart",),
}
MOUNT = ("ecr:GetDownloadUrlForLayer",)  # of a layer of another repository, which a push takes over


class Rights(Protocol):
    """What the holders of tokens may do, at the moment of each request. Thread-safe."""

    def holder(self) -> str:
        """The access key of whoever makes the request that this thread answers; THE_STAGE of the stage itself."""
        ...

    def check(self, holder: str, actions: Sequence[str], repository: Ref) -> None:
        """Raise ApiError when the holder may not do one of them."""
        ...


class _AllRights:
    """Where nobody asks: everyone may do everything."""

    def holder(self) -> str:
        """Nobody in particular."""
        return THE_STAGE

    def check(self, holder: str, actions: Sequence[str], repository: Ref) -> None:
        """Nothing is refused."""


ALL_RIGHTS: Rights = _AllRights()


def actions_of(kind: RouteKind, method: str) -> tuple[str, ...]:
    """What a request of the front needs."""
    return _ACTIONS.get((kind, method), ())
