"""What is started for the first scenario that needs it, and serves all of them."""

import json
import os
import shutil
import subprocess
import tempfile

from .cluster import Cluster
from .processes import check

_TESTBED = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CRDS = os.path.join(os.path.dirname(_TESTBED), "crds")
CHART = os.path.join(os.path.dirname(_TESTBED), "charts", "vpn-operator")


def programs(module):
    """The folder with the programs of a Go module of the testbed, which are built when there are none."""
    done = subprocess.run([os.path.join(_TESTBED, "build"), module], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    check(done.returncode == 0, f"testbed/build {module} ended with {done.returncode}")
    return done.stdout.strip()


def _documents(text):
    """The objects that kubectl printed as JSON, one behind the other or in a list."""
    decoder, found = json.JSONDecoder(), []
    text = text.strip()
    while text:
        thing, end = decoder.raw_decode(text)
        found += thing["items"] if thing["kind"] == "List" else [thing]
        text = text[end:].strip()
    return found


class Shared:
    """One control plane for every scenario; each has a namespace of its own."""

    def __init__(self):
        self._cluster = None
        self._path = None
        self._roles = {}

    def cluster(self):
        if self._cluster is None:
            self._path = tempfile.mkdtemp(prefix="vpn-testbed-kubernetes-")
            self._cluster = Cluster(self._path, programs("kubernetes"))
            self._cluster.start(CRDS)
        return self._cluster

    def role(self, components):
        """What the chart lets a process with these components do."""
        name = "auth" if components == "auth" else "controller"
        if name not in self._roles:
            rendered = subprocess.run(
                [
                    os.path.join(programs("helm"), "helm"), "template", "vpn-operator", CHART, "--namespace", "default",
                    "--show-only", "templates/rbac.yaml",
                ],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
            )
            check(rendered.returncode == 0, f"helm template: {rendered.stderr.strip()[-500:]}")
            as_json = self.cluster().kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", given=rendered.stdout)
            for thing in _documents(as_json):
                if thing["kind"] == "Role":
                    self._roles[thing["metadata"]["name"].rpartition("-")[2]] = thing["rules"]
        return self._roles[name]

    def close(self, keep=False):
        if self._cluster:
            self._cluster.stop()
            if keep:
                print(f"      logs of the control plane: {self._path}", flush=True)
            else:
                shutil.rmtree(self._path, ignore_errors=True)
