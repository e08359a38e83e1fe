"""Which parameters of the API's operations a scenario has used."""

import inspect
from collections import defaultdict
from typing import Any, cast

from lamina.image_api import ImageApi
from tests.conformance.engines import EngineApi

__all__ = ["Noted", "noting"]

Noted = dict[str, set[str]]
"""Parameters that were given, and not their default, by operation."""


class _Noting:
    """Passes everything on to an engine, and notes it."""

    def __init__(self, api: EngineApi, noted: Noted) -> None:
        self._api = api
        self._noted = noted

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the engine has there
        found = getattr(self._api, name)
        if not hasattr(ImageApi, name):
            return found
        signature = inspect.signature(getattr(ImageApi, name))

        def call(*args: object, **kwargs: object) -> object:
            given = signature.bind(self._api, *args, **kwargs).arguments
            del given["self"]
            for parameter, value in given.items():
                if value != signature.parameters[parameter].default:
                    self._noted[name].add(parameter)
            return found(*args, **kwargs)

        return call


def noting(api: EngineApi) -> tuple[EngineApi, Noted]:
    """The same engine, and what it will have been given."""
    noted: Noted = defaultdict(set)
    return cast("EngineApi", _Noting(api, noted)), noted
