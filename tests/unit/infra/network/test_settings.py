import pytest

from infra.network.settings import NetworkSettings

SUBNET = "subnet-0a1b2c3d"


def test_the_default_is_all_of_the_default_vpc() -> None:
    found = NetworkSettings()
    assert (found.vpc, found.subnets, found.subnet_tag, found.gateway_endpoint) == ("default", (), "", False)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"vpc": "mine"}, "The VPC 'mine' must be 'default', or an id"),
        ({"subnets": ("private",)}, "The subnet 'private' must be an id"),
        ({"subnets": (SUBNET, SUBNET)}, "2 subnets: AWS takes at most 16, each once"),
        ({"subnets": tuple(f"subnet-{n:08x}" for n in range(17))}, "17 subnets"),
        ({"subnet_tag": "private"}, "must be a key and a value, such as tier=private"),
        ({"subnet_tag": "tier=*"}, "must be a key and a value"),
        ({"subnets": (SUBNET,), "subnet_tag": "tier=private"}, "give one of them"),
    ],
)
def test_what_aws_would_not_take(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        NetworkSettings(**wrong)  # type: ignore[arg-type]
