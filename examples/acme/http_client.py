"""A lean HTTP/1.1 client for many browser tabs in one process: one keep-alive connection each, GET only.

A general client library costs three times as much a request, and the machine is shared with the services it loads.
Understands answers with Content-Length or without a body; anything else is a ConnectionError.
"""

import asyncio

HEADER_BYTES_MAX = 16_384  # more is not an answer of these services


class Connection(asyncio.Protocol):
    """One connection; `get` sends a request and gives the status of its answer."""

    def __init__(self) -> None:
        self.closed = False
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._status: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def get(self, request: bytes) -> int:
        assert self._transport is not None, "not connected"
        assert self._status is None, "one request at a time"
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._status
        finally:
            self._status = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._status is None or self._status.done():
            self.abort()  # an answer that nobody asked for
            return
        try:
            size, status, keep_alive = answer(self._received)
        except ValueError as error:
            self._status.set_exception(ConnectionError(str(error)))
            self.abort()
            return
        if not size or len(self._received) < size:
            return
        del self._received[:size]
        self._status.set_result(status)
        if not keep_alive:
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed = True
        if self._status is not None and not self._status.done():
            self._status.set_exception(ConnectionError("the server closed the connection"))

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


def request(host: str, port: int, path: str, headers: str = "") -> bytes:
    """A GET request; `headers` are more header lines, each with its line end."""
    head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
    return f"{head}{headers}\r\n".encode()


def answer(received: bytes | bytearray) -> tuple[int, int, bool]:
    """Size, status and keep-alive of the answer at the start of `received`; size 0 while its header is incomplete."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > HEADER_BYTES_MAX:
            raise ValueError("header without end")
        return 0, 0, True
    lines = bytes(received[:end]).lower().split(b"\r\n")
    version, _, rest = lines[0].partition(b" ")
    if version != b"http/1.1" or not rest[:3].isdigit():
        raise ValueError(f"not an HTTP/1.1 answer: {lines[0]!r}")
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    if b"transfer-encoding" in headers:
        raise ValueError("chunked answers are not understood")
    size = end + 4 + int(headers.get(b"content-length", b"0"))
    return size, int(rest[:3]), headers.get(b"connection") != b"close"
