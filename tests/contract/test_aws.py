"""S3, IAM and STS through a real LocalStack: what `aws.account.Account` does for jobs and endpoints."""

from pathlib import Path

import pytest

from stagemaker.aws.account import Account
from stagemaker.aws.clients import Clients
from stagemaker.aws.s3 import CHUNK_BYTES
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from tests.contract.gateway import Gateway, make_bucket, make_role

SCOPE = Scope("000000000000", "eu-west-1")
MULTIPART_BYTES = (64 << 20) + 1  # one more than is sent in one piece


@pytest.fixture(scope="module")
def account(gateway: Gateway) -> Account:
    objects = {
        "train/cat/1.txt": b"1",
        "train/dog/2 +é%.txt": b"2",
        "train/empty/": b"",
        "trainer/x": b"3",
        "evil/../../out.txt": b"4",
        "both/a": b"5",
        "both/a/b": b"6",
    }
    make_bucket(gateway, "files", objects)
    return Account(Clients(gateway.url))


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_prefix_that_is_a_folder(account: Account, tmp_path: Path) -> None:
    assert account.download_prefix(SCOPE, "s3://files/train/", tmp_path) == 2
    assert files(tmp_path) == {"cat/1.txt": b"1", "dog/2 +é%.txt": b"2"}


def test_a_prefix_is_only_a_beginning(account: Account, tmp_path: Path) -> None:
    assert account.download_prefix(SCOPE, "s3://files/trai", tmp_path) == 3
    assert set(files(tmp_path)) == {"train/cat/1.txt", "train/dog/2 +é%.txt", "trainer/x"}


def test_a_cancelled_download_leaves_the_rest(account: Account, tmp_path: Path) -> None:
    account.download_prefix(SCOPE, "s3://files/train/", tmp_path, cancelled=lambda: True)
    assert files(tmp_path) == {}


def test_one_object(account: Account, tmp_path: Path) -> None:
    assert account.download_prefix(SCOPE, "s3://files/train/cat/1.txt", tmp_path) == 1
    assert files(tmp_path) == {"1.txt": b"1"}


def test_keys_in_their_order(account: Account, tmp_path: Path) -> None:
    keys = ["train/dog/2 +é%.txt", "train/cat/1.txt", "train/cat/1.txt"]
    assert account.download_keys(SCOPE, "s3://files/train/", keys, tmp_path) == [
        "dog/2 +é%.txt",
        "cat/1.txt",
        "cat/1.txt",
    ]
    assert files(tmp_path) == {"cat/1.txt": b"1", "dog/2 +é%.txt": b"2"}


def test_the_first_error_ends_a_download(account: Account, tmp_path: Path) -> None:
    keys = ["train/none", *(f"train/none-{number}" for number in range(10_000))]
    with pytest.raises(ApiError) as caught:
        account.download_keys(SCOPE, "s3://files/train/", keys, tmp_path)
    assert caught.value.message.endswith("could not be downloaded: The specified key does not exist.")
    assert caught.value.message.startswith("S3 key: s3://files/train/none")
    assert files(tmp_path) == {}


def test_an_object_is_read_in_pieces(account: Account) -> None:
    size, chunks = account.open_object(SCOPE, "s3://files/train/dog/2 +é%.txt")
    assert (size, list(chunks)) == (1, [b"2"])
    with pytest.raises(ApiError, match="S3 key: s3://files/none could not be read: The specified key does not exist"):
        account.open_object(SCOPE, "s3://files/none")


def test_nothing_there(account: Account, tmp_path: Path) -> None:
    assert account.download_prefix(SCOPE, "s3://files/none", tmp_path / "new") == 0
    assert not account.prefix_has_objects(SCOPE, "s3://files/train/empty/")
    assert account.prefix_has_objects(SCOPE, "s3://files/train")
    assert account.bucket_region(SCOPE, "s3://no-such-bucket/x") is None
    assert account.bucket_region(SCOPE, "s3://files/x") == "eu-west-1"
    assert account.object_exists(SCOPE, "s3://files/trainer/x")
    assert not account.object_exists(SCOPE, "s3://files/trainer")
    with pytest.raises(ApiError, match="does not exist"):
        account.list_prefix(SCOPE, "s3://no-such-bucket/x")


def test_a_key_cannot_leave_the_folder(account: Account, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="rename the object"):
        account.download_prefix(SCOPE, "s3://files/evil", tmp_path / "in")
    assert not list(tmp_path.rglob("out.txt"))


def test_a_name_that_is_both_file_and_folder(account: Account, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as caught:
        account.download_prefix(SCOPE, "s3://files/both/", tmp_path)
    assert caught.value.code == "ValidationException"
    assert caught.value.message == (
        "The S3 keys 'both/a' and 'both/a/b' cannot both be written: they would be a file and a folder of the same "
        "name. Rename one of them."
    )
    assert not list(tmp_path.iterdir())


def test_an_archived_object_is_named(gateway: Gateway, account: Account, tmp_path: Path) -> None:
    s3 = gateway.client("s3")
    s3.put_object(Bucket="files", Key="cold/part 1", Body=b"x", StorageClass="GLACIER")
    archived = "the object is archived (storage class GLACIER): restore it (RestoreObject), or copy it to another"
    with pytest.raises(ApiError) as caught:
        account.download_prefix(SCOPE, "s3://files/cold/", tmp_path / "in")
    sentence = f"S3 key: s3://files/cold/part 1 could not be downloaded: {archived} storage class"
    assert (caught.value.code, caught.value.message) == ("ValidationException", sentence)
    with pytest.raises(ApiError) as caught:
        account.download_file(SCOPE, "s3://files/cold/part 1", tmp_path / "file")
    assert caught.value.message == f"Could not download s3://files/cold/part 1: {archived} storage class"


def test_a_download_that_nobody_waits_for_any_more_leaves_no_file(account: Account, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(b"some")
    account.upload_file(SCOPE, tmp_path / "sent", "s3://files/unwanted")
    account.download_file(SCOPE, "s3://files/unwanted", tmp_path / "back", cancelled=lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]


def test_a_large_file_there_and_back(account: Account, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.write(b"start")
        file.truncate(MULTIPART_BYTES)
    account.upload_file(SCOPE, tmp_path / "large", "s3://files/large")
    assert account.list_prefix(SCOPE, "s3://files/large") == [("large", MULTIPART_BYTES)]
    account.download_file(SCOPE, "s3://files/large", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == MULTIPART_BYTES
    size, chunks = account.open_object(SCOPE, "s3://files/large")
    pieces = [len(chunk) for chunk in chunks]
    assert size == sum(pieces) == MULTIPART_BYTES
    assert max(pieces) == CHUNK_BYTES
    _, chunks = account.open_object(SCOPE, "s3://files/large")
    assert len(next(chunks)) == CHUNK_BYTES
    chunks.close()
    with (tmp_path / "back").open("rb") as file:
        assert file.read(5) == b"start"


def test_errors_are_one_sentence(account: Account, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="Could not download s3://files/none: The specified key does not exist"):
        account.download_file(SCOPE, "s3://files/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(ApiError, match="Could not upload to s3://no-such-bucket/x"):
        account.upload_file(SCOPE, tmp_path / "file", "s3://no-such-bucket/x")
    with pytest.raises(ApiError) as caught:
        account.upload_file(SCOPE, tmp_path / "file", "s3://no-such-bucket/x")
    assert str(tmp_path) not in caught.value.message


def test_an_object_is_deleted_once_and_again(account: Account, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    account.upload_file(SCOPE, tmp_path / "file", "s3://files/gone soon")
    for _ in range(2):
        account.delete_object(SCOPE, "s3://files/gone soon")
        assert not account.object_exists(SCOPE, "s3://files/gone soon")
    with pytest.raises(ApiError, match="Could not delete s3://no-such-bucket/x: The specified bucket does not exist"):
        account.delete_object(SCOPE, "s3://no-such-bucket/x")


def test_the_role_must_be_the_one_of_the_arn(account: Account, role: str) -> None:
    job = SCOPE.arn("sagemaker", "training-job/job")
    environment = account.role_environment(SCOPE, role, job)
    assert environment["AWS_ACCESS_KEY_ID"].startswith("LSIA")
    for wrong in (role.replace("stage", "Stage"), role.replace("role/", "role/path/")):
        with pytest.raises(ApiError, match="Could not assume role"):
            account.role_environment(SCOPE, wrong, job)


def test_under_a_role_it_acts_as_a_session_of_the_role(account: Account, role: str) -> None:
    clients = account.role_clients(role)
    identity = clients("sts", SCOPE).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{SCOPE.account}:assumed-role/stage/SageMaker"
    assert clients("s3", SCOPE) is account.role_clients(role)("s3", SCOPE)
    account.under(role).put_object(SCOPE, "s3://files/of the role", b"x")
    _, chunks = account.under(role).open_object(SCOPE, "s3://files/of the role")
    assert b"".join(chunks) == b"x"


def test_a_role_that_is_gone_does_nothing_any_more(account: Account, gateway: Gateway) -> None:
    role = make_role(gateway, "soon-gone", policy=None)
    gateway.client("iam").delete_role(RoleName="soon-gone")
    with pytest.raises(ApiError, match="Could not assume role"):
        account.under(role).put_object(SCOPE, "s3://files/of nobody", b"x")
