"""A receiver of webhooks and callbacks: answers with statuses in turn, keeps what it got."""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.servers import DEADLINE_S


class Delivery(NamedTuple):
    """One POST that came.

    Attributes:
        headers: under names in lower case.
        body: the JSON of it.
    """

    headers: Mapping[str, str]
    body: Any
    path: str


class Receiver:
    """The last of `statuses` is for good."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.got: queue.Queue[Delivery] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.next_status())
                self.send_header("Content-Length", "0")
                self.end_headers()
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.put(Delivery(headers, json.loads(body), self.path))

            def log_message(self, *_: object) -> None:
                """Not to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/cb"

    def next_status(self) -> int:
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def next(self) -> Delivery:
        return self.got.get(timeout=3 * DEADLINE_S)
