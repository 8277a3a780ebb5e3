"""/metrics, /healthz and /readyz of one worker, in a thread of its own: it answers while the loop does not turn."""

import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream.health import vitals
from stream.health.vitals import Vitals

CONNECTIONS_MAX = 8  # one Prometheus, two probes and a person; more are turned away
READ_S_MAX = 2.0  # for each part of a request
REQUEST_S_MAX = 5.0  # for all of it, however slowly its parts come
TEXT = "text/plain; charset=utf-8"


class Server(ThreadingHTTPServer):
    """Bounded in connections and in the time of each; a request has no body and changes nothing."""

    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, host: str, port: int, registry: CollectorRegistry, seen: Vitals) -> None:
        """Listens at once; port 0 takes a free one. Raises OSError where the address cannot be had."""
        self.registry = registry
        self.seen = seen
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((host, port), Answer)

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"{host if isinstance(host, str) else host.decode()}:{port}"

    def begin(self) -> None:
        threading.Thread(target=self.serve_forever, name="metrics", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        limit = threading.Timer(REQUEST_S_MAX, _cut, (request,))
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class Answer(BaseHTTPRequestHandler):
    """One request a connection (HTTP/1.0)."""

    timeout = READ_S_MAX
    server_version = "douse"
    sys_version = ""
    server: Server

    def do_GET(self) -> None:
        now_s = time.monotonic()
        match self.path.partition("?")[0]:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._say(HTTPStatus.OK, encode(self.server.registry), content_type)
            case "/healthz":
                self._judge(vitals.sick(self.server.seen, now_s))
            case "/readyz":
                self._judge(vitals.unready(self.server.seen, now_s))
            case _:
                self._say(HTTPStatus.NOT_FOUND, b"/metrics, /healthz and /readyz are here\n", TEXT)

    def log_message(self, *_: Any) -> None:
        """Probes every few seconds would drown the worker's own log."""

    def _judge(self, fault: str) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
        self._say(status, f"{fault or 'ok'}\n".encode(), TEXT)

    def _say(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _cut(request: socket) -> None:
    try:
        request.shutdown(SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
