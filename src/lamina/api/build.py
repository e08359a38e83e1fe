"""``POST /build`` and ``POST /build/prune``: a context in, the messages of a build out.

Or, where an output says so, the archive that was built.
"""

import logging
from typing import TypeVar

import msgspec

from lamina.api.download import send_built
from lamina.api.exchange import Exchange
from lamina.api.progress_stream import send_progress
from lamina.api.query import Query
from lamina.api.router import Route
from lamina.api.versions import ApiVersion
from lamina.build.outputs import CALLER, WRITTEN, check_outputs, parse_output
from lamina.dockerfile.gostrings import parse_int
from lamina.dockerfile.source import DockerfileError
from lamina.errors import InvalidParameter, LaminaError, NotImplementedHere
from lamina.image_api import ImageApi
from lamina.models import ImageBuildOutput, Ulimit

T = TypeVar("T")

_OUTPUTS_SINCE = ApiVersion(1, 40)
_PLATFORM_SINCE = ApiVersion(1, 32)

_text_map = msgspec.json.Decoder(dict[str, str | None] | None)
_texts = msgspec.json.Decoder(list[str] | None)
_ulimits = msgspec.json.Decoder(list[Ulimit] | None)
_outputs = msgspec.json.Decoder(list[ImageBuildOutput] | None)


class BuildHandlers:
    """Builds images, and removes what builds have kept."""

    def __init__(self, engine: ImageApi, *, log: logging.Logger) -> None:
        self._engine = engine
        self._log = log

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("POST", "/build", self.build),
            Route("POST", "/build/prune", self.prune, ApiVersion(1, 31)),
            Route("POST", "/build/cancel", self.cancel, ApiVersion(1, 39)),
        ]

    async def build(self, exchange: Exchange) -> None:
        """``POST /build``: the classic builder's side of it."""
        query = exchange.query
        remote = query.text("remote")
        _check_version(query, remote)
        _check_isolation(query)
        outputs = _outputs_of(exchange)
        operation = self._engine.image_build(
            dockerfile=query.text("dockerfile"),
            t=query.texts("t"),
            extrahosts=query.texts("extrahosts"),
            remote=remote,
            q=query.flag("q"),
            nocache=query.flag("nocache"),
            cachefrom=_json(query, "cachefrom", _texts, "error reading cache-from") or (),
            pull=query.flag("pull"),
            rm=query.flag("rm", default=True),
            forcerm=query.flag("forcerm"),
            memory=query.number("memory"),
            memswap=query.number("memswap"),
            cpushares=query.number("cpushares"),
            cpusetcpus=query.text("cpusetcpus"),
            cpusetmems=query.text("cpusetmems"),
            cpuperiod=query.number("cpuperiod"),
            cpuquota=query.number("cpuquota"),
            buildargs=_json(query, "buildargs", _text_map, "error reading build args"),
            shmsize=_shm_size(query),
            squash=query.flag("squash"),
            labels=_labels(query),
            networkmode=query.text("networkmode"),
            content_type=exchange.headers.get("Content-Type", ""),
            x_registry_config=exchange.headers.get("X-Registry-Config", ""),
            platform=query.text("platform") if exchange.version >= _PLATFORM_SINCE else "",
            target=query.text("target"),
            outputs=outputs,
            input_stream=exchange.body(),
            ulimits=_json(query, "ulimits", _ulimits, "error reading ulimit settings") or (),
            cgroupparent=query.text("cgroupparent"),
            x_registry_auth=exchange.headers.get("X-Registry-Auth", ""),
        )
        if any((output.attrs or {}).get("dest") == CALLER for output in outputs):
            await send_built(exchange, operation)
        else:
            await send_progress(exchange, operation, log=self._log)

    async def prune(self, exchange: Exchange) -> None:
        """``POST /build/prune``."""
        query = exchange.query
        pruned = await self._engine.build_prune(
            # By the name that it has since API 1.48, too.
            keep_storage=_bytes(query, "keep-storage") or _bytes(query, "reserved-space"),
            all=query.flag("all"),
            filters=query.filters(),
        )
        exchange.reply_value(pruned)

    async def cancel(self, exchange: Exchange) -> None:
        """``POST /build/cancel``: builds with an ID are BuildKit's; there is none to cancel."""
        if not exchange.query.text("id"):
            raise InvalidParameter("build ID not provided")
        exchange.reply(200)


def _check_isolation(query: Query) -> None:
    isolation = query.text("isolation")
    if isolation.lower() not in {"", "default"}:
        raise InvalidParameter(f'Unsupported isolation: "{isolation}"')


def _check_version(query: Query, remote: str) -> None:
    version = query.text("version")
    if version == "2":
        raise NotImplementedHere("lamina does not implement BuildKit's protocol yet")
    if version not in {"", "1"}:
        raise InvalidParameter(f'invalid version "{version}"')
    if remote == "client-session":
        raise InvalidParameter(
            "experimental session with v1 builder is no longer supported, "
            "use builder version v2 (BuildKit) instead"
        )
    options = query.text("securityopt")
    if options and options not in ("[]", "null"):
        raise InvalidParameter("security options are not supported on linux")


def _json(query: Query, name: str, decoder: msgspec.json.Decoder[T], problem: str) -> T | None:
    """A parameter that is JSON; nothing and an empty text are None."""
    text = query.text(name)
    if not text:
        return None
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"{problem}: {error}") from error


def _labels(query: Query) -> dict[str, str]:
    labels = _json(query, "labels", _text_map, "error reading labels") or {}
    return {name: value or "" for name, value in labels.items()}


def _outputs_of(exchange: Exchange) -> list[ImageBuildOutput]:
    """Outputs as BuildKit's JSON or as ``type=tar,dest=-``; what is written is the answer."""
    if exchange.version < _OUTPUTS_SINCE:
        return []
    found: list[ImageBuildOutput] = []
    for text in filter(None, exchange.query.texts("outputs")):
        try:
            found += [parse_output(text)] if _is_csv(text) else _outputs.decode(text) or ()
        except (msgspec.DecodeError, RecursionError, InvalidParameter) as error:
            raise InvalidParameter(f"invalid outputs specified: {error}") from error
    wanted = [_to_caller(output) for output in found if output.type]
    check_outputs(wanted)
    return wanted


def _is_csv(text: str) -> bool:
    return text == CALLER or ("=" in text and not text.startswith("["))


def _to_caller(output: ImageBuildOutput) -> ImageBuildOutput:
    if output.type not in WRITTEN:
        return output
    attrs = {**(output.attrs or {})}
    if attrs.setdefault("dest", CALLER) not in {"", CALLER}:
        raise InvalidParameter(
            f"output {output.type}: dest is a path of your machine, where the engine cannot write:"
            " without it, the archive is the answer"
        )
    return ImageBuildOutput(type=output.type, attrs={**attrs, "dest": CALLER})


def _shm_size(query: Query) -> int:
    text = query.text("shmsize")
    try:
        return parse_int(text, bits=64) if text else 0
    except DockerfileError as error:
        # No error of the caller's, to dockerd.
        raise LaminaError(str(error)) from None


def _bytes(query: Query, name: str) -> int:
    text = query.text(name)
    try:
        return parse_int(text, bits=64) if text else 0
    except DockerfileError:
        raise InvalidParameter(
            f"{name} is in bytes and expects an integer, got {text:.64}"
        ) from None
