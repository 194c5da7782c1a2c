"""The official Hysteria client, and a device that uses it."""

import hashlib
import json
import os
import re
import socket
import struct
import threading
import time

from . import target
from .processes import Failed, check, free_port, until

_CLIENT = os.path.join(os.path.dirname(__file__), "client_process.py")
_CONNECTED = "connected to server"
_REFUSED = re.compile(r"authentication error, HTTP status code: (\d+)")


class Client:
    """One device: a client process with a SOCKS5 inbound, that gets nothing but the link."""

    # What the process runs, and what it says once it is connected.
    says = _CONNECTED

    def __init__(self, world, link, label):
        self.world = world
        self.label = label
        # What it asks for to reach the target.
        self.target_address = "127.0.0.1"
        self.port = free_port()
        self.process = self._start(link)
        self._busy = None
        self._stop = threading.Event()
        # (time begun, time ended, error or None) of each request of the busy loop, in seconds since the epoch.
        self.requests = []

    def _start(self, link):
        """`link` is one, or a whole configuration without inbounds."""
        configuration = dict(link) if isinstance(link, dict) else {"server": link}
        configuration["socks5"] = {"listen": f"127.0.0.1:{self.port}"}
        return self.world.start(
            f"client-{self.label}", [self.world.tools.python, _CLIENT], stdin=json.dumps(configuration)
        )

    def connected(self, seconds=15.0):
        """Waits until the client is connected and its inbound listens."""

        def ready():
            if not self.process.running():
                raise Failed(f"client {self.label} ended: {self.process.output().strip()[-300:]}")
            return self.says in self.process.output() and self._listening()

        until(f"client {self.label} connects", ready, seconds)
        return self

    def refused(self, seconds=15.0):
        """Waits until the node has refused the client at its first connect."""
        until(f"client {self.label} gives up", lambda: not self.process.running(), seconds)
        output = self.process.output()
        check(_CONNECTED not in output, f"client {self.label} was let in")
        check(_REFUSED.search(output), f"client {self.label} ended for another reason: {output.strip()[-300:]}")

    def _listening(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def exchange(self, path, body=None, timeout=10.0):
        """One HTTP request to the target through the VPN, on a connection of its own. Returns the body of the answer."""
        method = "GET" if body is None else "POST"
        body = body or b""
        with self._through(self.target_address, self.world.target.port, timeout) as through:
            head = f"{method} {path} HTTP/1.1\r\nHost: target\r\nContent-Length: {len(body)}\r\n\r\n"
            through.sendall(head.encode() + body)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += _some(through)
            head, answer = answer.split(b"\r\n\r\n", 1)
            length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
            parts, received = [answer], len(answer)
            while received < length:
                parts.append(_some(through))
                received += len(parts[-1])
            return b"".join(parts)

    def _through(self, address, port, timeout):
        """A connection through the VPN. The client answers yes before the node has connected: what is refused ends at once."""
        through = socket.create_connection(("127.0.0.1", self.port), timeout)
        try:
            through.settimeout(timeout)
            through.sendall(b"\x05\x01\x00")
            _exactly(through, 2)
            through.sendall(b"\x05\x01\x00\x01" + socket.inet_aton(address) + struct.pack(">H", port))
            reply = _exactly(through, 10)
            if reply[1] != 0:
                raise OSError(f"SOCKS5 reply {reply[1]}")
        except BaseException:
            through.close()
            raise
        return through

    def reaches(self, address, port, timeout=5.0):
        """Whether something answers HTTP there, for this client."""
        try:
            with self._through(address, port, timeout) as through:
                through.sendall(b"GET / HTTP/1.1\r\nHost: there\r\nConnection: close\r\n\r\n")
                return _some(through).startswith(b"HTTP/")
        except OSError:
            return False

    def ping(self, timeout=5.0):
        path = f"/{self.label}/{time.time_ns()}"
        if self.exchange(path, timeout=timeout) != path.encode():
            raise OSError("another answer than asked for")

    def gets_through(self, timeout=5.0):
        try:
            self.ping(timeout)
        except OSError:
            return False
        return True

    def download(self):
        """Ten megabytes from the target."""
        answer = self.exchange("/blob", timeout=60)
        check(answer == target.BLOB, f"{len(answer)} bytes came back instead of the {len(target.BLOB)} that were asked for")

    def upload(self, size):
        body = target.BLOB[:size]
        answer = self.exchange(f"/{self.label}", body, timeout=60)
        check(answer.decode() == hashlib.sha256(body).hexdigest(), "the target got other bytes than were sent")

    def work(self, every=0.05):
        """From now on a request each `every` seconds, until the scenario ends."""
        self._busy = threading.Thread(target=self._loop, args=(every,), daemon=True)
        self._busy.start()

    def _loop(self, every):
        due = time.monotonic()
        while not self._stop.is_set():
            begun, error = time.time(), None
            try:
                self.ping()
            except OSError as failure:
                error = failure
            self.requests.append((begun, time.time(), error))
            due = max(due + every, time.monotonic() if error else 0)
            self._stop.wait(max(0.0, due - time.monotonic()) if not error else every)

    def rest_soon(self):
        self._stop.set()

    def rest(self):
        """Ends the busy loop."""
        self.rest_soon()
        if self._busy:
            self._busy.join(10)

    def done(self, since=0.0):
        """Requests of the busy loop that began at or after a moment and were answered."""
        return [request for request in list(self.requests) if request[0] >= since and request[2] is None]

    def lost(self):
        """Requests of the busy loop that were not answered."""
        return [request for request in list(self.requests) if request[2] is not None]


def _some(connection):
    data = connection.recv(65536)
    if not data:
        raise OSError("closed before the end")
    return data


def _exactly(connection, length):
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise OSError("closed before the end")
        data += chunk
    return data


