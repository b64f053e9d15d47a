"""Which part of the pool the next network takes, and which addresses lie where. Pure.

Docker's own pools end after about 30 networks, and each job has one.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise

PREFIX = 26  # 61 addresses for containers: more than the instances of any job or endpoint
_SIZE = 1 << (32 - PREFIX)


def free_subnet(pool: IPv4Network, taken: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first /26 of the pool that overlaps none of `taken`; None when there is none."""
    start = int(pool.network_address)
    for used in sorted(network for network in taken if network.overlaps(pool)):
        if start + _SIZE <= int(used.network_address):
            break
        behind = int(used.broadcast_address) + 1
        start = max(start, behind + -behind % _SIZE)
    last = start + _SIZE - 1
    return IPv4Network((start, PREFIX)) if last <= int(pool.broadcast_address) else None


def gateway(subnet: IPv4Network) -> IPv4Address:
    """The address of the engine's machine on a network."""
    return subnet[1]


def stage(subnet: IPv4Network) -> IPv4Address:
    """The address of our own container on a network: the last, so that the engine gives containers the others."""
    return subnet[-2]


def routed(table: str) -> list[IPv4Network]:
    """The networks of a kernel's routing table, but for the default route, from /proc/net/route (proc(5))."""
    found = []
    for line in table.splitlines()[1:]:
        _, destination, _, _, _, _, _, mask, *_ = line.split()
        if mask != "00000000":
            address, bits = (int.from_bytes(bytes.fromhex(word)[::-1]) for word in (destination, mask))
            found.append(IPv4Network((address, bits.bit_count())))
    return found


def link_local_addresses(tries: str) -> list[IPv4Address]:
    """The machine's own link-local addresses, from /proc/net/fib_trie (proc(5)): what it has itself is `host LOCAL`."""
    found = set()
    for before, line in pairwise(tries.splitlines()):
        if line.split() == ["/32", "host", "LOCAL"]:
            found.add(IPv4Address(before.split()[-1]))
    return sorted(address for address in found if address.is_link_local)
