"""Who may call over HTTP: by which names, and from which web pages. Pure.

Whoever reaches a port of the stage runs containers, and a browser on this machine reaches it for every page that it
shows. A page of another origin gives itself away by headers that no script can change; one whose name was made to point
here after it was loaded (DNS rebinding) gives itself away by that name.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from stagemaker.api.http_head import Head, Refusal
from stagemaker.core.errors import hinted

LOCAL = ("127.0.0.1", "::1", "localhost")
HOSTS, ORIGINS = "STAGEMAKER_HOSTS", "EXTRA_CORS_ALLOWED_ORIGINS"  # the settings
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+?))[.]?(?::[0-9]{0,5})?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#*]*", re.IGNORECASE)
_PAGE_HOSTS = (".lambda-url.", ".s3-website.", ".execute-api.")  # of one function, website or API each
_PAGES = "/_localstack/"
_SAFE = ("GET", "HEAD")


@dataclass(frozen=True)
class Callers:
    """`hosts` are names and addresses by which the stage is called, `origins` the web applications that may call it."""

    hosts: frozenset[str]
    origins: frozenset[str]

    def refusal(self, head: Head, page_origins: Collection[str] = ()) -> Refusal | None:
        """Why the request goes no further, or None. `page_origins` may call this host besides: those that a function
        URL is configured for, `*` for all."""
        return self._host_refusal(head) or self._page_refusal(head, page_origins)

    def _host_refusal(self, head: Head) -> Refusal | None:
        """The host must be one of ours, a name below one of ours, as of a bucket or a function URL, or the very address
        that the connection was made to."""
        hosts = head.values("host")
        if len(hosts) != 1:
            return Refusal(400, "InvalidRequest", "The request must have one Host header.")
        host = host_name(hosts[0])
        if host is None:
            return Refusal(400, "InvalidRequest", "The Host header is no name and no address.")
        if host == host_name(head.address) or any(host == name or host.endswith(f".{name}") for name in self.hosts):
            return None
        return _denied(f"a name that is the stage's is in {HOSTS}, and {host} is not.")

    def _page_refusal(self, head: Head, page_origins: Collection[str]) -> Refusal | None:
        site, origins = head.values("sec-fetch-site"), head.values("origin")
        senders = origins or tuple(origin_of(each) for each in head.values("referer"))
        if senders and all(sender in self.origins for sender in senders):
            return None
        if origins and all(sender in page_origins or "*" in page_origins for sender in origins):
            return None
        if origins:
            return _denied(f"a web application's origin must be in {ORIGINS}, and {origins[0]} is not.")
        if head.method in _SAFE and (site == ("none",) or (site in ((), ("same-origin",)) and _is_own_page(head))):
            return None  # an address that was typed, or a page that shows its own parts
        if site or senders:
            return _denied(f"a web page may call only when its origin is in {ORIGINS}.")
        return None


def callers(names: Iterable[str], origins: Iterable[str]) -> Callers:
    """Those who may call, with the names of this machine's loopback. ValueError, with a sentence, for what is no name
    of a host, and for an origin that is none, or that stands for all."""
    hosts = {name: host_name(name) for name in (*LOCAL, *names)}
    for name, host in hosts.items():
        if host is None:
            raise ValueError(f"{HOSTS} must name hosts, such as dev.example.com (it has {name}).")
    for origin in origins:
        if not origin or origin_of(origin) != origin:
            raise ValueError(f"{ORIGINS} must name origins, such as http://localhost:3000 (it has {origin}).")
    return Callers(frozenset(host for host in hosts.values() if host), frozenset(origins))


def host_name(value: str) -> str | None:
    """The name or address in a Host header, without its port: in lower case, without a dot at its end, and an address
    in its shortest form. None for what is neither."""
    found = _HOST.fullmatch(value.strip())
    if found is None:
        return _address(value)
    return _address(found["ipv6"]) if found["ipv6"] else found["name"].lower()


def origin_of(url: str) -> str:
    """Of a page's address; nothing where it is none."""
    found = _ORIGIN.match(url)
    return found[0].lower() if found else ""


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _is_own_page(head: Head) -> bool:
    """Whether the request is for a page of LocalStack, or to a host that only one function, website or API has: scripts
    of its pages reach nothing else."""
    return head.path.startswith(_PAGES) or any(name in head.value("host").lower() for name in _PAGE_HOSTS)


def _denied(advice: str) -> Refusal:
    return Refusal(403, "AccessDenied", hinted("Access Denied.", advice))
