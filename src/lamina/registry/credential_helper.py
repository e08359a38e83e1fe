"""Runs ``docker-credential-<name>`` programs, which keep secrets in a desktop's or a cloud's store.

The protocol: the server's name, or a JSON document, on standard input; JSON or an error text on
standard output; a non-zero exit status for an error.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import cast

import msgspec

from lamina.errors import InvalidParameter, LaminaError
from lamina.registry.credentials import AuthConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_ANSWER = 1 << 20
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105  A marker of the protocol.


class CredentialHelperError(LaminaError):
    """A credential helper failed; `helper` is its program's name."""

    def __init__(self, helper: str, reason: str) -> None:
        super().__init__(f"error getting credentials - err: {reason}, out: `{helper}`")
        self.helper = helper


class _Stored(msgspec.Struct, rename="pascal"):
    server_url: str = msgspec.field(name="ServerURL", default="")
    username: str = ""
    secret: str = ""


class CredentialHelper:
    """One helper program; it sees `environment`, or this process's own where that is None."""

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float = 120.0,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidParameter(f"invalid credential helper name {name!r}")
        self._program = f"docker-credential-{name}"
        self._environment = environment
        self._timeout = timeout

    async def get(self, key: str) -> AuthConfig | None:
        """The credentials stored for `key`, None if there are none.

        Raises CredentialHelperError.
        """
        status, output = await self._run("get", key.encode())
        if status != 0:
            text = output.decode(errors="replace").strip()
            if text == _NOT_FOUND:
                return None
            raise CredentialHelperError(self._program, text or f"exit status {status}")
        try:
            stored = msgspec.json.decode(output, type=_Stored)
        except (ValueError, RecursionError) as error:
            raise CredentialHelperError(self._program, f"invalid answer: {error}") from error
        if stored.username == _TOKEN_USER:
            return AuthConfig(identitytoken=stored.secret, serveraddress=key)
        return AuthConfig(username=stored.username, password=stored.secret, serveraddress=key)

    async def store(self, key: str, credentials: AuthConfig) -> None:
        """Keep credentials under `key`. Raises CredentialHelperError."""
        if credentials.identitytoken:
            username, secret = _TOKEN_USER, credentials.identitytoken
        else:
            username, secret = credentials.username, credentials.password
        document = _Stored(server_url=key, username=username, secret=secret)
        await self._change("store", msgspec.json.encode(document))

    async def erase(self, key: str) -> None:
        """Forget what is kept under `key`. Raises CredentialHelperError."""
        await self._change("erase", key.encode())

    async def list(self) -> dict[str, str]:
        """Keys and user names. Raises CredentialHelperError."""
        status, output = await self._run("list", b"")
        try:
            if status == 0:
                return msgspec.json.decode(output, type=dict[str, str])
        except (ValueError, RecursionError) as error:
            raise CredentialHelperError(self._program, f"invalid answer: {error}") from error
        raise CredentialHelperError(self._program, output.decode(errors="replace").strip())

    async def _change(self, verb: str, document: bytes) -> None:
        status, output = await self._run(verb, document)
        text = output.decode(errors="replace").strip()
        if status != 0 and text != _NOT_FOUND:
            raise CredentialHelperError(self._program, text or f"exit status {status}")

    async def _run(self, verb: str, document: bytes) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        try:
            transport, conversation = await loop.subprocess_exec(
                lambda: _Conversation(answer),
                self._program,
                verb,
                # Prompts and warnings are for the user.
                stderr=None,
                env=self._environment,
            )
        except OSError as error:
            raise CredentialHelperError(
                self._program, f'exec: "{self._program}": {error.strerror}'
            ) from error
        try:
            # One in substance: uvloop's derives from nothing.
            pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
            # It may have ended already without reading anything.
            if not pipe.is_closing():
                pipe.write(document + b"\n")
                pipe.write_eof()
            async with asyncio.timeout(self._timeout):
                output = await answer
            return transport.get_returncode() or 0, output
        except TimeoutError as error:
            raise CredentialHelperError(self._program, "no answer in time") from error
        except ValueError as error:
            raise CredentialHelperError(self._program, str(error)) from error
        finally:
            # Ends the program too, where it still runs.
            transport.close()
            await conversation.ended.wait()


class _Conversation(asyncio.SubprocessProtocol):
    """Collects a program's standard output until it has ended and closed it."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer
        self._output = bytearray()
        self.ended = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what it writes, up to a limit."""
        if fd == 1 and not self._answer.done():
            self._output += data
            if len(self._output) > _LONGEST_ANSWER:
                self._answer.set_exception(ValueError("answer too long"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Both the program and its output have ended."""
        self.ended.set()
        if not self._answer.done():
            self._answer.set_result(bytes(self._output))
