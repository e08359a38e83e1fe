"""The rules of the host's firewall that let a bridge's network out. All is for worker threads.

They are about the bridge, not about who is on it: so they come and go with it, and nobody who is
killed leaves any that cannot be found again. They stand behind the host's own, which win.
"""

import subprocess
from typing import Final

from lamina.errors import Unavailable

__all__ = ["let_out", "let_out_no_more"]

_SECONDS: Final = 30
_WAIT: Final = "5"
"""Seconds that iptables waits for others that change rules."""
_MANY: Final = 100


def let_out(iptables: str, bridge: str, subnet: str) -> None:
    """Make the rules that are not there. Unavailable."""
    for table, rule in _rules(bridge, subnet):
        if not _done(iptables, table, "-C", rule):
            _must(iptables, table, "-A", rule)


def let_out_no_more(iptables: str, bridge: str, subnet: str) -> None:
    """Remove the rules that are there."""
    for table, rule in _rules(bridge, subnet):
        for _ in range(_MANY):
            if not _done(iptables, table, "-D", rule):
                break


def _rules(bridge: str, subnet: str) -> list[tuple[str, list[str]]]:
    back = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        ("nat", ["POSTROUTING", "-s", subnet, "!", "-o", bridge, "-j", "MASQUERADE"]),
        # A host that forwards nothing by default, as dockerd leaves it, forwards this.
        ("filter", ["FORWARD", "-i", bridge, "-j", "ACCEPT"]),
        ("filter", ["FORWARD", "-o", bridge, *back, "-j", "ACCEPT"]),
    ]


def _done(iptables: str, table: str, do: str, rule: list[str]) -> bool:
    return _run(iptables, table, do, rule).returncode == 0


def _must(iptables: str, table: str, do: str, rule: list[str]) -> None:
    done = _run(iptables, table, do, rule)
    if done.returncode:
        raise Unavailable(f"{iptables} failed: {done.stderr.decode(errors='replace').strip()}")


def _run(
    iptables: str, table: str, do: str, rule: list[str]
) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(  # noqa: S603 - what we have found
            [iptables, "-w", _WAIT, "-t", table, do, *rule],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{iptables} failed: {error}") from error
