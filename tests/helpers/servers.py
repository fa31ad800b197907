"""A web server of a folder that can be slow, odd, or keep all waiting."""

import contextlib
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from waiting import PATIENCE_S


class Server:
    """Serves the files of a folder at `address`, with ranges, as S3 or nginx do.

    Attributes
    ----------
    delay_s : float
        Before each answer.
    gate : threading.Event
        While it is not set, nothing is answered.
    has_ranges : bool
    refusing : set of str
        Ends of paths that are answered with 403; "" for all.
    page : bytes or None
        With which all is answered that is not there, as sites of one page do.
    moved_to : str or None
        Where all requests are sent on to.
    instead : callable or None
        Answers in place of it: takes the request's handler, the path, and the bytes of
        the file or None; returns a status, a body and headers, or None.
    asked : list of (str, str or None)
        Paths, and which part of them.
    connections : int
        That were ever opened.
    """

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.delay_s, self.has_ranges = 0.0, True
        self.refusing, self.page, self.moved_to = set(), None, None
        self.instead, self.is_away = None, False
        self.gate = threading.Event()
        self.gate.set()
        self.asked = []
        self.together, self.most_together = 0, 0
        self.connections = 0
        self._arrived, self._let_through = 0, None
        self.lock = threading.Condition()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.of = self
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @contextlib.contextmanager
    def waiting(self):
        """Nothing is answered meanwhile."""
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()

    @contextlib.contextmanager
    def away(self):
        """Connections are closed without an answer meanwhile."""
        self.is_away = True
        try:
            yield
        finally:
            self.is_away = False

    def hold(self):
        """Keep all waiting that arrive from now on, but for those `let_through`."""
        with self.lock:
            self._let_through = self._arrived

    def let_through(self, count):
        """Wait until so many have arrived since, and answer them; returns what they
        asked for."""
        with self.lock:
            up_to = self._let_through + count
            there = self.lock.wait_for(lambda: self._arrived >= up_to, PATIENCE_S)
            assert there, f"{self._arrived - self._let_through} of {count} came"
            self._let_through = up_to
            self.lock.notify_all()
            return self.asked[-count:]

    def go_on(self):
        """Keep nobody waiting any more."""
        with self.lock:
            self._let_through = None
            self.lock.notify_all()

    def arrive(self, path, part):
        """Note a request, and wait for its turn."""
        with self.lock:
            self.asked.append((path, part))
            self.together += 1
            self.most_together = max(self.most_together, self.together)
            self._arrived += 1
            number = self._arrived
            self.lock.notify_all()
            self.lock.wait_for(
                lambda: self._let_through is None or number <= self._let_through
            )

    def close(self):
        self.gate.set()
        self.go_on()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@contextlib.contextmanager
def serving(root):
    server = Server(root)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def nobody_answering():
    """An address at which nobody listens, and that no other test can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        super().setup()
        with self.server.of.lock:
            self.server.of.connections += 1

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(has_body=False)

    def do_GET(self):
        self._answer(has_body=True)

    def _answer(self, has_body):
        of = self.server.of
        path = unquote(urlsplit(self.path).path)
        of.arrive(path, self.headers.get("Range"))
        try:
            of.gate.wait()
            time.sleep(of.delay_s)
            if of.is_away:
                self.close_connection = True
                return
            with contextlib.suppress(ConnectionError):
                self._send(of, path, has_body)
        finally:
            with of.lock:
                of.together -= 1

    def _send(self, of, path, has_body):
        if of.moved_to is not None:
            self._said(301, b"", Location=of.moved_to + self.path)
            return
        if any(path.endswith(end) for end in of.refusing):
            self._said(403, b"no")
            return
        file = os.path.realpath(of.root + path)
        if of.instead is not None:
            is_there = file.startswith(of.root) and os.path.isfile(file)
            data = Path(file).read_bytes() if is_there else None
            if (answer := of.instead(self, path, data)) is not None:
                status, body, headers = answer
                self._said(status, body, has_body, **headers)
                return
        if not file.startswith(of.root) or not os.path.isfile(file):
            status = 404 if of.page is None else 200
            self._said(status, of.page or b"", **{"Content-Type": "text/html"})
            return
        with open(file, "rb") as opened:
            data = opened.read()
        asked = self.headers.get("Range")
        if asked is None or not of.has_ranges:
            self._said(200, data, has_body)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        size = len(data)
        start = int(first) if first else max(0, size - int(last))
        stop = min(size, int(last) + 1) if first and last else size
        part = f"bytes {start}-{stop - 1}/{size}"
        self._said(206, data[start:stop], has_body, **{"Content-Range": part})

    def _said(self, status, data, has_body=True, **headers):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(data)
