"""The key pair of the EC2 host is the user's public key, and its name stands for it."""

from infra.resources.key_pair import KeyPair
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]


def test_a_new_one_is_imported_with_its_tags() -> None:
    client = FakeClient({"describe_key_pairs": {"KeyPairs": []}})
    one = KeyPair(client, "dogs-host-0123456789", "ssh-ed25519 AAAA me", TAGS)
    assert one.read() is None
    one.create()
    (_, request) = client.calls[-1]
    assert request["PublicKeyMaterial"] == b"ssh-ed25519 AAAA me"
    assert request["TagSpecifications"] == [{"ResourceType": "key-pair", "Tags": TAGS}]
    check("ec2", "ImportKeyPair", request)


def test_one_that_is_there_is_as_wanted_and_is_deleted_by_its_name() -> None:
    client = FakeClient({"describe_key_pairs": {"KeyPairs": [{"KeyName": "dogs-host-0123456789"}]}})
    one = KeyPair(client, "dogs-host-0123456789")
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    one.delete()
    assert client.calls[-1] == ("delete_key_pair", {"KeyName": "dogs-host-0123456789"})
    assert client.calls[0][1]["Filters"] == [{"Name": "key-name", "Values": ["dogs-host-0123456789"]}]
