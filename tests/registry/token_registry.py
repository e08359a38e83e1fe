"""A real registry that takes tokens, and the token server it trusts.

The server speaks both protocols: GET with basic authentication, POST with a password or a refresh
token. Who is not named may pull from ``public/…`` only.
"""

import base64
import json
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import BasicAuth, web
from multidict import MultiMapping

from tests.real.process import Background
from tests.real.programs import require, run

USER, PASSWORD, REFRESH = "someone", "right", "refresh-token"
_SERVICE, _ISSUER = "lamina tests", "token server"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


@dataclass
class TokenServer:
    """What it was asked for, and how it behaves."""

    directory: Path
    life: int = 300
    refuse_get: bool = False
    port: int = 0
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        query: MultiMapping[str] = request.query
        user: str | None = None
        if request.method == "POST":
            query = await request.post()  # type: ignore[assignment]  # No files are sent.
        self.asked.append((request.method, {key: query.getall(key) for key in query}))
        if request.method == "GET":
            if self.refuse_get:
                return web.Response(status=405)
            if "Authorization" in request.headers:
                given = BasicAuth.decode(request.headers["Authorization"])
                if (given.login, given.password) != (USER, PASSWORD):
                    return _unauthorized()
                user = USER
        elif query["grant_type"] == "refresh_token":
            if query["refresh_token"] != REFRESH:
                return _unauthorized()
            user = USER
        else:
            if (query["username"], query["password"]) != (USER, PASSWORD):
                return _unauthorized()
            user = USER
        scopes = " ".join(query.getall("scope", [])).split()
        body: dict[str, object] = {
            "access_token" if request.method == "POST" else "token": self._sign(user, scopes),
            "expires_in": self.life,
        }
        if query.get("offline_token") == "true" or query.get("access_type") == "offline":
            body["refresh_token"] = REFRESH
        return web.json_response(body)

    def _sign(self, user: str | None, scopes: list[str]) -> str:
        access = []
        for item in scopes:
            kind, name, actions = item.split(":")
            allowed = actions.split(",") if user or kind != "repository" else []
            if not user and name.startswith("public/"):
                allowed = ["pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        certificate = (self.directory / "cert.pem").read_text()
        der = "".join(line for line in certificate.splitlines() if not line.startswith("-"))
        header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        claims = {
            "iss": _ISSUER,
            "sub": user or "",
            "aud": _SERVICE,
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now,
            "jti": str(len(self.asked)),
            "access": access,
        }
        text = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        unsigned = self.directory / "unsigned"
        unsigned.write_text(text)
        signature = self.directory / "signature"
        key = str(self.directory / "key.pem")
        run(["openssl", "dgst", "-sha256", "-sign", key, "-out", str(signature), str(unsigned)])
        return f"{text}.{_encode(signature.read_bytes())}"


def _unauthorized() -> web.Response:
    return web.json_response({"details": "incorrect username or password"}, status=401)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@asynccontextmanager
async def token_registry() -> AsyncIterator[tuple[str, TokenServer]]:
    """The registry's address, and its token server."""
    root = Path(tempfile.mkdtemp(prefix="lamina-tokens-"))
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    run([*new, "-subj", "/CN=tokens", "-keyout", f"{root}/key.pem", "-out", f"{root}/cert.pem"])
    server = TokenServer(root)
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = int(runner.addresses[0][1])
    config = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": f"{root}/storage"}},
        "http": {"addr": "127.0.0.1:0", "secret": "of the tests"},
        "auth": {
            "token": {
                "realm": f"http://127.0.0.1:{server.port}/token",
                "service": _SERVICE,
                "issuer": _ISSUER,
                "rootcertbundle": f"{root}/cert.pem",
            }
        },
    }
    (root / "config.yml").write_text(json.dumps(config))
    log = root / "log"
    program = require("docker-registry")
    background = Background([program, "serve", f"{root}/config.yml"], log=log)
    try:
        background.wait_ready(lambda: _LISTENING.search(log.read_text()) is not None)
        found = _LISTENING.search(log.read_text())
        assert found is not None
        yield f"127.0.0.1:{found[1]}", server
    finally:
        background.stop()
        await runner.cleanup()
        shutil.rmtree(root)
