import json
from pathlib import Path
from typing import Any

import pytest

from lamina.containers.sandboxing import sandbox_spec
from lamina.containers.settings import Settings
from lamina.errors import InvalidParameter
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from lamina.runtime.ocispec import Machine
from lamina.runtime.spec import DEFAULT_CAPABILITIES, NetworkMode, SandboxSpec, Sharing
from lamina.snapshots.store import Mounted

MACHINE = Machine.read(rootless=False)


def spec(**host: Any) -> SandboxSpec:  # noqa: ANN401 - a HostConfig's fields
    settings = Settings(
        image="i", config=ContainerConfig(cmd=("true",)), host_config=HostConfig(**host)
    )
    mounted = Mounted(path=Path("/here"), inside=Path("/there"))
    return sandbox_spec(settings, mounted, MACHINE, process_of={"other": 42}.__getitem__)


def capabilities(**host: Any) -> frozenset[str]:  # noqa: ANN401 - a HostConfig's fields
    found = spec(**host).process.capabilities
    assert found is not None
    return found


def test_capabilities() -> None:
    known = MACHINE.capabilities
    assert capabilities() == DEFAULT_CAPABILITIES & known
    assert capabilities(cap_drop=("ALL",)) == frozenset()
    assert capabilities(cap_drop=("all",), cap_add=("chown", "CAP_KILL")) == {
        "CAP_CHOWN", "CAP_KILL",
    }  # fmt: skip
    assert capabilities(cap_add=("ALL",)) == known
    assert capabilities(cap_add=("ALL",), cap_drop=("CAP_CHOWN",)) == known - {"CAP_CHOWN"}
    assert capabilities(privileged=True) == known
    with pytest.raises(InvalidParameter, match='unknown capability: "CAP_NOPE"'):
        spec(cap_add=("NOPE",))


def test_namespaces_of_others() -> None:
    shared = spec(network_mode="container:other", pid_mode="container:other", ipc_mode="host")
    assert (shared.network, shared.network_of) == (NetworkMode.CONTAINER, 42)
    assert (shared.pid, shared.ipc, shared.uts) == (42, Sharing.HOST, Sharing.PRIVATE)


def test_security_options() -> None:
    assert spec().seccomp is None
    assert spec(security_opt=("seccomp=unconfined",)).seccomp == {}
    assert spec(security_opt=("no-new-privileges",)).process.no_new_privileges
    assert not spec(security_opt=("no-new-privileges:false",)).process.no_new_privileges
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"name": "write", "action": "SCMP_ACT_ALLOW", "args": []},
            {
                "names": ["mount"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"caps": ["CAP_SYS_ADMIN"]},
            },
            {"names": ["chown"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
        ],
    }
    converted = spec(security_opt=(f"seccomp={json.dumps(profile)}",)).seccomp
    assert converted is not None
    assert [call["names"] for call in converted["syscalls"]] == [["read"], ["write"]]
    for wrong in ("seccomp={", "seccomp=[]", "seccomp=" + "[" * 100_000, "nothing=1"):
        with pytest.raises(InvalidParameter):
            spec(security_opt=(wrong,))
