"""The parts of a container's record that only this room reads."""

from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from lamina.containers.settings import Settings, State
from lamina.records.containers import Container
from lamina.runtime.supervisor import Exit

__all__ = ["encoded", "settings_of", "state_of", "with_exit", "with_settings", "with_state"]

_ENCODER: Final = msgspec.json.Encoder()
_SETTINGS: Final = msgspec.json.Decoder(Settings)
_STATE: Final = msgspec.json.Decoder(State)


@lru_cache(maxsize=512)
def _settings(text: str) -> Settings:
    return _SETTINGS.decode(text)


def settings_of(container: Container) -> Settings:
    """How a container was made."""
    return _settings(container.settings)


def state_of(container: Container) -> State:
    """What has become of a container."""
    return _STATE.decode(container.state)


def encoded(value: Settings | State) -> str:
    """The text that a record keeps."""
    return _ENCODER.encode(value).decode()


def with_state(container: Container, *, status: str, process: str, **changes: Any) -> Container:  # noqa: ANN401 - the fields of State
    """The container in another status, run by `process`, with other facts of its life."""
    state = msgspec.structs.replace(state_of(container), **changes)
    return replace(container, status=status, process=process, state=encoded(state))


def with_exit(container: Container, ended: Exit) -> Container:
    """The container after the end of its first process, maybe before its start was noticed."""
    return with_state(
        container,
        status="exited",
        process="",
        pid=0,
        exit_code=ended.code,
        oom_killed=ended.oom_killed,
        started=min(state_of(container).started, ended.time),
        finished=ended.time,
        endpoint=None,
    )


def with_settings(container: Container, settings: Settings) -> Container:
    """The container, made otherwise."""
    return replace(container, settings=encoded(settings))
