"""The host's script really runs here, from its first line to `shutdown`, on a machine of small shell scripts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.ec2.user_data import HOST_SCRIPT
from infra.paths import CHECKOUT
from tests.unit.infra.ec2.host_machine import INSTANCE, RUN, HostMachine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="an EC2 host is a Linux machine")

MODEL = 'echo weights >"$ML/model/model.safetensors"; echo card >"$ML/model/model.json"'
METRICS = "echo 'epoch=1 train_loss=0.5 valid_loss=0.4 valid_accuracy=0.9'"
# Trains until it is told to stop, with one checkpoint, as the trainer does.
ENDLESS = f"""
trap '{MODEL}; echo stopped; exit 0' TERM
cd "$ML/checkpoints"
echo one >.checkpoint.partial
mv .checkpoint.partial checkpoint.safetensors
touch "$MACHINE/training"
while :; do sleep 0.05; done
"""


def test_a_training_from_the_first_boot_to_the_end(tmp_path: Path) -> None:
    machine = HostMachine(
        tmp_path, f"{METRICS}\n{MODEL}\nmkdir -p $ML/output/data; echo 1 >$ML/output/data/history.csv"
    )
    machine.boot()
    assert machine.result["status"] == "Completed"
    assert machine.why == ""
    assert {"instance_id": INSTANCE, "life_cycle": "on-demand", "gpu": False}.items() <= machine.result.items()
    assert machine.model() == {"model.safetensors": "weights\n", "model.json": "card\n"}
    assert "valid_accuracy=0.9" in machine.log
    assert "status=Completed" in machine.log
    assert machine.log == (tmp_path / "console").read_text()
    assert json.loads((machine.results / "result.json").read_text()) == machine.result
    assert (machine.results / "output" / "output.tar.gz").is_file()
    assert machine.shutdowns == ["-h +40", "-h now"]


def test_the_image_finds_what_sagemaker_gives_a_training_job(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.boot()
    config = machine.ml / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == RUN.hyperparameters
    assert json.loads((config / "resourceconfig.json").read_text())["hosts"] == ["algo-1"]
    assert json.loads((config / "inputdataconfig.json").read_text()).keys() == {"train", "valid"}
    assert (machine.ml / "input" / "data" / "valid" / "cat" / "one.png").read_text() == "valid"
    (run,) = [call for call in machine.calls if call.startswith("docker run")]
    assert run == f"docker run --rm --name trainer --volume {machine.ml}:/opt/ml {RUN.image} train"


def test_the_log_is_sent_before_and_after_the_pull_which_takes_minutes(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.boot()
    sent_or_pulled = [one for one in machine.calls if one.startswith("docker pull") or one.endswith("/host.log")]
    assert [one.startswith("docker pull") for one in sent_or_pulled[:3]] == [False, True, False]
    assert f"host: pulls {RUN.image}\nhost: pulled in " in machine.log


def test_a_gpu_is_used_where_there_is_one(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.put("gpu")
    machine.boot()
    assert any("--name trainer --gpus all --volume" in call for call in machine.calls)
    assert machine.result["gpu"] is True


DENIED = "fatal error: An error occurred (AccessDenied) when calling the ListObjectsV2 operation: User: arn:... is not "
DENIED += "authorized to perform: s3:ListBucket on resource: photos because no resource-based policy allows it"
NO_KEY = "download failed: s3://photos/train/a/1.jpg An error occurred (AccessDenied) when calling the GetObject "
NO_KEY += "operation: User: arn:... is not authorized to perform: kms:Decrypt on the resource of this ciphertext"


@pytest.mark.parametrize(
    ("bucket", "said", "lacks"),
    [
        ("photos", DENIED, "ROLE=data-bucket"),
        ("photos", NO_KEY, "ROLE=data-key"),
        ("photos", f"{NO_KEY}\n" * 100, "ROLE=data-key"),
        ("bucket", DENIED, ""),  # the run's own: no other account's policy is missing
        ("photos", "fatal error: Could not connect to the endpoint URL", ""),
    ],
)
def test_a_host_that_is_refused_its_photos_says_whose_policy_is_missing(
    tmp_path: Path, bucket: str, said: str, lacks: str
) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.put("refuse-aws-sync", said)
    machine.boot(channels={"train": f"s3://{bucket}/train/"})
    assert machine.result["status"] == "Failed"
    assert machine.why.startswith(f"The host failed to fetch s3://{bucket}/train/. {said[:200]}")
    assert ("ROLE=" in machine.why, lacks in machine.why) == (bool(lacks), True)
    assert said.splitlines()[0] in machine.log
    assert machine.why.splitlines()[-1] in machine.log
    assert len(machine.log.splitlines()) < 60
    assert not any(call.startswith("docker run") for call in machine.calls)


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, f'{MODEL}; printf "No photos \\"here\\"." >"$ML/output/failure"; exit 1')
    machine.boot()
    assert (machine.result["status"], machine.why) == ("Failed", 'No photos "here".')
    assert not (machine.results / "output" / "model.tar.gz").exists()
    assert not (machine.results / "result.json").exists()
    assert machine.shutdowns[-1] == "-h now"


def test_a_training_that_is_killed_says_so(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, "exit 137")
    machine.boot()
    assert (machine.result["status"], machine.why) == ("Failed", "The trainer ended with exit code 137.")


@pytest.mark.parametrize(
    ("refused", "why"),
    [("refuse-docker-pull", f"pull the image {RUN.image}"), ("refuse-aws-sync", "fetch s3://bucket/data/train/")],
)
def test_a_step_that_fails_ends_the_host(tmp_path: Path, refused: str, why: str) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.put(refused)
    machine.boot()
    assert (machine.result["status"], machine.why) == ("Failed", f"The host failed to {why}.")
    assert machine.shutdowns[-1] == "-h now"


def test_a_host_ends_even_where_s3_takes_nothing(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, MODEL)
    machine.put("refuse-aws-cp")
    machine.boot()
    assert machine.shutdowns[-1] == "-h now"
    assert "failed to upload the model" in (tmp_path / "console").read_text()


def test_a_host_without_metadata_ends(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, MODEL)
    (tmp_path / "metadata" / "instance-id").unlink()
    machine.boot()
    assert (machine.results / "unknown" / "why").read_text() == "The host failed to read its metadata."
    assert machine.shutdowns[-1] == "-h now"


def test_a_training_that_is_out_of_time_leaves_its_best_model(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.boot(limit_s=1)
    assert (machine.result["status"], machine.why) == ("Stopped", "The training did not end within 1 s.")
    assert "model.safetensors" in machine.model()
    assert not (machine.results / "result.json").exists()


def test_a_spot_notice_saves_the_checkpoint_and_the_next_host_goes_on(tmp_path: Path) -> None:
    first = HostMachine(tmp_path, ENDLESS)
    first.start()
    first.wait_for("training")
    first.put("metadata/spot/instance-action", '{"action":"terminate"}')
    first.wait()
    assert first.result["status"] == "Interrupted"
    assert '{"action":"terminate"}' in first.why
    assert (first.results / "checkpoints" / "checkpoint.safetensors").read_text() == "one\n"
    assert not (first.results / "output").exists()
    assert first.shutdowns[-1] == "-h now"

    second = HostMachine(tmp_path, f'cp "$ML/checkpoints/checkpoint.safetensors" "$ML/model/model.json"; {METRICS}')
    (tmp_path / "metadata" / "spot" / "instance-action").unlink()
    subprocess.run(["rm", "-rf", second.ml], check=True)
    second.boot()
    assert second.result["status"] == "Completed"
    assert second.model() == {"model.json": "one\n"}


def test_a_host_that_somebody_ends_saves_its_checkpoint(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.start()
    machine.wait_for("training")
    machine.terminate()
    machine.wait()
    assert machine.result["status"] == "Interrupted"
    assert (machine.results / "checkpoints" / "checkpoint.safetensors").is_file()


def test_a_shutdown_that_signals_every_process_leaves_a_result_and_the_whole_log(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.start()
    machine.wait_for("training")
    machine.shut_down()
    machine.wait()
    assert machine.result["status"] == "Interrupted"
    assert (machine.results / "checkpoints" / "checkpoint.safetensors").is_file()
    assert "host: status=Interrupted" in machine.log


def test_a_host_that_is_ended_before_it_trains_says_so(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.put("slow-pull")
    machine.start()
    machine.wait_for("pulling")
    machine.shut_down()
    machine.wait()
    assert (machine.result["status"], machine.why) == ("Interrupted", "It was interrupted: somebody ended the host")


def test_a_trainer_that_does_not_stop_is_killed_so_that_the_host_can_say_what_came_of_it(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS.replace(f"trap '{MODEL}; echo stopped; exit 0' TERM", "trap '' TERM"))
    machine.start({"END_S": 1})
    machine.wait_for("training")
    machine.shut_down()
    machine.wait()
    assert machine.result["status"] == "Interrupted"
    assert (machine.results / "checkpoints" / "checkpoint.safetensors").is_file()


def test_a_checkpoint_that_s3_takes_too_slowly_does_not_keep_the_host_from_its_result(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.put("slow-aws-checkpoints")
    machine.start({"END_S": 1})
    machine.wait_for("training")
    machine.shut_down()
    machine.wait()
    assert machine.result["status"] == "Interrupted"


def test_a_host_whose_own_time_is_over_says_so(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.start({"SPARE_MINUTES": 0}, limit_s=59)
    machine.wait_for("training")
    machine.shut_down()
    machine.wait()
    assert machine.why == "It was interrupted: the 0 minutes of the host were over"


def test_checkpoints_and_the_log_are_sent_while_it_trains(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, ENDLESS)
    machine.start()
    sent = machine.results.relative_to(tmp_path)
    machine.wait_for(str(sent / "checkpoints" / "checkpoint.safetensors"))
    machine.wait_for(str(sent / INSTANCE / "host.log"))
    machine.terminate()
    machine.wait()


def test_the_plain_script_leaves_a_model_pth(tmp_path: Path) -> None:
    machine = HostMachine(tmp_path, f'{MODEL}; echo state >"$ML/TrainedModels/model.pth"')
    machine.boot(script=True)
    (run,) = [call for call in machine.calls if call.startswith("docker run")]
    assert f"{RUN.image} python /opt/stagemaker/containers/trainer/train_on_host.py --data /opt/ml/input/data" in run
    assert (machine.results / "TrainedModels" / "model.pth").read_text() == "state\n"


def test_the_script_is_clean() -> None:
    shellcheck = CHECKOUT / ".stagemaker/env/dev/bin/shellcheck"
    done = subprocess.run(
        [shellcheck, "--shell=bash", "-"], input=HOST_SCRIPT, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
