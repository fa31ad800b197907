"""A web server of a folder that waits before each answer, as one far away does."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import unquote


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    delay_s: float

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, has_body: bool) -> None:
        time.sleep(self.delay_s)
        file = self.root / unquote(self.path).lstrip("/")
        size = file.stat().st_size if file.is_file() else 0
        status, start, stop = (200 if file.is_file() else 404), 0, size
        headers = {}
        if (asked := self.headers.get("Range")) and size:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, size - int(last))
            stop, status = min(size, int(last) + 1) if first and last else size, 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(stop - start)}).items():
            self.send_header(name, value)
        self.end_headers()
        if has_body and size:
            # Who has what it wants may hang up.
            with file.open("rb") as opened, contextlib.suppress(ConnectionError):
                self.wfile.write(os.pread(opened.fileno(), stop - start, start))


@contextlib.contextmanager
def serving(root: Path, delay_s: float) -> Iterator[str]:
    """The address of a folder, for as long as it lasts.

    From a process of its own: it holds no interpreter that is measured.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(root, delay_s, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(root: Path, delay_s: float, told: Connection) -> None:
    handler = type("Handler", (_Handler,), {"root": root, "delay_s": delay_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    told.send(server.server_port)
    server.serve_forever()
