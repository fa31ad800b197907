"""A web server of a folder that waits before each answer, as one far away does."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        data = file.read_bytes() if file.is_file() else b""
        status, size = (200 if file.is_file() else 404), len(data)
        headers = {}
        if (asked := self.headers.get("Range")) and data:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, size - int(last))
            stop = min(size, int(last) + 1) if first and last else size
            data, status = data[start:stop], 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)


@contextlib.contextmanager
def serving(root: Path, delay_s: float) -> Iterator[str]:
    """The address of a folder, for as long as it lasts."""
    handler = type("Handler", (_Handler,), {"root": root, "delay_s": delay_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
