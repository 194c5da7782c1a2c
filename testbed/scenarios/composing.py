"""The first steps of docker-compose.yml, with processes on loopback in the place of containers."""

import json
import os
import re
import shutil
import socket
import subprocess

from .processes import check, free_port, until

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_VARIABLE = re.compile(r"\$\$|\$\{([A-Z0-9_]+)(?::-([^}]*)|:\?[^}]*)?\}")
# The node leads it to loopback, where the target is: asked for as such it is rejected.
_ELSEWHERE = "192.0.2.7"
# Reads what it is given as YAML, merge keys applied.
_AS_JSON = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"


def the_steps_of_the_compose_file_end_in_a_login(world):
    machine = _Machine(world)
    link = None
    for step in machine.steps():
        said = machine.take(step)
        if found := re.search(r"^hy2 url\s+(\S+)$", said, re.MULTILINE):
            link = found.group(1)
    check(link, "the steps do not end in a link")
    device = world.client(link, "first").connected()
    device.target_address = _ELSEWHERE
    device.ping()
    for what, port in (("API", machine.api), ("auth listener", machine.auth), ("statistics", machine.stats)):
        # Somebody does answer there.
        socket.create_connection(("127.0.0.1", port), 5).close()
        check(not device.reaches("127.0.0.1", port), f"a client of the node reaches the {what}")
    return f"{machine.taken} steps, then a login and an answer through the node, and nothing of the operator's within reach"


class _Machine:
    """A folder as a fresh clone is, and the services of its Compose file."""

    def __init__(self, world):
        self.world = world
        self.taken = 0
        self.path = os.path.join(world.path, "clone")
        shutil.copytree(os.path.join(_ROOT, "examples"), os.path.join(self.path, "examples"))
        for name in ("docker-compose.yml", ".env.example"):
            shutil.copy(os.path.join(_ROOT, name), self.path)
        for volume in ("data", "node"):
            os.mkdir(os.path.join(self.path, volume), 0o700)
        self.api, self.auth, self.stats = free_port(), free_port(), free_port()
        self.port = free_port(socket.SOCK_DGRAM)

    def steps(self):
        """The commands in the head of the file, without the remarks behind them."""
        with open(os.path.join(self.path, "docker-compose.yml")) as text:
            lines = [line[3:].strip() for line in text if line.startswith("#   ")]
        return [re.split(r"\s+# ", line)[0] for line in lines]

    def take(self, step):
        """Takes one step as somebody would; answers what it prints."""
        self.taken += 1
        if step.startswith("sudo chown"):
            # There is one user here.
            return ""
        if step.startswith("docker compose up"):
            self._up()
            return ""
        within = "docker compose exec operator "
        if step.startswith(within):
            return self._run("operator", step.removeprefix(within).split())
        check("docker" not in step, f"the testbed cannot take this step: {step}")
        subprocess.run(["sh", "-ec", step], cwd=self.path, check=True)
        if step.startswith("mkdir"):
            self._settings_and_certificate()
        return ""

    def _settings_and_certificate(self):
        """What the remarks behind the first step ask for."""
        tls = os.path.join(self.path, "tls")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=node",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{tls}/tls.key", "-out", f"{tls}/tls.crt"],
            check=True, capture_output=True,
        )
        pin = subprocess.run(
            ["openssl", "x509", "-in", f"{tls}/tls.crt", "-noout", "-fingerprint", "-sha256"],
            check=True, capture_output=True, text=True,
        ).stdout.strip().partition("=")[2]
        with open(os.path.join(self.path, ".env"), "a") as settings:
            settings.write(f"DOMAIN=127.0.0.1\nHYSTERIA2_PORT={self.port}\n")
            # Nobody signed this certificate.
            settings.write(f"HYSTERIA_PIN_SHA256={pin}\nHYSTERIA_INSECURE=true\n")

    def _up(self):
        """Starts the services in the order that they ask for."""
        started = []
        while waiting := [name for name in self._services() if name not in started]:
            ready = [name for name in waiting if set(self._services()[name].get("depends_on", {})) <= set(started)]
            check(ready, f"services wait for each other: {waiting}")
            for name in ready:
                {"operator": self._operator, "node-config": self._node_config, "hysteria": self._hysteria}[name]()
                started.append(name)

    def _operator(self):
        self.world.start("operator", [self.world.tools.operator, "run"], env=self._environment("operator"))
        health = self._services()["operator"]["healthcheck"]["test"][1:]
        until("the operator is healthy", lambda: self._try("operator", health).returncode == 0, 20)

    def _node_config(self):
        service = self._services()["node-config"]
        self._run("node-config", [*service["entrypoint"], self._here(service["command"][0])])

    def _hysteria(self):
        """The double, with what the official server would read in the file."""
        service = self._services()["hysteria"]
        with open(self._here(service["command"][-1])) as text:
            configuration = self._yaml(text.read())
        node = self.world.start("node", [
            self.world.tools.node,
            "-listen", "127.0.0.1" + configuration["listen"],
            "-stats-listen", "127.0.0.1" + configuration["trafficStats"]["listen"],
            "-stats-secret", configuration["trafficStats"]["secret"],
            "-auth-url", configuration["auth"]["http"]["url"],
            "-tls-cert", configuration["tls"]["cert"],
            "-tls-key", configuration["tls"]["key"],
            "-acl", "\n".join([f"direct({_ELSEWHERE}, tcp, 127.0.0.1)", *configuration["acl"]["inline"]]),
        ], stdout_pipe=True)
        # It says where it listens, or nothing when it ends.
        check(node.popen.stdout.readline(), f"the node did not start: {node.output().strip()}")

    def _run(self, service, command):
        done = self._try(service, command)
        check(done.returncode == 0, f"{command} in {service} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _try(self, service, command):
        return subprocess.run(command, env=self._environment(service), cwd=self.path, capture_output=True, text=True, timeout=30)

    def _environment(self, service):
        declared = {name: self._here(value) for name, value in self._services()[service]["environment"].items()}
        binary = os.path.dirname(self.world.tools.operator)
        return {"PATH": f"{binary}:{os.environ.get('PATH', '')}", **self._settings(), **declared}

    def _services(self):
        """Services without a profile, variables replaced."""
        with open(os.path.join(self.path, "docker-compose.yml")) as text:
            compose = self._yaml(text.read())
        services = compose["services"].items()
        return self._interpolated({name: service for name, service in services if "profiles" not in service})

    def _interpolated(self, value):
        if isinstance(value, dict):
            return {name: self._interpolated(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._interpolated(item) for item in value]
        if not isinstance(value, str):
            return value
        settings = self._settings()
        return _VARIABLE.sub(lambda found: "$" if not found[1] else settings.get(found[1]) or found[2] or "", value)

    def _settings(self):
        with open(os.path.join(self.path, ".env")) as text:
            lines = [line.strip() for line in text if "=" in line and not line.startswith("#")]
        return dict(line.split("=", 1) for line in lines)

    def _here(self, text):
        """Paths, names and ports of the containers as they are on this machine."""
        # A name stays a name: of an address the node would listen at that address.
        text = text.replace("hysteria:9999", f"localhost:{self.stats}")
        text = re.sub(r"(^|[\s:])/(vpn|data|tls|node)\b", lambda found: f"{found[1]}{self.path}/{found[2]}", text)
        for there, port in (("operator:8081", self.auth), ("0.0.0.0:8081", self.auth), ("0.0.0.0:8080", self.api)):
            text = text.replace(there, f"127.0.0.1:{port}")
        return text

    def _yaml(self, text):
        read = subprocess.run([self.world.tools.python, "-c", _AS_JSON], input=text, check=True, capture_output=True, text=True)
        return json.loads(read.stdout)
