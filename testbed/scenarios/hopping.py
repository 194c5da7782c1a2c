"""Several UDP ports that lead to one server, as port forwarding on its machine makes them."""

import selectors
import socket
import threading


class HoppingPorts:
    """For one client. It remembers through which ports the client came."""

    def __init__(self, target, count=4):
        self._target = ("127.0.0.1", target)
        self._near = _consecutive(count)
        self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._far.bind(("127.0.0.1", 0))
        self.first = self._near[0].getsockname()[1]
        self.last = self.first + count - 1
        self.used = set()
        self._end = threading.Event()
        threading.Thread(target=self._pass, daemon=True).start()

    @property
    def declared(self):
        return f"{self.first}-{self.last}"

    def close(self):
        self._end.set()

    def _pass(self):
        client = None
        with selectors.DefaultSelector() as selector:
            for sock in [*self._near, self._far]:
                selector.register(sock, selectors.EVENT_READ)
            while not self._end.is_set():
                for key, _ in selector.select(0.2):
                    try:
                        data, sender = key.fileobj.recvfrom(65536)
                    except OSError:
                        continue
                    if key.fileobj is not self._far:
                        # Answers go back to where the client is now.
                        client = (key.fileobj, sender)
                        self.used.add(key.fileobj.getsockname()[1])
                        self._far.sendto(data, self._target)
                    elif client:
                        client[0].sendto(data, client[1])
        for sock in [*self._near, self._far]:
            sock.close()


def _consecutive(count):
    """Sockets on ports that follow each other."""
    while True:
        sockets = []
        try:
            for number in range(count):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sockets.append(sock)
                sock.bind(("127.0.0.1", sockets[0].getsockname()[1] + number if number else 0))
            return sockets
        except (OSError, OverflowError):
            for sock in sockets:
                sock.close()
