"""Names of images, without a registry and without Docker."""

import re

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")


def image_name(reference: str) -> str | None:
    """`<name>` of `[registry/...]stagemaker/<name>[:tag][@digest]`, or None when it is not an image of ours."""
    path = reference.partition("@")[0].split("/")
    name = path[-1].partition(":")[0]
    ours = len(path) >= 2 and path[-2] == "stagemaker" and _NAME.fullmatch(name)
    return name if ours else None


def by_digest(reference: str, digest: str) -> str:
    """The image of this name with this digest ("sha256:...") in place of its own and its tag. The port of a registry is
    no tag."""
    host, slash, repository = reference.partition("@")[0].rpartition("/")
    return f"{host}{slash}{repository.partition(':')[0]}@{digest}"


def resolved(reference: str, pinned: str) -> str:
    """What AWS calls the resolved image: the name with the digest of what it was pinned to; the name itself where that
    has none."""
    digest = pinned.rpartition("@")[2]
    return by_digest(reference, digest) if digest.startswith("sha256:") else reference


def lacks_label(reference: str, label: str) -> str:
    """AWS's sentence about an image without the label that something asks for."""
    return f"Your Ecr Image {reference} does not contain required {label}=true Docker label(s)."


def needs_docker(reference: str, names: list[str]) -> str:
    """The sentence that refuses an image which is none of `names`."""
    known = " and ".join(f"stagemaker/{name}" for name in names) or "no image at all"
    return (
        f"The image {reference!r} needs Docker: the process runtime runs only {known}, as built from this repository."
    )
