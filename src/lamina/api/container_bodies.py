"""The bodies that containers are made of, as each version of the API means them."""

from typing import Any, Final

import msgspec

from lamina.api.exchange import Exchange
from lamina.api.json_body import fields_of, read_fields, read_json, with_field_names
from lamina.api.versions import ApiVersion
from lamina.errors import InvalidParameter
from lamina.models import ExecConfig, HostConfig, NetworkingConfig
from lamina.oci.containerconfig import ContainerConfig

_NO_CONFIG: Final = "Config cannot be empty in order to create a container"

_CONFIG_FIELDS: Final = ContainerConfig.__struct_fields__
_CONFIG_KEYS: Final = frozenset(ContainerConfig.__struct_encode_fields__)
_WORDS: Final = ("Cmd", "Entrypoint", "Shell")
"""Fields which, if they are one word, may be a string."""


class CreateBody(ContainerConfig, frozen=True, kw_only=True, rename="pascal"):
    """The body of ``POST /containers/create``: a configuration, with two things beside it."""

    host_config: HostConfig | None = None
    networking_config: NetworkingConfig | None = None

    @property
    def config(self) -> ContainerConfig:
        """The configuration alone."""
        return ContainerConfig(**{name: getattr(self, name) for name in _CONFIG_FIELDS})


async def read_create(exchange: Exchange) -> CreateBody:
    """What a container is to be made of. Raises InvalidParameter."""
    value = await _read(exchange)
    if value is None:
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    if isinstance(value, dict) and not value.keys() & _CONFIG_KEYS:
        raise InvalidParameter(_NO_CONFIG)
    body = fields_of(value, CreateBody)
    if body.host_config is None:
        return body
    host_config = _as_of(body.host_config, exchange.version)
    return msgspec.structs.replace(body, host_config=host_config)


async def read_config(exchange: Exchange) -> ContainerConfig | None:
    """A configuration, if there is one. Raises InvalidParameter."""
    value = await _read(exchange)
    return None if value is None else fields_of(value, ContainerConfig)


async def read_resources(exchange: Exchange) -> HostConfig:
    """Limits and a restart policy. Raises InvalidParameter."""
    return await read_fields(exchange, HostConfig) or HostConfig()


async def read_exec(exchange: Exchange) -> ExecConfig:
    """A command to run in a container. Raises InvalidParameter."""
    config = await read_fields(exchange, ExecConfig) or ExecConfig()
    if not config.cmd:
        raise InvalidParameter("No exec command specified")
    if exchange.version < (1, 42) or not config.tty:
        config = msgspec.structs.replace(config, console_size=None)
    return config


async def _read(exchange: Exchange) -> object:
    """The body, with a list for each command that is a string."""
    value = await read_json(exchange)
    if isinstance(value, dict):
        value = with_field_names(value, CreateBody)
        for name in _WORDS:
            if isinstance(value.get(name), str):
                value[name] = [value[name]]
    return value


def _as_of(config: HostConfig, version: ApiVersion) -> HostConfig:
    changes: dict[str, Any] = {}
    if version < (1, 25):
        # Their clients remove the container themselves.
        changes["auto_remove"] = False
    if version < (1, 40) and not config.ipc_mode:
        changes["ipc_mode"] = "shareable"
    if config.pids_limit is not None and config.pids_limit <= 0:
        changes["pids_limit"] = None
    return msgspec.structs.replace(config, **changes) if changes else config
