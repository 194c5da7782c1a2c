"""sing-box, and a device that uses it."""

import json
import os

from .client import Client


class SingBox(Client):
    """A process of sing-box with a profile, but for its inbounds and routes: those would be the machine's own."""

    says = "sing-box started"

    def __init__(self, world, program, profile, label):
        self._program = program
        super().__init__(world, profile, label)

    def _start(self, profile):
        # Everything goes through the VPN: the target is on this machine, and private networks would be reached directly.
        profile = {
            "log": {"level": "info"},
            "outbounds": profile["outbounds"],
            "route": {"final": profile["route"]["final"]},
            "inbounds": [{"type": "mixed", "tag": "in", "listen": "127.0.0.1", "listen_port": self.port}],
        }
        path = os.path.join(self.world.path, f"sing-box-{self.label}.json")
        with open(path, "w") as file:
            json.dump(profile, file)
        return self.world.start(f"client-{self.label}", [self._program, "run", "-c", path, "-D", self.world.path])
