"""Decides which hosts the server may connect to when a caller gives it a URL: only those of the public internet.

The rule is an allow-list: globally reachable unicast addresses of IPv4, and of IPv6 in 2000::/3. An IPv6 address that
contains an IPv4 address (mapped, NAT64) is treated as that IPv4 address; other transition mechanisms are refused.
The ranges are those of IANA's special-purpose registries, from Python's `ipaddress`, and the ranges below, which that
module counts as global.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NEVER_V4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("168.63.129.16/32"),  # Azure's host agent
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NEVER_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)
_NAT64 = IPv6Network("64:ff9b::/96")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address belongs to the public internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved) and _in_none(address)
    if address.scope_id:
        return False
    if address.ipv4_mapped:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and address.is_global and not any(address in network for network in _NEVER_V6)


def is_host(host: str) -> bool:
    """Whether a lower-case URL host is a plain DNS name, a dotted-quad IPv4 or an IPv6 address.

    Other spellings of an address (2130706433, 0x7f.1, 0177.0.0.1, 127.1) are not: parsers read them differently."""
    if ":" in host:
        return "%" not in host and _is_address(host)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _is_address(host)
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _in_none(address: IPv4Address) -> bool:
    return not any(address in network for network in _NEVER_V4)
