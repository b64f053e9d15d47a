"""Which subnet the next network takes."""

from ipaddress import IPv4Address, IPv4Network

from stagemaker.runtime.docker.subnets import free_subnet, gateway, link_local_addresses, routed, stage

POOL = IPv4Network("10.213.0.0/24")
TABLE = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
TRIES = """Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 169.254.0.0/16 2 0 2
        |-- 169.254.0.0
           /16 link UNICAST
        |-- 169.254.9.1
           /32 host LOCAL
        |-- 169.254.20.10
           /32 host LOCAL
        |-- 169.254.255.255
           /32 link BROADCAST
     |-- 192.0.2.2
        /32 host LOCAL
Local:
     |-- 169.254.9.1
        /32 host LOCAL
"""


def nets(*texts: str) -> list[IPv4Network]:
    return [IPv4Network(text) for text in texts]


def test_the_first_free_one_is_taken() -> None:
    assert free_subnet(POOL, []) == IPv4Network("10.213.0.0/26")
    assert free_subnet(POOL, nets("172.17.0.0/16", "10.213.0.0/26")) == IPv4Network("10.213.0.64/26")
    assert free_subnet(POOL, nets("10.213.0.128/26", "10.213.0.0/26")) == IPv4Network("10.213.0.64/26")


def test_other_networks_of_any_size_are_gone_around() -> None:
    assert free_subnet(POOL, nets("10.213.0.0/25", "10.213.0.0/26")) == IPv4Network("10.213.0.128/26")
    assert free_subnet(POOL, nets("10.213.0.70/32")) == IPv4Network("10.213.0.0/26")
    assert free_subnet(POOL, nets("10.213.0.6/32", "10.213.0.70/32")) == IPv4Network("10.213.0.128/26")


def test_a_full_pool_has_none() -> None:
    assert free_subnet(POOL, nets("10.0.0.0/8")) is None
    assert free_subnet(POOL, POOL.subnets(new_prefix=26)) is None


def test_addresses_on_a_network() -> None:
    subnet = IPv4Network("10.213.0.64/26")
    assert (gateway(subnet), stage(subnet)) == (IPv4Address("10.213.0.65"), IPv4Address("10.213.0.126"))


def test_the_kernel_s_routes_but_for_the_default() -> None:
    assert routed(TABLE) == nets("172.17.0.0/16", "192.0.2.0/24")


def test_the_machine_s_own_link_local_addresses() -> None:
    assert link_local_addresses(TRIES) == [IPv4Address("169.254.9.1"), IPv4Address("169.254.20.10")]
