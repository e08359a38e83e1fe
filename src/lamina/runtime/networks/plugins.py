"""CNI plugins: programs that are given a configuration on standard input, and do one thing with it.

After the CNI specification (1.0.0), sections 2 and 4: which command is in the environment, what it
is about is JSON in both directions, an error too.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamina.errors import Unavailable
from lamina.runtime.networks.network import DEVICE

__all__ = ["Plugins", "find_plugins"]

_DIRECTORIES: Final = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
"""Where Debian, Fedora and the plugins' own releases have them."""
_NEEDED: Final = ("bridge", "host-local")
_VERSIONS: Final = ("1.0.0", "0.4.0")
"""Of the specification, that we know, the best first."""
_SECONDS: Final = 30
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins of a directory, and the program that sets the rules of the kernel's firewall."""

    directory: str
    iptables: str

    def version(self) -> str:
        """The version of the specification that all follow. Unavailable. For worker threads."""
        found = [self._versions(name) for name in _NEEDED]
        for version in _VERSIONS:
            if all(version in supported for supported in found):
                return version
        raise Unavailable(f"the CNI plugins in {self.directory} follow none of {_VERSIONS}")

    def add(
        self, config: Mapping[str, Any], id: str, namespace: str, *, keep: int
    ) -> dict[str, Any]:
        """Join a namespace to the network; the result. Unavailable. For worker threads.

        The plugin keeps the descriptor `keep` open, however this process ends.
        """
        return self._run("ADD", config, keep=keep, CNI_CONTAINERID=id, CNI_NETNS=namespace)

    def delete(self, config: Mapping[str, Any], id: str, namespace: str, *, keep: int) -> None:
        """Undo an `add`, or what there is of it; `namespace` is empty if it is gone. Unavailable.

        For worker threads.
        """
        self._run("DEL", config, keep=keep, CNI_CONTAINERID=id, CNI_NETNS=namespace)

    def _versions(self, name: str) -> list[str]:
        config = {"cniVersion": _VERSIONS[0], "type": name}
        supported = self._run("VERSION", config).get("supportedVersions", ())
        return [str(version) for version in supported]

    def _run(
        self, command: str, config: Mapping[str, Any], *, keep: int | None = None, **parameters: str
    ) -> dict[str, Any]:
        program = f"{self.directory}/{config['type']}"
        environment = {"CNI_COMMAND": command, "CNI_PATH": self.directory, "PATH": _PATH}
        try:
            done = subprocess.run(  # noqa: S603 - what we have found
                [program],
                input=json.dumps(config).encode(),
                capture_output=True,
                check=False,
                env={**environment, "CNI_IFNAME": DEVICE, **parameters},
                timeout=_SECONDS,
                pass_fds=() if keep is None else (keep,),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"the CNI plugin {program} failed: {error}") from error
        try:
            answer = json.loads(done.stdout or b"{}")
        except ValueError:
            answer = None
        if done.returncode or not isinstance(answer, dict):
            raise Unavailable(f"the CNI plugin {program} failed: {_reason(done, answer)}")
        return answer


def _reason(done: "subprocess.CompletedProcess[bytes]", answer: object) -> str:
    """What a plugin says went wrong."""
    if isinstance(answer, dict) and "msg" in answer:
        return "; ".join(str(answer[key]) for key in ("msg", "details") if answer.get(key))
    said = done.stderr.decode(errors="replace").strip()
    return said or f"it ended with status {done.returncode} and without a word"


def find_plugins(find: Callable[[str], str | None]) -> Plugins | None:
    """The plugins, where all that is needed is installed."""
    iptables = find("iptables")
    for directory in _DIRECTORIES:
        if iptables and all(os.access(Path(directory, name), os.X_OK) for name in _NEEDED):
            return Plugins(directory, iptables)
    return None
