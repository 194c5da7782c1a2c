"""The operator under test: its process, its folder of YAML and its HTTP API."""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime

from .processes import Failed, check, free_port, until

MASTER_KEY = "6f" * 32
AUTH_TOKEN = "testbed-auth-token"
STATS_SECRET = "testbed-stats-secret"
CORPORATE_SECRET = "testbed-corporate-secret"
_API_VERSION = "vpn-operator.io/v1alpha1"


def moment(text):
    """RFC 3339 to ns since the epoch, exactly."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


class Operator:
    """One operator: its process and its HTTP API. Its data survive `kill` and `start`."""

    def __init__(self, world, name="operator", environment=None):
        self.world = world
        self.name = name
        self.data = os.path.join(world.path, f"{name}-data")
        self.api_port = free_port()
        self.auth_port = free_port()
        self.environment = environment or {}
        self.process = None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def auth_url(self):
        return f"http://127.0.0.1:{self.auth_port}/auth/{AUTH_TOKEN}"

    # The process

    def start(self):
        return self.launch().ready()

    def launch(self):
        """Starts the process and waits for nothing."""
        self.process = self.world.start(
            self.name,
            [
                self.world.tools.operator, "run",
                *self._source(),
                "--listen", f"127.0.0.1:{self.api_port}",
                "--auth-listen", f"127.0.0.1:{self.auth_port}",
            ],
            env=self.settings(),
        )
        return self

    def settings(self):
        """The environment of the process."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "MASTER_KEY": MASTER_KEY,
            "HYSTERIA_AUTH_TOKEN": AUTH_TOKEN,
            "HYSTERIA_STATS_SECRET": STATS_SECRET,
            "CORPORATE_SECRET": CORPORATE_SECRET,
            "PUBLIC_URL": f"http://127.0.0.1:{self.api_port}",
            "HYSTERIA_POLL_INTERVAL": "1s",
            **self.environment,
        }

    def _source(self):
        """The flags that say where desired state and data are."""
        raise NotImplementedError

    def ready(self, seconds=20.0):
        def answers():
            if not self.process.running():
                raise Failed(f"the operator ended with {self.process.popen.returncode}")
            try:
                return self.call("GET", "/readyz")[0] == 200
            except OSError:
                return False

        until("the operator is ready", answers, seconds)
        return self

    def kill(self):
        """As `kill -9`."""
        self.process.kill()

    # The API

    def call(self, method, path, body=None, timeout=15.0):
        """Status and answer: JSON where it is JSON, otherwise text. Raises OSError when there is no answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}{path}",
            method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"X-Corporate-Secret": CORPORATE_SECRET, "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return answer.status, _content(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, _content(refusal)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as failure:
            raise OSError(str(failure)) from failure
        except OSError:
            raise
        except Exception as failure:  # http.client has its own family of errors for a connection that broke
            raise OSError(repr(failure)) from failure

    def expect(self, method, path, body=None, status=200):
        got, answer = self.call(method, path, body)
        check(got == status, f"{method} {path} answered {got} instead of {status}: {answer}")
        return answer

    def subscription(self, corporate_id, user_agent="", form=""):
        """What a client that calls itself so gets at the address of the subscription: status, headers and text."""
        path = urllib.parse.urlsplit(self.configuration(corporate_id)["subscription_url"]).path
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}{path}{'?format=' if form else ''}{form}",
            headers={"User-Agent": user_agent, "Accept": "text/html,*/*"},
        )
        try:
            with self._opener.open(request, timeout=15) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.headers, refusal.read().decode()

    def user(self, corporate_id):
        return self.expect("GET", f"/user/{corporate_id}")

    def configuration(self, corporate_id):
        """The answer of `GET /user/{id}/config`, as soon as the person may have it."""

        def handed_out():
            status, answer = self.call("GET", f"/user/{corporate_id}/config")
            return answer if status == 200 else None

        return until(f"the configuration of {corporate_id}", handed_out)

    def link(self, corporate_id):
        return self.configuration(corporate_id)["hy2_url"]

    def links(self, corporate_id):
        """Every node's link, from the subscription, by port."""
        url = self.configuration(corporate_id)["subscription_url"]
        status, content = self.call("GET", urllib.parse.urlsplit(url).path)
        check(status == 200, f"the subscription answered {status}")
        return {urllib.parse.urlsplit(link).port: link for link in links_in(content)}

    def username(self, corporate_id):
        return self.configuration(corporate_id)["username"]

    def deactivate(self, corporate_id):
        answer = self.expect("POST", f"/user/{corporate_id}/deactivate")
        check(answer.get("status") == "deactivated", f"deactivate answered {answer}")
        return answer

    def revocation(self, corporate_id):
        """The revocation under way or of the present denial; otherwise the latest on record, like that of a rotation."""
        user = self.user(corporate_id)
        recorded = sorted(user.get("revocations") or (), key=lambda row: moment(row["denied_at"]))
        return user.get("revocation") or (recorded[-1] if recorded else {})

    def wait_for(self, corporate_id, moment_name, seconds=20.0):
        """Waits until a time of the revocation is known; gives the revocation."""

        def known():
            revocation = self.revocation(corporate_id)
            return revocation if revocation.get(moment_name) else None

        return until(f"{moment_name} of {corporate_id}", known, seconds)

    def lets_in(self, userinfo):
        """Asks the auth listener as a node would, with the userinfo of a link. Leaves no session behind on any node."""
        body = json.dumps({"addr": "127.0.0.1:1", "auth": urllib.parse.unquote(userinfo), "tx": 0}).encode()
        request = urllib.request.Request(self.auth_url, data=body, headers={"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=10) as answer:
                return answer.status == 200 and json.load(answer).get("ok") is True
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False


class Vpn(Operator):
    """One operator with its folder of YAML, which also survives."""

    def __init__(self, world, environment=None):
        super().__init__(world, environment=environment)
        self.folder = os.path.join(world.path, "vpn")
        os.makedirs(self.folder)

    def _source(self):
        return ["--desired", f"folder:{self.folder}", "--data", self.data]

    def write(self, name, kind, spec):
        """Declares one resource in a file of its own, replacing the file as an editor does."""
        self._replace(f"{kind.lower()}-{name}.yaml", _document(name, kind, spec))

    def write_users(self, file, corporate_ids):
        """Declares many people in one file."""
        documents = (_document(id.lower(), "VpnUser", {"corporateId": id}) for id in corporate_ids)
        self._replace(file, "---\n".join(documents))

    def _replace(self, file, content):
        path = os.path.join(self.folder, file)
        with open(path + ".tmp", "w") as draft:
            draft.write(content)
        os.replace(path + ".tmp", path)

    def declare_user(self, corporate_id, **spec):
        self.write(corporate_id.lower(), "VpnUser", {"corporateId": corporate_id, **spec})

    def declare_hold(self, name, corporate_id, **spec):
        self.write(name, "VpnHold", {"corporateId": corporate_id, "source": "helpdesk", **spec})

    def declare_gateway(self, *nodes, **more):
        self.write("default", "VpnGateway", {"hysteria": {"nodes": [
            {
                "name": node.name,
                "address": "127.0.0.1",
                "ports": str(node.port),
                "pinSha256": node.pin,
                "insecure": True,
                "statsUrl": node.stats_url,
                "statsSecret": {"env": "HYSTERIA_STATS_SECRET"},
                "authToken": {"env": "HYSTERIA_AUTH_TOKEN"},
                **more,
            }
            for node in nodes
        ]}})


def _document(name, kind, spec):
    return yaml({"apiVersion": _API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})


def _content(answer):
    text = answer.read().decode()
    try:
        return json.loads(text)
    except ValueError:
        return text


def userinfo(link):
    """What the client sends as `auth`, still percent-encoded."""
    return urllib.parse.urlsplit(link).netloc.rpartition("@")[0]


def links_in(subscription):
    """The links of a subscription, which clients take as plain lines or as base64 of them."""
    if "://" not in subscription:
        subscription = base64.b64decode(subscription + "=" * (-len(subscription) % 4)).decode()
    return [line.strip() for line in subscription.splitlines() if line.strip().startswith(("hysteria2://", "hy2://"))]


def yaml(value, indent=0):
    """Block style, with every scalar as JSON, which is YAML too."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for key, inner in value.items():
            if isinstance(inner, (dict, list)) and inner:
                lines.append(f"{pad}{key}:\n{yaml(inner, indent + 1)}")
            else:
                lines.append(f"{pad}{key}: {json.dumps(inner)}\n")
        return "".join(lines)
    lines = []
    for inner in value:
        if not isinstance(inner, (dict, list)):
            lines.append(f"{pad}- {json.dumps(inner)}\n")
            continue
        block = yaml(inner, indent + 1)
        lines.append(f"{pad}- {block[len(pad) + 2:]}")
    return "".join(lines)
