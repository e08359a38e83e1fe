"""How the containers of an image run: the ``config`` of images and of the Engine API."""

from typing import Annotated, Any

import msgspec

from lamina.oci.document import always

StringSet = dict[str, dict[str, Any]]
"""What Go writes for a set of strings: each a key, with an empty object."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


def _nothing() -> None:
    """The default of lists and maps, which Go writes as ``null``."""


class Healthcheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How to tell whether a container is well. Times in nanoseconds; zero and empty inherit."""

    test: tuple[str, ...] = ()
    interval: Int64 = 0
    timeout: Int64 = 0
    start_period: Int64 = 0
    start_interval: Int64 = 0
    retries: Int64 = 0

    def over(self, other: "Healthcheck | None") -> "Healthcheck":
        """This one, with what it does not say as `other` has it."""
        if other is None:
            return self
        return Healthcheck(
            test=self.test or other.test,
            interval=self.interval or other.interval,
            timeout=self.timeout or other.timeout,
            start_period=self.start_period or other.start_period,
            start_interval=self.start_interval or other.start_interval,
            retries=self.retries or other.retries,
        )


class ContainerConfig(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"
):
    """Docker's ``container.Config``, with Go's order of keys and Go's omissions of what is empty.

    None, where a list or a map may be None, is written as ``null`` and means the same as empty.
    """

    hostname: str = always(str)
    domainname: str = always(str)
    user: str = always(str)
    attach_stdin: bool = always(bool)
    attach_stdout: bool = always(bool)
    attach_stderr: bool = always(bool)
    exposed_ports: StringSet = msgspec.field(default_factory=dict)
    tty: bool = always(bool)
    open_stdin: bool = always(bool)
    stdin_once: bool = always(bool)
    env: tuple[str, ...] | None = always(_nothing)
    cmd: tuple[str, ...] | None = always(_nothing)
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    image: str = always(str)
    volumes: StringSet | None = always(_nothing)
    working_dir: str = always(str)
    entrypoint: tuple[str, ...] | None = always(_nothing)
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] | None = always(_nothing)
    labels: dict[str, str] | None = always(_nothing)
    stop_signal: str = ""
    stop_timeout: Int64 | None = None
    shell: tuple[str, ...] = ()
