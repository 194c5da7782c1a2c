"""Operators in Kubernetes mode: a namespace of their own, with a Role, in the control plane that the scenarios share."""

import base64
import itertools
import os

from .kstatus import condition, kstatus
from .processes import Failed, check, until
from .vpn import AUTH_TOKEN, CORPORATE_SECRET, MASTER_KEY, STATS_SECRET, Operator, userinfo

API_VERSION = "vpn-operator.io/v1alpha1"
ACCOUNT = "vpn-operator"
# What may take long on a busy machine; nothing that is measured uses this.
PATIENCE = 30.0
_numbers = itertools.count(1)


def user_document(corporate_id, **spec):
    return {
        "apiVersion": API_VERSION, "kind": "VpnUser", "metadata": {"name": object_name(corporate_id)},
        "spec": {"corporateId": corporate_id, **spec},
    }


def hold_document(name, corporate_id, source="hr", **spec):
    return {
        "apiVersion": API_VERSION, "kind": "VpnHold", "metadata": {"name": name},
        "spec": {"corporateId": corporate_id, "source": source, **spec},
    }


def object_name(corporate_id):
    """The name of a VpnUser of this ID."""
    return corporate_id.lower().replace("-", "--").replace("_", "-u").replace(".", "-d")


def decoded(secret):
    """The content of a Secret as text."""
    return {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}


class Controller(Operator):
    """One process in Kubernetes mode."""

    def __init__(self, room, name, components, environment):
        super().__init__(room.world, name, environment)
        self.room = room
        self.components = components

    def _source(self):
        flags = ["--desired", "kubernetes", "--namespace", self.room.name, "--components", self.components]
        return flags if self.components == "auth" else [*flags, "--data", self.data]

    def metrics(self):
        """The samples of `/metrics`, by name with labels."""
        status, text = self.call("GET", "/metrics")
        check(status == 200, f"/metrics answered {status}")
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def gauge(self, name):
        """The sum of a metric over its labels."""
        return sum(value for sample, value in self.metrics().items() if sample.partition("{")[0] == name)


class Room:
    """One namespace and what an admin does in it."""

    def __init__(self, world, cluster, role):
        self.world = world
        self.cluster = cluster
        self.name = f"vpn-{next(_numbers)}"
        self.operators = []
        self.api = cluster.namespace(self.name)
        self._began = cluster.audit_position()
        self.tokens = {}
        self._role = role

    def operator(self, name="operator", components="all", account=ACCOUNT, server=None, beyond=False, **environment):
        """A process that is not started yet, with a service account that may do what the Role says.

        With `beyond` the account is in another namespace and its rights are those of a ClusterRole.
        """
        kubeconfig = os.path.join(self.world.path, f"{name}.kubeconfig")
        self.cluster.write_kubeconfig(kubeconfig, self._token(account, components, beyond), self.name, server)
        environment = {**self.world.vpn.environment, **environment, "KUBECONFIG": kubeconfig, "HOSTNAME": name}
        operator = Controller(self, name, components, environment)
        self.operators.append(operator)
        return operator

    def _token(self, account, components, beyond):
        home = "default" if beyond else self.name
        account = f"{account}-of-{self.name}" if beyond else account
        if account not in self.tokens:
            self.tokens[account] = self.cluster.service_account(home, account)
            kind = "ClusterRole" if beyond else "Role"
            path = f"/apis/rbac.authorization.k8s.io/v1/{'' if beyond else f'namespaces/{self.name}/'}{kind.lower()}"
            rights = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
            self.cluster.ensure("POST", f"{path}s", {**rights, "kind": kind, "rules": self._role(components)})
            self.cluster.ensure("POST", f"{path}bindings", {
                **rights, "kind": f"{kind}Binding",
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": account},
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
            })
        return self.tokens[account]

    # Desired state, as Git would write it

    def declare_user(self, corporate_id, **spec):
        return self.api.apply("vpnusers", user_document(corporate_id, **spec))

    def declare_hold(self, name, corporate_id, source="hr", **spec):
        return self.api.apply("vpnholds", hold_document(name, corporate_id, source, **spec))

    def declare_secret(self, name, **content):
        return self.api.apply("secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content,
        }, force=True)

    def declare_gateway(self, *nodes, name="default", secret="nodes"):
        """A gateway whose secrets are in a Secret, which is declared apart."""
        return self.api.apply("vpngateways", {
            "apiVersion": API_VERSION, "kind": "VpnGateway", "metadata": {"name": name},
            "spec": {"hysteria": {"nodes": [
                {
                    "name": node.name, "address": "127.0.0.1", "ports": str(node.port), "pinSha256": node.pin,
                    "insecure": True, "statsUrl": node.stats_url,
                    "statsSecret": {"secretKeyRef": {"name": secret, "key": "stats"}},
                    "authToken": {"secretKeyRef": {"name": secret, "key": "auth"}},
                }
                for node in nodes
            ]}},
        })

    def declare_node_secret(self, name="nodes"):
        return self.declare_secret(name, stats=STATS_SECRET, auth=AUTH_TOKEN)

    # What became of it

    def user(self, corporate_id):
        return self.api.get("vpnusers", object_name(corporate_id))

    def status(self, corporate_id):
        return (self.user(corporate_id) or {}).get("status") or {}

    def condition(self, corporate_id, kind):
        user = self.user(corporate_id)
        return condition(user, kind) if user else {}

    def settled(self, corporate_id, access=None, reason=None, seconds=PATIENCE):
        """Waits until the status speaks of the present spec and is done, and says so; gives the object."""

        def done():
            user = self.user(corporate_id)
            if user is None or kstatus(user) != "Current":
                return None
            status = user["status"]
            right = (access is None or status.get("access") == access) and (reason is None or status.get("reason") == reason)
            return user if right else None

        try:
            return until("", done, seconds)
        except Failed:
            raise Failed(f"in vain for {seconds:g} s: {corporate_id} {access or ''} {reason or ''}; it is {self.user(corporate_id)}")

    def secret(self, corporate_id):
        """The content of the person's Secret, or None."""
        secret = self.api.get("secrets", f"{object_name(corporate_id)}-vpn")
        return decoded(secret) if secret else None

    def credentials(self, corporate_id, seconds=PATIENCE):
        """The content of the Secret, as soon as it is there."""
        return until(f"the Secret of {corporate_id}", lambda: self.secret(corporate_id), seconds)

    def link(self, corporate_id):
        return self.credentials(corporate_id)["hy2_url"]

    def let_in(self, operator, corporate_id, link):
        """Whether this process lets this link in."""
        return operator.lets_in(userinfo(link))

    def gone(self, corporate_id, seconds=PATIENCE):
        until(f"the object of {corporate_id} is gone", lambda: self.user(corporate_id) is None, seconds)

    def events(self, about=None):
        """The Events of the namespace, or those about one object."""
        found = self.api.list("events")
        return [event for event in found if about is None or event.get("regarding", {}).get("name") == about]

    def requests(self, account=""):
        """What operators of this namespace, or of one account, asked of the API server, from its record."""
        return self.cluster.audit(f"system:serviceaccount:{self.name}:{account}", self._began)

    def writes(self, account=""):
        """Those of the requests that change something, without the lease and the head of the audit, which have a pace of their own."""
        return [
            request for request in self.requests(account)
            if request["verb"] in ("create", "update", "patch", "delete", "deletecollection")
            and request["objectRef"].get("resource") != "leases"
            and request["objectRef"].get("name") != "vpn-operator-audit-head"
        ]

    # What must hold after every scenario

    def check_nothing_forbidden(self):
        refused = [
            f"{request['verb']} {request['requestURI']}"
            for request in self.requests()
            if request.get("responseStatus", {}).get("code") in (401, 403) and self.cluster.was_ready(request)
        ]
        check(not refused, f"the Role lacks what the operator asks for: {sorted(set(refused))[:5]}")

    def secrets(self):
        """Everything that must stay secret."""
        found = {MASTER_KEY, AUTH_TOKEN, STATS_SECRET, CORPORATE_SECRET, *self.tokens.values()}
        for secret in self.api.list("secrets"):
            content = decoded(secret)
            found |= {value for key, value in content.items() if key != "username" and len(value) >= 8}
        return found

    def check_no_secret_in(self, what, text, secrets=None):
        for secret in secrets or self.secrets():
            check(secret not in text, f"{what} holds a secret: …{text[max(0, text.find(secret) - 80):text.find(secret)]}[here]")

    def check_logs(self):
        secrets = self.secrets()
        for operator in self.operators:
            path = os.path.join(self.world.path, f"{operator.name}.log")
            if os.path.exists(path):
                with open(path, errors="replace") as log:
                    self.check_no_secret_in(f"the log of {operator.name}", log.read(), secrets)

    def check_ends(self):
        """SIGTERM ends every process that still runs, in order, and nothing that must not be happened."""
        for operator in self.operators:
            if operator.process and operator.process.running():
                code = operator.process.stop()
                check(code == 0, f"{operator.name} ended with {code} after SIGTERM")
        self.check_nothing_forbidden()
        self.check_logs()
