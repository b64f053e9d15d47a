"""What an image brought along in /opt/ml: found where AWS mounts nothing, hidden where AWS mounts a folder."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from tests.contract.docker_environment import DockerEnvironment, client
from tests.contract.docker_training import DockerTraining
from tests.unit.plugin.fakes import FakeClock
from tests.unit.plugin.hosting_environment import DATA, Hosting
from tests.unit.plugin.training.training_requests import algorithm

FOLDERS = "code model input/data output checkpoints"
# The name of an AWS Deep Learning Container, as a pull leaves it in the engine; nothing is pulled here.
ECR_NAME = "763104351884.dkr.ecr.us-east-1.amazonaws.com/stagemaker-test"
TELL = """
print({folder: sorted(os.listdir(f"/opt/ml/{folder}")) for folder in ("code", "model", "input/data", "checkpoints")})
"""
RESUME = """
config = pathlib.Path("/opt/ml/input/config/checkpointconfig.json").read_text()
print(sorted(os.listdir(FOLDER)), config)
pathlib.Path(FOLDER, "2").write_text("second")
"""
SERVER = """
import http.server
print(sorted(os.listdir("/opt/ml/model")), sorted(os.listdir("/opt/ml/code")))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def image(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with a file `baked` in each folder, under another account's ECR name."""
    folder, name = tmp_path_factory.mktemp("baked"), f"{ECR_NAME}:{docker_image}"
    files = " ".join(f"{each}/baked" for each in FOLDERS.split())
    (folder / "Dockerfile").write_text(f"FROM {docker_image}\nRUN cd /opt/ml && mkdir -p {FOLDERS} && touch {files}\n")
    with closing(client()) as engine:
        answers = engine.build(path=str(folder), tag=name, rm=True, decode=True, labels={"com.stagemaker": "1"})
        assert not [answer["error"] for answer in answers if "error" in answer]
        yield name
        engine.remove_image(name, force=True)


@pytest.fixture
def training(image: str, tmp_path: Path) -> Iterator[DockerTraining]:
    made = DockerTraining(image, tmp_path)
    yield made
    made.docker.close()


def first_line(training: DockerTraining) -> str:
    assert training.ended()["TrainingJobStatus"] == "Completed", training.logs.lines
    (lines,) = training.logs.lines.values()
    return lines[1]


def test_a_job_finds_what_its_image_has_beside_sagemaker_s_folders(training: DockerTraining) -> None:
    training.create(TELL)
    found = {"code": ["baked"], "model": [], "input/data": ["train"], "checkpoints": ["baked"]}
    assert first_line(training) == str(found)
    assert training.left() == []


@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/state/of/mine"])
def test_checkpoints_are_where_the_job_asked_for_them(training: DockerTraining, path: str) -> None:
    training.account.objects["s3://bucket/ck/1"] = b"first"
    training.create(
        RESUME.replace("FOLDER", repr(path)),
        CheckpointConfig={"S3Uri": "s3://bucket/ck", "LocalPath": path},
    )
    assert first_line(training) == f'''['1'] {{"LocalPath": "{path}"}}'''
    assert training.account.objects["s3://bucket/ck/2"] == b"second"
    assert training.left() == []


@pytest.mark.parametrize("path", ["/opt/ml/output/tensorboard", "/tensorboard"])
def test_tensorboard_files_are_collected_where_the_job_writes_them(training: DockerTraining, path: str) -> None:
    training.create(
        f"pathlib.Path({path!r}, 'events').write_text('written')",
        TensorBoardOutputConfig={"S3OutputPath": "s3://bucket/board", "LocalPath": path},
    )
    assert training.ended()["TrainingJobStatus"] == "Completed", training.logs.lines
    assert training.account.objects["s3://bucket/board/job/tensorboard-output/events"] == b"written"
    assert training.left() == []


def test_an_image_of_another_account_that_is_not_here_gets_advice_that_fits(training: DockerTraining) -> None:
    missing = f"{ECR_NAME}:none"
    with pytest.raises(ApiError) as caught:
        training.create("", **algorithm(TrainingImage=missing))
    assert caught.value.message == (
        f"There is no image '{missing}' in this machine's Docker engine. Stagemaker: if it is another account's, such "
        f"as an AWS Deep Learning Container, log Docker in to {ECR_NAME.partition('/')[0]} with credentials of AWS and "
        "`docker pull` it; if it is yours, create its repository and push it."
    )


@pytest.mark.parametrize(("data", "model"), [("", ["baked"]), (DATA, ["model.json"])])
def test_a_served_model_of_the_image_is_hidden_by_model_data_only(
    image: str, tmp_path: Path, data: str, model: list[str]
) -> None:
    environment = DockerEnvironment(image, tmp_path)
    try:
        hosting = Hosting(tmp_path, FakeClock(), environment.runtime, environment.supervisor)
        hosting.deploy(image=image, ModelDataUrl=data, Environment={"SOURCE": SERVER, "SAGEMAKER_BIND_TO_PORT": "1"})
        (lines,) = hosting.logs.lines.values()
        assert lines[1:3] == [
            "Stagemaker: not taken from Environment, since the service sets it: SAGEMAKER_BIND_TO_PORT",
            f"{model} ['baked']",
        ]
    finally:
        environment.close()
