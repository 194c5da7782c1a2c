"""A Kubernetes control plane without nodes: etcd, kube-apiserver and the controllers that collect garbage and empty namespaces.

Started on its own it serves until it is asked to end, for people and for other tests: see ../kubernetes/up.
"""

import argparse
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from datetime import datetime

from .processes import Failed, Process, check, free_port, until

_ISSUER = "https://kubernetes.default.svc"
_CONTROLLERS = "garbage-collector-controller,namespace-controller,serviceaccount-controller"
# Who asked for what, and what the answer was, without the bodies.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "users": ["admin", "system:apiserver", "system:anonymous"]},
        {"level": "None", "userGroups": ["system:masters"]},
        {"level": "Metadata"},
    ],
}
_GROUPS = {
    "vpnusers": "/apis/vpn-operator.io/v1alpha1",
    "vpnholds": "/apis/vpn-operator.io/v1alpha1",
    "vpngateways": "/apis/vpn-operator.io/v1alpha1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "events": "/apis/events.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Refused(Failed):
    """The API server said no."""

    def __init__(self, what, code, answer):
        super().__init__(f"{what} answered {code}: {answer.get('message', answer) if isinstance(answer, dict) else answer}")
        self.code = code
        self.message = answer.get("message", "") if isinstance(answer, dict) else str(answer)


class Gone(Exception):
    """A watch ended because the server no longer knows the version that it was to begin at."""


class Cluster:
    """One control plane on free ports. Its folder and ports survive `kill` and `start` of each part."""

    def __init__(self, path, programs):
        self.path = path
        self.programs = programs
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._etcd_port, self._peer_port, self._manager_port = free_port(), free_port(), free_port()
        self.token = secrets.token_hex(16)
        self._certificates = os.path.join(path, "certificates")
        self.kubeconfig = os.path.join(path, "admin.kubeconfig")
        self.audit_log = os.path.join(path, "audit.log")
        self.apiserver = self.etcd = self.manager = None
        # When the API server was not ready, in seconds since the epoch: it also refuses what is allowed then.
        self.unready = []
        self._context = None
        self._kept = threading.local()
        os.makedirs(self._certificates, exist_ok=True)

    # The parts

    def start(self, crds=None):
        """Everything, with the definitions in a folder, and waits until it serves."""
        with open(self._file("tokens.csv"), "w") as file:
            file.write(f'{self.token},admin,admin-uid,"system:masters"\n')
        with open(self._file("audit-policy.json"), "w") as file:
            json.dump(_AUDIT_POLICY, file)
        self.start_etcd()
        self.start_apiserver()
        self.write_kubeconfig(self.kubeconfig, self.token, "default")
        if crds:
            self.apply_crds(crds)
        # Last, because it looks for new kinds every half a minute only, and collects no garbage of those that it does not know.
        self.start_manager()
        return self

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self.etcd = self._start("etcd", [
            "--data-dir", self._file("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ])
        until("etcd is healthy", lambda: self._alive(self.etcd) and self._etcd_healthy(), 60)

    def start_apiserver(self, *flags):
        began = time.time()
        # The server makes its certificate itself; its key also signs the tokens of service accounts.
        key = os.path.join(self._certificates, "apiserver.key")
        self.apiserver = self._start("kube-apiserver", [
            "--etcd-servers", f"http://127.0.0.1:{self._etcd_port}",
            "--secure-port", str(self.port), "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--cert-dir", self._certificates,
            "--service-account-issuer", _ISSUER,
            "--service-account-key-file", key, "--service-account-signing-key-file", key,
            "--token-auth-file", self._file("tokens.csv"), "--authorization-mode", "RBAC",
            "--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none",
            "--service-cluster-ip-range", "10.0.0.0/24", "--profiling=false",
            "--audit-policy-file", self._file("audit-policy.json"), "--audit-log-path", self.audit_log,
            *flags,
        ])
        self._kept = threading.local()
        until("the API server is ready", lambda: self._alive(self.apiserver) and self._apiserver_ready(), 120)
        self.unready.append((began, time.time()))
        return self

    def start_manager(self):
        self.manager = self._start("kube-controller-manager", [
            "--kubeconfig", self.kubeconfig, "--controllers", _CONTROLLERS, "--leader-elect=false",
            "--service-account-private-key-file", os.path.join(self._certificates, "apiserver.key"),
            "--bind-address", "127.0.0.1", "--secure-port", str(self._manager_port),
            "--cert-dir", self._certificates,
            # A namespace that is emptied is looked at again soon.
            "--concurrent-namespace-syncs", "10",
        ])

    def kill_apiserver(self):
        """As `kill -9`."""
        self.apiserver.kill()

    def kill_etcd(self):
        self.etcd.kill()

    def stop(self):
        """Ends everything at once: nothing of it is kept."""
        for process in (self.manager, self.apiserver, self.etcd):
            if process and process.running():
                process.kill()

    def compact(self):
        """Makes etcd forget every version but the present one, so that watches from an older one get 410 Gone."""
        revision = int(self._etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"])
        self._etcd("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def _start(self, program, flags):
        return Process(program, [os.path.join(self.programs, program), *flags], self._file(f"{program}.log"))

    def _file(self, name):
        return os.path.join(self.path, name)

    def _alive(self, process):
        check(process.running(), f"{process.name} ended with {process.popen.returncode}: {process.output()[-500:]}")
        return True

    def _etcd_healthy(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=2)
            with contextlib.closing(connection):
                connection.request("GET", "/health")
                return b'"true"' in connection.getresponse().read()
        except OSError:
            return False

    def _etcd(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            content = json.load(answer)
            check(answer.status == 200, f"etcd {path} answered {answer.status}: {content}")
            return content

    def _apiserver_ready(self):
        certificate = os.path.join(self._certificates, "apiserver.crt")
        if not os.path.exists(certificate):
            return False
        try:
            self._context = ssl.create_default_context(cafile=certificate)
            status, answer = self.call("GET", "/readyz", timeout=5)
        except (OSError, ssl.SSLError):
            return False
        return status == 200 and answer == "ok"

    # Who may talk to it

    def write_kubeconfig(self, path, token, namespace, server=None):
        with open(os.path.join(self._certificates, "apiserver.crt")) as file:
            # YAML, of which JSON is a part.
            certificate = file.read()
        authority = os.path.join(self._certificates, "authority.crt")
        if not os.path.exists(authority):
            with open(authority, "w") as file:
                file.write(certificate)
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{
                    "name": "testbed",
                    "cluster": {"server": server or self.url, "certificate-authority": authority},
                }],
                "users": [{"name": "user", "user": {"token": token}}],
                "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "user", "namespace": namespace}}],
                "current-context": "testbed",
            }, file, indent=1)
        return path

    def service_account(self, namespace, name):
        """Makes a service account and gives a token of it."""
        self.ensure("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}}, (201, 409))
        answer = self.ensure("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200},
        }, (201,))
        return answer["status"]["token"]

    # Talking to it

    def kubectl(self, *arguments, given=None, kubeconfig=None, timeout=120):
        """Runs kubectl; gives what it printed. Raises `Failed` with its words when it fails."""
        done = self.try_kubectl(*arguments, given=given, kubeconfig=kubeconfig, timeout=timeout)
        check(done.returncode == 0, f"kubectl {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout

    def try_kubectl(self, *arguments, given=None, kubeconfig=None, timeout=120):
        return subprocess.run(
            [os.path.join(self.programs, "kubectl"), *arguments],
            input=given if given is None or isinstance(given, str) else json.dumps(given),
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True, text=True, timeout=timeout,
            env={"PATH": os.environ.get("PATH", ""), "HOME": self.path, "KUBECONFIG": kubeconfig or self.kubeconfig},
        )

    def call(self, method, path, body=None, content_type="application/json", token=None, timeout=30.0):
        """Status and answer: JSON where it is JSON, otherwise text. Raises OSError when there is no answer."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": content_type, "Accept": "application/json"}
        content = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self._kept, "connection", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self._context)
            self._kept.connection = None
            connection.timeout = timeout
            try:
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException) as failure:
                connection.close()
                # A connection that was kept may have ended meanwhile; then nothing was asked yet.
                if fresh or attempt == 2 or not isinstance(failure, (http.client.RemoteDisconnected, ConnectionError)):
                    raise OSError(repr(failure)) from failure
                continue
            self._kept.connection = connection
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, text

    def ensure(self, method, path, body=None, statuses=(200, 201, 202), **options):
        status, answer = self.call(method, path, body, **options)
        if status not in statuses:
            raise Refused(f"{method} {path}", status, answer)
        return answer

    def apply_crds(self, folder):
        """Applies the definitions and waits until they are served."""
        self.kubectl("apply", "--server-side", "-f", folder)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        until("the definitions are served", lambda: self.call("GET", _GROUPS["vpnusers"] + "/vpnusers")[0] == 200)

    def namespace(self, name):
        self.ensure("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, (201,))
        return Namespace(self, name)

    def audit(self, user=None, since=0):
        """What was asked of the server and is on record, by this user (part of its name)."""
        if not os.path.exists(self.audit_log):
            return []
        entries = []
        with open(self.audit_log) as log:
            log.seek(since)
            for line in log:
                if not line.endswith("\n"):
                    break
                entry = json.loads(line)
                if user is None or user in entry["user"]["username"]:
                    entries.append(entry)
        return entries

    def was_ready(self, request):
        """Whether the server was up and complete when it took this request."""
        at = datetime.fromisoformat(request["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp()
        return not any(began <= at <= ended for began, ended in self.unready)

    def audit_position(self):
        """Where the record ends now, for `audit(since=…)`."""
        return os.path.getsize(self.audit_log) if os.path.exists(self.audit_log) else 0


class Namespace:
    """One namespace, as an admin sees it."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def path(self, plural, name=None, subresource=None):
        parts = [f"{_GROUPS[plural]}/namespaces/{self.name}/{plural}", name, subresource]
        return "/".join(part for part in parts if part)

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl("--namespace", self.name, *arguments, **options)

    def try_kubectl(self, *arguments, **options):
        return self.cluster.try_kubectl("--namespace", self.name, *arguments, **options)

    def get(self, plural, name):
        """The object, or None."""
        status, answer = self.cluster.call("GET", self.path(plural, name))
        if status == 404:
            return None
        if status != 200:
            raise Refused(f"GET {plural} {name}", status, answer)
        return answer

    def list(self, plural):
        return self.cluster.ensure("GET", self.path(plural))["items"]

    def create(self, plural, body, **options):
        return self.cluster.ensure("POST", self.path(plural), body, (201,), **options)

    def apply(self, plural, body, manager="git", force=False, **options):
        """Server-side apply, as a tool that keeps a repository and a cluster the same."""
        name = body["metadata"]["name"]
        query = urllib.parse.urlencode({"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"})
        return self.cluster.ensure("PATCH", f"{self.path(plural, name)}?{query}", body, content_type=APPLY, **options)

    def merge(self, plural, name, body, manager="kubectl-edit", subresource=None, **options):
        path = f"{self.path(plural, name, subresource)}?fieldManager={manager}"
        return self.cluster.ensure("PATCH", path, body, content_type=MERGE, **options)

    def delete(self, plural, name, statuses=(200, 202)):
        return self.cluster.ensure("DELETE", self.path(plural, name), None, statuses)

    def watch(self, plural, **selector):
        return Watch(self, plural, selector)

    def remove(self, seconds=60.0):
        """Deletes the namespace and waits until it is gone."""
        self.cluster.ensure("DELETE", f"/api/v1/namespaces/{self.name}")
        path = f"/api/v1/namespaces/{self.name}"
        until(f"the namespace {self.name} is gone", lambda: self.cluster.call("GET", path)[0] == 404, seconds)


class Watch:
    """Every event of one kind in one namespace, from now on. Each is (seconds since the epoch, type, object)."""

    def __init__(self, namespace, plural, selector):
        self._namespace, self._plural, self._selector = namespace, plural, selector
        self._end = threading.Event()
        self.events = []
        self._listeners = []
        listed = namespace.cluster.ensure("GET", namespace.path(plural) + "?limit=1")
        self._version = listed["metadata"]["resourceVersion"]
        self._connection = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def on_event(self, listener):
        """Calls `listener(type, object)` in the watch's own thread for every later event."""
        self._listeners.append(listener)

    def stop(self):
        self._end.set()
        connection = self._connection
        if connection and connection.sock:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)
        self._thread.join(10)

    def _follow(self):
        cluster = self._namespace.cluster
        while not self._end.is_set():
            try:
                self._read(cluster)
            except (OSError, http.client.HTTPException, ValueError):
                self._end.wait(0.2)
            except Gone:
                listed = cluster.ensure("GET", self._namespace.path(self._plural) + "?limit=1")
                self._version = listed["metadata"]["resourceVersion"]

    def _read(self, cluster):
        connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, timeout=300, context=cluster._context)
        self._connection = connection
        with contextlib.closing(connection):
            query = urllib.parse.urlencode({
                **self._selector, "watch": "1", "resourceVersion": self._version, "allowWatchBookmarks": "true",
            })
            connection.request(
                "GET", f"{self._namespace.path(self._plural)}?{query}", headers={"Authorization": f"Bearer {cluster.token}"}
            )
            answer = connection.getresponse()
            if answer.status == 410:
                raise Gone
            if answer.status != 200:
                raise OSError(f"the watch answered {answer.status}")
            for line in answer:
                if self._end.is_set():
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    if event["object"].get("code") == 410:
                        raise Gone
                    raise OSError(str(event["object"]))
                self._version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                self.events.append((time.time(), event["type"], event["object"]))
                for listener in self._listeners:
                    listener(event["type"], event["object"])


def main():
    """Serves a control plane with the project's definitions until it is asked to end."""
    parser = argparse.ArgumentParser(prog="testbed/kubernetes/up", description=main.__doc__)
    parser.add_argument("--data", metavar="FOLDER", help="keep etcd's data, logs and kubeconfig here; a temporary folder otherwise")
    parser.add_argument("--no-crds", action="store_true", help="leave out the definitions in crds/")
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="run this with KUBECONFIG set and end with its exit code")
    options = parser.parse_args()
    folder = os.path.abspath(options.data) if options.data else tempfile.mkdtemp(prefix="vpn-kubernetes-")
    os.makedirs(folder, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    cluster = Cluster(folder, options.programs)
    try:
        crds = os.path.join(os.path.dirname(__file__), "..", "..", "crds")
        cluster.start(None if options.no_crds else crds)
        if options.command:
            environment = {
                **os.environ,
                "KUBECONFIG": cluster.kubeconfig,
                "VPN_OPERATOR_TEST_KUBECONFIG": cluster.kubeconfig,
                "PATH": f"{options.programs}:{os.environ.get('PATH', '')}",
            }
            return subprocess.run(options.command, env=environment).returncode
        print(cluster.kubeconfig, flush=True)
        while all(part.running() for part in (cluster.etcd, cluster.apiserver, cluster.manager)):
            time.sleep(0.5)
        print("a part of the control plane ended: see the logs in " + folder, file=sys.stderr)
        return 1
    except Failed as failure:
        print(f"testbed/kubernetes/up: {failure}", file=sys.stderr)
        return 1
    finally:
        cluster.stop()
        if not options.data:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
