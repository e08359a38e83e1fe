"""`Api`: the operations of `ImageApi` and `SystemApi`, each of which returns when it is done."""

from typing import Protocol

from lamina.blocking.making import Blocking, archive, call, items, operation
from lamina.image_api import ImageApi
from lamina.system_api import SystemApi

__all__ = ["Api", "AsyncApi"]


class AsyncApi(ImageApi, SystemApi, Protocol):
    """What is made blocking: an `Engine`, a `Client`, or another."""


class Api(Blocking):
    """`ImageApi` and `SystemApi` for code without an event loop; made by `use`.

    Parameters, results and errors are those of the operations there. Bytes go in as a path, an open
    binary file or an iterable of chunks. Any number of threads may call at once. An interrupted
    call (KeyboardInterrupt) is cancelled before the exception goes on.
    """

    build_prune = call(ImageApi.build_prune)
    image_build = operation(ImageApi.image_build)
    image_commit = call(ImageApi.image_commit)
    image_create = operation(ImageApi.image_create)
    image_delete = call(ImageApi.image_delete)
    image_get = archive(ImageApi.image_get)
    image_get_all = archive(ImageApi.image_get_all)
    image_history = call(ImageApi.image_history)
    image_inspect = call(ImageApi.image_inspect)
    image_list = call(ImageApi.image_list)
    image_load = operation(ImageApi.image_load)
    image_prune = call(ImageApi.image_prune)
    image_push = operation(ImageApi.image_push)
    image_search = call(ImageApi.image_search)
    image_tag = call(ImageApi.image_tag)

    system_auth = call(SystemApi.system_auth)
    distribution_inspect = call(SystemApi.distribution_inspect)
    system_ping = call(SystemApi.system_ping)
    system_version = call(SystemApi.system_version)
    system_info = call(SystemApi.system_info)
    system_data_usage = call(SystemApi.system_data_usage)
    system_events = items(SystemApi.system_events)
