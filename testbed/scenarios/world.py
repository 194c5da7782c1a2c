"""What one scenario runs in: a folder, a target server, nodes, an operator and clients."""

import os
import shutil
import tempfile
from dataclasses import dataclass

from .client import Client
from .kubernetes import Room
from .node import Node
from .processes import Process, check
from .sing_box import SingBox
from .target import Target
from .vpn import STATS_SECRET, Vpn


@dataclass(frozen=True)
class Tools:
    """Programs that the run script found or built."""

    operator: str
    node: str
    python: str


class World:
    """Everything that a scenario starts is stopped when it is closed."""

    def __init__(self, tools, name, shared=None):
        self.tools = tools
        self.shared = shared
        self.room = None
        self.path = tempfile.mkdtemp(prefix=f"vpn-testbed-{name}-")
        self.target = Target()
        self.vpn = Vpn(self)
        self.nodes = []
        self._processes = []
        self._clients = []

    def start(self, name, command, **options):
        log = os.path.join(self.path, f"{name}.log")
        process = Process(name, command, log, cwd=self.path, **options)
        self._processes.append(process)
        return process

    def node(self, name="one", **options):
        node = Node(self, name, self.vpn.auth_url, STATS_SECRET, **options)
        self.nodes.append(node)
        return node

    def one_node(self, obfuscation=""):
        """One node that the operator knows from its environment, and the operator started."""
        node = self.node(obfuscation=obfuscation)
        self.vpn.environment.update({
            "DOMAIN": "127.0.0.1",
            "HYSTERIA2_PORT": str(node.port),
            "HYSTERIA_PIN_SHA256": node.pin,
            "HYSTERIA_INSECURE": "true",
            "HYSTERIA_STATS_URLS": node.stats_url,
        })
        if obfuscation:
            self.vpn.environment["HYSTERIA_OBFS_PASSWORD"] = obfuscation
        self.vpn.start()
        return node

    def kubernetes(self):
        """A namespace in the control plane that the scenarios share; the operator is one in Kubernetes mode from now on."""
        self.room = Room(self, self.shared.cluster(), self.shared.role)
        self.vpn = self.room.operator()
        return self.room

    def client(self, link, label):
        client = Client(self, link, label)
        self._clients.append(client)
        return client

    def sing_box(self, program, profile, label):
        """sing-box with a profile, as a device."""
        client = SingBox(self, program, profile, label)
        self._clients.append(client)
        return client

    def devices(self, link, label, count):
        """Connected clients of one person."""
        clients = [self.client(link, f"{label}-{number}") for number in range(count)]
        return [client.connected() for client in clients]

    def check_nothing_passed_after(self, contained_at, prefix, devices, nodes=None):
        """Not one byte passes after `contained_at` (ns). Gives a sentence with what was measured.

        The node's own record is compared strictly: it is taken when a chunk is let through. A chunk that was let through
        before may still be on its way to the target, where the kernel's receive time is allowed to be a little later.
        """
        nodes = nodes or self.nodes
        passed = max(node.last_passed(prefix) for node in nodes)
        # Times of the API have milliseconds at least.
        check(
            passed // 1_000_000 <= contained_at // 1_000_000,
            f"a node let a byte through {(passed - contained_at) / 1e6:.3f} ms after containedAt",
        )
        arrived = max((time for device in devices for time in self.target.arrivals(device.label)), default=0)
        late = (arrived - contained_at) / 1e6
        check(late <= 20, f"the target got a byte {late:.3f} ms after containedAt")
        if not arrived:
            return "no byte at all"
        return f"last byte {-late:.1f} ms before containedAt" if late <= 0 else f"last byte {late:.1f} ms after containedAt, on its way"

    def check_operator_drains(self):
        """SIGTERM ends the operator in order."""
        if self.room:
            self.room.check_ends()
            return
        code = self.vpn.process.stop() if self.vpn.process else 0
        check(code == 0, f"the operator ended with {code} after SIGTERM")

    def close(self, keep=False):
        for client in self._clients:
            client.rest_soon()
        for process in reversed(self._processes):
            if process.running():
                process.kill() if process.name.startswith("client-") else process.stop()
        for client in self._clients:
            client.rest()
        self.target.close()
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)

    def tail(self, lines=15):
        """The last lines of the operator's log."""
        path = os.path.join(self.path, "operator.log")
        if not os.path.exists(path):
            return ""
        with open(path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])
