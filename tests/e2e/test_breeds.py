"""The standard data set: 133 breeds with the faults that are known of it, from a server of this machine to a model."""

import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from infra.clients import connect
from infra.data.layout import SPLITS
from tests.e2e.environment import Environment, leftovers
from tests.unit.ml.damaged import encode, gradient

CLASSES = [f"{number:03}.Breed_{number}" for number in range(1, 134)]
CUT_SHORT = "dogImages/train/098.Breed_98/Breed_98_00001.jpg"  # as the public set has one, of a Leonberger
EACH = {"train": 3, "valid": 1, "test": 1}
# What the systems leave on which an archive is packed; none is a photo.
LITTER = (
    "__MACOSX/dogImages/train/._001.Affenpinscher", "dogImages/.DS_Store", "dogImages/train/.DS_Store",
    "dogImages/train/001.Breed_1/Thumbs.db", "dogImages/valid/desktop.ini",
)  # fmt: skip
TINY = ("epochs=1", "image-size=32", "weights=none", "batch-size=128")


def photo(number: int, variant: int) -> bytes:
    """A JPEG whose colours say its class."""
    red, green = divmod(number, 12)
    picture = Image.new("RGB", (40, 40), (red * 20, green * 20, 60 + variant * 40))
    picture.paste((255 - red * 20, 255 - green * 20, 128), (8 + variant, 8, 24, 30))
    return encode(picture, "JPEG", quality=90)


def cut_short() -> bytes:
    """A photo without its last fifth, as after a transfer that broke off."""
    content = encode(gradient(320, 240), "JPEG", quality=90)
    return content[: len(content) * 4 // 5]


def pack(path: Path) -> None:
    """The archive, laid out as the public one."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in LITTER:
            archive.writestr(name, b"no photo")
        for split in SPLITS:
            for number, label in enumerate(CLASSES, start=1):
                for variant in range(EACH[split]):
                    name = f"dogImages/{split}/{label}/Breed_{number}_{variant:05}.jpg"
                    archive.writestr(name, cut_short() if name == CUT_SHORT else photo(number, variant))


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Where the archive is."""
    served = tmp_path / "served"
    served.mkdir()
    pack(served / "dogImages.zip")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/dogImages.zip"
        server.shutdown()
        thread.join()


def card(port: int) -> dict[str, object]:
    """The model card of the one training job."""
    clients = connect("local", "us-east-1", {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    (summary,) = clients.sagemaker.list_training_jobs()["TrainingJobSummaries"]
    job = clients.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    data = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile("model.json")
        assert file
        found: dict[str, object] = json.load(file)
        return found


def test_133_breeds_with_the_known_faults_end_in_a_model(environment: Environment, url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "dogImages"
    code, output = environment.run("data", "fetch", "--url", url, "--to", str(folder))
    assert code == 0, output
    assert "133 classes" in output, output
    photos = [path for path in folder.rglob("*") if path.is_file()]
    assert len(photos) == 133 * sum(EACH.values())
    assert {path.suffix for path in photos} == {".jpg"}
    assert "Breed_98_00001.jpg is cut short: the part that is there is used." in output
    code, output = environment.run("start")
    assert code == 0, output
    code, output = environment.run("train", *(f"--set={value}" for value in TINY), DATA=str(folder))
    assert code == 0, output
    assert card(environment.port)["classes"] == CLASSES
    code, output = environment.run("stop")
    assert code == 0, output
    assert leftovers(tmp_path) == []
