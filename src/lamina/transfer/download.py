"""Files from the web: what an import or a build names by URL."""

from collections.abc import AsyncGenerator
from typing import Final

from yarl import URL

from lamina.errors import Forbidden, InvalidParameter, LaminaError, NotFound, Unauthorized
from lamina.progress import LayerProgress, Report, StatusLine
from lamina.registry.transport import Answer, Request, Transport

_MAX_ERROR_BODY: Final = 1024
_REMOTE_ERRORS: Final[dict[int, type[LaminaError]]] = {
    400: InvalidParameter,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
}


async def download(
    transport: Transport,
    url: str,
    report: Report,
    *,
    action: str,
    subject: str = "",
    headers: dict[str, str] | None = None,
    announce: bool = True,
) -> AsyncGenerator[bytes, None]:
    """The body of a URL, through a proxy if there is one for it; `headers` takes the reply's.

    `action` names what is done in progress, `subject` to what, where that is told apart; `announce`
    says where it comes from. Raises NotFound and others as the server says, LaminaError where there
    is none.
    """
    async with await transport.send(_request(url)) as answer:
        if answer.status >= 400:
            raise await _remote_error(answer, url)
        if headers is not None:
            headers.update(answer.headers)
        if announce:
            await report(StatusLine(f"Downloading from {url}"))
        done = 0
        async for chunk in answer.chunks():
            done += len(chunk)
            await report(LayerProgress(subject, action, done, answer.length))
            yield chunk


def _request(url: str) -> Request:
    try:
        parsed = URL(url)
        host = parsed.host  # decoded only now
    except ValueError as error:
        raise InvalidParameter(f"invalid URL: {url}") from error
    if parsed.scheme not in {"http", "https"}:
        raise LaminaError(f'Get "{url}": unsupported protocol scheme "{parsed.scheme}"')
    if not host:
        raise LaminaError(f'Get "{url}": http: no Host in request URL')
    # It may lead from TLS to where there is none, as it may for a dockerd.
    return Request(method="GET", url=parsed, plain_allowed=True)


async def _remote_error(answer: Answer, url: str) -> LaminaError:
    body = await answer.read(_MAX_ERROR_BODY)
    text = body[:_MAX_ERROR_BODY].decode(errors="replace").strip()
    message = f"failed to GET {url} with status {answer.status} {answer.reason}: {text}"
    return _REMOTE_ERRORS.get(answer.status, LaminaError)(message)
