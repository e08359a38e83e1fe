"""An operation's progress as the body of a reply."""

import contextlib
import logging
from typing import Any

from lamina.api.errors import words_of
from lamina.api.exchange import JSON, Exchange
from lamina.api.messages import encode, encode_error
from lamina.errors import CommandFailed, LaminaError
from lamina.progress import Operation


async def send_progress(
    exchange: Exchange,
    operation: Operation[Any],
    *,
    log: logging.Logger,
    errors_in_stream: bool = False,
) -> None:
    """Send each event as a message and a chunk of its own, flushed.

    An error before the first event is raised, to become an HTTP status; after it, or always with
    `errors_in_stream`, it is the last message. A client that goes away cancels the operation.
    """
    try:
        async with contextlib.aclosing(aiter(operation)) as events:
            async for event in events:
                if not (message := encode(event)):
                    continue
                if not exchange.begun:
                    exchange.begin(JSON)
                await exchange.write(message)
    except ConnectionError:
        raise
    except Exception as error:
        if not exchange.begun:
            if not errors_in_stream:
                raise
            exchange.begin(JSON)
        if not isinstance(error, LaminaError):
            log.exception("%s %s failed", exchange.method, exchange.path)
        code = error.code if isinstance(error, CommandFailed) else 0
        await exchange.write(encode_error(words_of(error), code=code))
    else:
        if not exchange.begun:
            exchange.begin(JSON)
