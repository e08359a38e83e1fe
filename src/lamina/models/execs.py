"""Commands run inside of a container, as the Engine API tells of them and is told of them."""

import msgspec

from lamina.models.base import Model, Value


class ExecConfig(Value, frozen=True, kw_only=True):
    """What to run, and with which streams (schema ExecConfig). `console_size` is height, width."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] | None = None
    working_dir: str = ""
    cmd: tuple[str, ...] | None = None


class ProcessConfig(msgspec.Struct, kw_only=True):
    """The process of an exec (schema ProcessConfig); `user` is unset if it is the container's."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool | msgspec.UnsetType = msgspec.UNSET
    user: str | msgspec.UnsetType = msgspec.UNSET


class ExecInspect(Model, kw_only=True):
    """``GET /exec/{id}/json``; `exit_code` is None until it has ended."""

    id: str = msgspec.field(name="ID")
    running: bool
    exit_code: int | None = None
    process_config: ProcessConfig
    open_stdin: bool = False
    open_stderr: bool = False
    open_stdout: bool = False
    can_remove: bool = False
    container_id: str = msgspec.field(name="ContainerID")
    detach_keys: str = ""
    pid: int = 0
