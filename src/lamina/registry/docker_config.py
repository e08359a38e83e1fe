"""The credentials in ``config.json`` of Docker's command line: its own entries and its helpers.

The file is the user's: what is not about credentials is kept as it stands, and a change replaces
the file in one step, readable for its owner only.
"""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from lamina.errors import InvalidParameter
from lamina.registry.credential_helper import CredentialHelper
from lamina.registry.credentials import AuthConfig, key_of, pack, registry_of, unpack

_LARGEST_FILE = 8 << 20


class DockerConfig:
    """A `CredentialSource` on one config.json, which need not exist.

    Read anew for each question, as other programs write it. `environment` is that of helpers.
    """

    def __init__(self, path: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._environment = environment

    async def find(self, registry: str) -> AuthConfig | None:
        """The credentials for a registry, None if there are none.

        Raises InvalidParameter (the file is no such document), CredentialHelperError.
        """
        document = await asyncio.to_thread(_load, self._path)
        helper = self._helper(document, registry)
        if helper is not None:
            return await helper.get(key_of(registry))
        return find_entry(_table(document, "auths"), registry)

    async def registries(self) -> list[str]:
        """What the user is logged in to, as the file names it. Raises InvalidParameter."""
        document = await asyncio.to_thread(_load, self._path)
        return list(_table(document, "auths") | _table(document, "credHelpers"))

    async def store(self, registry: str, credentials: AuthConfig) -> None:
        """Keep credentials, in the helper if one is configured.

        Raises as `find` does, and OSError.
        """
        key = key_of(registry)
        document = await asyncio.to_thread(_load, self._path)
        helper = self._helper(document, registry)
        if helper is not None:
            await helper.store(key, credentials)
        await asyncio.to_thread(
            self._change, lambda auths: auths.update({key: _entry(credentials, helper is None)})
        )

    async def erase(self, registry: str) -> bool:
        """Forget the credentials of a registry; False if there were none.

        Raises as `store` does.
        """
        document = await asyncio.to_thread(_load, self._path)
        helper = self._helper(document, registry)
        keys = [
            key for key in _table(document, "auths") if registry_of(key) == registry_of(registry)
        ]
        if helper is not None:
            await helper.erase(key_of(registry))
        if keys:
            await asyncio.to_thread(self._change, lambda auths: [auths.pop(key, 0) for key in keys])
        return bool(keys) or helper is not None

    def _helper(self, document: Mapping[str, Any], registry: str) -> CredentialHelper | None:
        helpers = _table(document, "credHelpers")
        name = document.get("credsStore") or ""
        for key, value in helpers.items():
            if registry_of(key) == registry_of(registry):
                name = value
                break
        if not isinstance(name, str):
            raise InvalidParameter(f"{self._path}: a credential helper's name must be text")
        return CredentialHelper(name, environment=self._environment) if name else None

    def _change(self, change: Callable[[dict[str, Any]], object]) -> None:
        document = _load(self._path)
        auths = document["auths"] = dict(_table(document, "auths"))
        change(auths)
        _save(self._path, document)


def find_entry(auths: Mapping[str, Any], registry: str) -> AuthConfig | None:
    """The entry of a config.json's ``auths`` for a registry. Raises InvalidParameter."""
    wanted = registry_of(registry)
    exact = auths.get(key_of(registry))
    loose = (value for key, value in auths.items() if registry_of(key) == wanted)
    value = exact if exact is not None else next(loose, None)
    if value is None:
        return None
    try:
        credentials = unpack(msgspec.convert(value, AuthConfig))
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid auth configuration file: {error}") from error
    return None if credentials.is_empty else credentials


def _entry(credentials: AuthConfig, has_secret: bool) -> dict[str, str]:  # noqa: FBT001
    """The entry of ``auths``; empty where a helper holds the secret, as Docker writes it."""
    if not has_secret:
        return {}
    entry: dict[str, str] = {}
    if credentials.username:
        # With a refresh token the password is not kept.
        password = "" if credentials.identitytoken else credentials.password
        entry["auth"] = pack(credentials.username, password)
    if credentials.identitytoken:
        entry["identitytoken"] = credentials.identitytoken
    if credentials.registrytoken:
        entry["registrytoken"] = credentials.registrytoken
    return entry


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidParameter(f"invalid auth configuration file: {name} must be an object")
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        return {}
    if len(data) > _LARGEST_FILE:
        raise InvalidParameter(f"{path}: larger than {_LARGEST_FILE} bytes")
    try:
        document = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"{path}: not a JSON object")
    return document


def _save(path: Path, document: Mapping[str, Any]) -> None:
    # A link stays one: people keep this file elsewhere.
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent="\t", ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
            _keep_owner(file.fileno(), target)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_owner(descriptor: int, replaced: Path) -> None:
    """Give a new file to the owner of the one it replaces, as docker does for root."""
    # Only root may give files away; whoever else may write here gets a file of their own.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        owner = replaced.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
