"""A TCP relay between two parts: it remembers when what was asked, and can be cut."""

import contextlib
import re
import socket
import threading
import time
import urllib.parse

_REQUEST = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)


class Relay:
    """Passes connections on to one address, until it is cut."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{parts.scheme}://127.0.0.1:{self.port}{parts.path}"
        # (seconds since the epoch, method, path) of each request in the clear.
        self.requests = []
        self._open = set()
        self._cut = False
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def since(self, moment):
        return [request for request in list(self.requests) if request[0] >= moment]

    def cut(self):
        """Ends every connection and takes no new one, until `join`."""
        with self._lock:
            self._cut = True
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def join(self):
        self._cut = False

    def close(self):
        self.cut()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        with contextlib.closing(near):
            try:
                if self._cut:
                    return
                far = socket.create_connection(self._target, 5)
            except OSError:
                return
            with contextlib.closing(far):
                with self._lock:
                    if self._cut:
                        return
                    self._open |= {near, far}
                back = threading.Thread(target=self._pass, args=(far, near, False), daemon=True)
                back.start()
                self._pass(near, far, True)
                back.join()
                with self._lock:
                    self._open -= {near, far}

    def _pass(self, source, sink, asked):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if asked:
                    now = time.time()
                    for method, path in _REQUEST.findall(data):
                        self.requests.append((now, method.decode(), path.decode()))
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
