"""The server behind the VPN: it answers, and records when each byte arrived."""

import hashlib
import random
import socket
import struct
import threading

# Receive timestamps of the kernel, so that a busy test process does not make bytes look late (linux/socket.h).
_SO_TIMESTAMPNS = 35
BLOB = random.Random(2).randbytes(10 * 1024 * 1024)


class Target:
    """`GET /LABEL/N` answers with the path; `GET /blob` with ten megabytes; `POST` with the hash of the body."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._arrivals = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def arrivals(self, label):
        """Times (ns since the epoch) at which bytes of requests with this label arrived."""
        with self._lock:
            return list(self._arrivals.get(label, ()))

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        times = []
        label = None
        try:
            with connection:
                connection.settimeout(30)
                head = b""
                while b"\r\n\r\n" not in head:
                    chunk = self._receive(connection, times)
                    if not chunk:
                        return
                    head += chunk
                head, body = head.split(b"\r\n\r\n", 1)
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                label = path.split("/")[1]
                length = 0
                for line in head.split(b"\r\n")[1:]:
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                digest = hashlib.sha256(body)
                received = len(body)
                while received < length:
                    chunk = self._receive(connection, times)
                    if not chunk:
                        return
                    digest.update(chunk)
                    received += len(chunk)
                if method == "POST":
                    answer = digest.hexdigest().encode()
                elif label == "blob":
                    answer = BLOB
                else:
                    answer = path.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        except OSError:
            pass
        finally:
            with self._lock:
                self._arrivals.setdefault(label, []).extend(times)

    @staticmethod
    def _receive(connection, times):
        chunk, ancillary, _, _ = connection.recvmsg(65536, 64)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and chunk:
                seconds, nanos = struct.unpack("qq", data[:16])
                times.append(seconds * 1_000_000_000 + nanos)
        return chunk
