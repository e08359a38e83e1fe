from typing import Self


class HttpWaitStrategy:
    """Nothing has to be waited for."""

    def __init__(self, port: int) -> None:
        self._port = port

    def for_status_code(self, code: int) -> Self:
        assert code
        return self

    def using_tls(self, *, insecure: bool) -> Self:
        assert insecure
        return self
