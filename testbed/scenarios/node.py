"""The node double: see ../node."""

import json
import signal
import urllib.request

from .processes import until


class Node:
    """One node, with a view of its statistics of the scenario's own."""

    def __init__(self, world, name, auth_url, secret, obfuscation="", idle_timeout="30s"):
        self.name = name
        self.secret = secret
        self.obfuscation = obfuscation
        self.process = world.start(
            f"node-{name}",
            [
                world.tools.node,
                "-auth-url", auth_url,
                "-stats-secret", secret,
                "-obfs-password", obfuscation,
                "-idle-timeout", idle_timeout,
            ],
            stdout_pipe=True,
        )
        facts = json.loads(self.process.popen.stdout.readline())
        self.address = facts["listen"]
        self.port = int(self.address.rpartition(":")[2])
        self.stats_url = facts["stats"]
        self.pin = facts["pinSHA256"]
        self.certificate = facts["certificate"]
        self._control = facts["control"]

    def online(self, prefix=""):
        """Sessions by id, as the node itself sees them."""
        return {id: count for id, count in self.state()["online"].items() if id.startswith(prefix)}

    def last_passed(self, prefix):
        """When the node last let a payload byte of such an id through, in ns since the epoch; 0 for never."""
        seen = self.state()["passed"]
        return max((passage["lastNanos"] for id, passage in seen.items() if id.startswith(prefix)), default=0)

    def state(self):
        with urllib.request.urlopen(self._control + "/state", timeout=10) as answer:
            return json.load(answer)

    def wait_for_sessions(self, prefix, count, seconds=15.0):
        until(f"{count} sessions of {prefix}* on node {self.name}", lambda: sum(self.online(prefix).values()) == count, seconds)

    def wait_between_auth_and_registration(self):
        until("a session between the auth answer and its registration", lambda: self.state()["waiting"] > 0)

    def delay_registration(self, span="1h"):
        self._order(f"/delay?registration={span}")

    def release(self):
        self._order("/release")

    def stop(self):
        """As a stopped server: every connection ends, every port is closed."""
        self._order("/stop")

    def start(self):
        """As a started server: the same ports, empty statistics."""
        self._order("/start")

    def stop_statistics(self):
        """Only the statistics API goes; the node keeps passing bytes."""
        self._order("/statistics/stop")

    def start_statistics(self):
        self._order("/statistics/start")

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def _order(self, path):
        request = urllib.request.Request(self._control + path, method="POST")
        urllib.request.urlopen(request, timeout=10).close()
