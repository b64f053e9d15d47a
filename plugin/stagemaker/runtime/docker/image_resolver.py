"""Which image a name means: one that was pushed into our registry, or one in the engine's own store."""

import re

from stagemaker.core.errors import ApiError, hinted
from stagemaker.runtime.contract import ImageRefused, Registry
from stagemaker.runtime.docker.engine import Engine, EngineError
from stagemaker.runtime.images import by_digest

_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)

_ECR = re.compile(r"(\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)/", re.ASCII)


class ImageResolver:
    """Thread-safe. Nothing is ever pulled from the internet."""

    def __init__(self, engine: Engine, registry: Registry | None) -> None:
        self._engine, self._registry = engine, registry
        self._obtained: dict[str, str] = {}  # names with a digest, and by which names the engine has got them

    def check(self, image: str) -> None:
        """Raise ImageRefused when there is no such image, EngineError when the engine cannot tell."""
        if not _REFERENCE.fullmatch(image):
            sentence = f"{image!r} is not the name of an image."
            raise ImageRefused(hinted(sentence, "give <repository>:<tag>, such as my/trainer:1."))
        if self._registry and self._registry.find(image):
            return
        if not self._engine.has_image(image):
            raise ImageRefused(hinted(f"There is no image {image!r} in this machine's Docker engine.", _advice(image)))

    def pin(self, image: str) -> str:
        """The name, ending with a digest, of what the name means now. Raises as `check`."""
        pull = self._registry.find(image) if self._registry and _REFERENCE.fullmatch(image) else None
        if pull:  # under the caller's own host, which says account and region
            return by_digest(image, pull.reference.rpartition("@")[2])
        self.check(image)
        return str(self._engine.inspect_image(image)["Id"])

    def obtain(self, image: str) -> str:
        """The name by which the engine has it now; pulled from our registry when the engine lacks its digest. What was
        obtained once by its digest needs no registry again. Raises as `check`, and ApiError 500 when it cannot be
        pulled."""
        if (obtained := self._obtained.get(image)) and self._engine.has_image(obtained):
            return obtained
        pull = self._registry.find(image) if self._registry and _REFERENCE.fullmatch(image) else None
        if pull is None:
            self.check(image)
            return image
        if not self._engine.has_image(pull.reference):
            try:
                self._engine.pull(pull.reference, pull.user, pull.password)
            except EngineError as error:
                problem = f"Docker cannot pull the image {image!r} from the registry: {error}."
                message = hinted(problem, "see that the registry runs, or push again.")
                raise ApiError("InternalFailure", message, 500) from error
        if "@" in image:
            self._obtained[image] = pull.reference
        return pull.reference


def _advice(image: str) -> str:
    """How an image of this name comes into the engine."""
    if ecr := _ECR.match(image):
        return (
            f"if it is another account's, such as an AWS Deep Learning Container, log Docker in to {ecr[1]} with "
            "credentials of AWS and `docker pull` it; if it is yours, create its repository and push it."
        )
    return (
        "build it here under this very name, or push it to the repository that CreateRepository made and give its "
        "repositoryUri."
    )
