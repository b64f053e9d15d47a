"""The container of an EC2 host as the engine is asked for it."""

import json

from stagemaker.runtime.docker.ec2_config import ec2_config

CONFIG = {
    "Image": "host",
    "Labels": {"com.stagemaker": "1"},
    "HostConfig": {"CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "Mounts": [], "NetworkMode": "bridge"},
}


def test_a_host_has_a_volume_and_names_and_no_more_capabilities() -> None:
    host = ec2_config(CONFIG, {"registry.example": "127.0.0.2"})["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["CHOWN"])
    assert host["ExtraHosts"] == ["registry.example:127.0.0.2"]
    assert [(mount["Type"], mount["Target"]) for mount in host["Mounts"]] == [("volume", "/volume")]
    assert "Devices" not in host
    assert "Privileged" not in host


def test_system_calls_of_the_machine_s_root_are_refused() -> None:
    options = ec2_config(CONFIG, {})["HostConfig"]["SecurityOpt"]
    profile = json.loads(next(each for each in options if each.startswith("seccomp=")).removeprefix("seccomp="))
    refused = set(profile["syscalls"][0]["names"])
    assert {"bpf", "init_module", "kexec_load", "open_by_handle_at", "perf_event_open", "io_uring_setup"} <= refused
    assert "no-new-privileges" in options
