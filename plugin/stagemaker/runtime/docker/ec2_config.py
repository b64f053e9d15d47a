"""What the container that is the host of an EC2 instance has beyond others. Pure.

It runs containers itself, with podman, in a user namespace that its first process makes: without privilege, without
CAP_SYS_ADMIN and without a device of the machine. How that is kept safe: docs/ec2.md.
"""

import json
from collections.abc import Mapping
from typing import Any

_STORE = "/volume"  # of podman: overlayfs does not lie upon the container's own file system
_PIDS = 16_384
# The system calls that Docker's own profile refuses to a container without privilege, but for those that make and enter
# namespaces and mount in them, which the kernel allows only within a namespace of the caller's own.
# https://docs.docker.com/engine/security/seccomp/
_REFUSED_CALLS = (
    "acct", "add_key", "adjtimex", "bpf", "clock_adjtime", "clock_settime", "delete_module", "fanotify_init",
    "finit_module", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kexec_file_load", "kexec_load", "lookup_dcookie", "move_pages", "nfsservctl", "open_by_handle_at",
    "perf_event_open", "quotactl", "quotactl_fd", "reboot", "request_key", "settimeofday", "swapoff", "swapon",
    "syslog", "userfaultfd", "vhangup",
)  # fmt: skip
_SECCOMP = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": list(_REFUSED_CALLS), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
}
# AppArmor's profile of Docker refuses every mount. Nothing of /proc is hidden, since else the kernel shows no new one
# in a namespace: what lies in the open there belongs to root of the machine, whom the host is not.
_SECURITY = ["no-new-privileges", "apparmor=unconfined", f"seccomp={json.dumps(_SECCOMP)}"]


def ec2_config(config: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """`config` is the engine's ContainerCreate of any container; `addresses` are names that the host finds at once."""
    store = {"Type": "volume", "Target": _STORE, "VolumeOptions": {"Labels": config["Labels"]}}
    host = {
        **config["HostConfig"],
        "SecurityOpt": _SECURITY,
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "PidsLimit": _PIDS,
        "ExtraHosts": [f"{name}:{address}" for name, address in addresses.items()],
        "Mounts": [*config["HostConfig"]["Mounts"], store],
    }
    return {**config, "HostConfig": host}
