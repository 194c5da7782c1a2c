"""The Helm chart on a real API server. Nothing runs in its pods: there is no node."""

import glob
import json
import os
import subprocess

from .cluster import Cluster
from .kubernetes import hold_document, user_document
from .processes import check, until
from .shared import CHART, CRDS, programs

# Kinds of the Prometheus operator, whose definitions are not here.
_FOREIGN = "ServiceMonitor,PrometheusRule"
_RELEASE = "vpn-operator"
_NAMESPACE = "vpn"


def helm(*arguments, kubeconfig=None, succeeds=True, home=None):
    done = subprocess.run(
        [os.path.join(programs("helm"), "helm"), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
        env={"PATH": os.environ.get("PATH", ""), "HOME": home or "/nonexistent", **({"KUBECONFIG": kubeconfig} if kubeconfig else {})},
    )
    if succeeds:
        check(done.returncode == 0, f"helm {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done


def the_chart_lints_renders_and_validates(world):
    cluster = world.shared.cluster()
    schemas = _schemas(cluster, os.path.join(world.path, "schemas"))
    combinations = {"the defaults": []}
    for path in sorted(glob.glob(os.path.join(CHART, "ci", "*.yaml"))):
        combinations[os.path.basename(path)] = ["--values", path]
    check(len(combinations) > 1, "the chart has no combinations of values to try")
    resources = 0
    for name, values in combinations.items():
        helm("lint", "--strict", CHART, *values)
        rendered = helm("template", _RELEASE, CHART, "--namespace", _NAMESPACE, "--kube-version", "1.36.0", *values).stdout
        done = subprocess.run(
            [
                os.path.join(programs("helm"), "kubeconform"), "-strict", "-summary", "-output", "json",
                "-schema-location", os.path.join(schemas, "{{.ResourceKind}}{{.KindSuffix}}.json"),
                "-skip", _FOREIGN, "-",
            ],
            input=rendered, capture_output=True, text=True, timeout=120,
        )
        report = json.loads(done.stdout)
        wrong = [f"{one['kind']} {one['name']}: {one['msg']}" for one in report.get("resources") or () if one["status"] != "statusValid"]
        wrong = [one for one in wrong if not one.startswith(tuple(_FOREIGN.split(",")))]
        check(done.returncode == 0 and not wrong, f"{name}: {[one[:400] for one in wrong[:3]] or done.stderr.strip()}")
        resources += report["summary"]["valid"]
    refused = helm("template", _RELEASE, CHART, "--set", "auth.replica=3", succeeds=False)
    check(refused.returncode != 0 and "replica" in refused.stderr, "a misspelt value is accepted")
    return f"{len(combinations)} combinations, {resources} objects valid"


def the_chart_installs_upgrades_rolls_back_and_uninstalls(world):
    # A control plane without the definitions, which the chart brings.
    cluster = Cluster(os.path.join(world.path, "kubernetes"), programs("kubernetes")).start()
    try:
        return _life_of_a_release(cluster)
    finally:
        cluster.stop()


def _life_of_a_release(cluster):
    def run(*arguments):
        return helm(*arguments, "--namespace", _NAMESPACE, kubeconfig=cluster.kubeconfig, home=cluster.path)

    run("install", _RELEASE, CHART, "--create-namespace")
    made = {name for name in cluster.kubectl("get", "all,pdb,role,rolebinding,sa", "-n", _NAMESPACE, "-o", "name").split()}
    for part in ("statefulset.apps", "deployment.apps", "service", "poddisruptionbudget.policy"):
        check(any(name.startswith(part + "/") for name in made), f"the release has no {part}: {sorted(made)}")
    until("the definitions are served", lambda: cluster.call("GET", f"/apis/vpn-operator.io/v1alpha1/namespaces/{_NAMESPACE}/vpnusers")[0] == 200)
    room = _Room(cluster)
    room.apply(user_document("AB240001"))
    keys = room.secrets()
    check(keys, "the release made no Secret")

    run(
        "upgrade", _RELEASE, CHART, "--set", "auth.replicas=3", "--set", "helpDesk.enabled=true",
        "--set-json", 'helpDesk.subjects=[{"kind":"Group","name":"help-desk","apiGroup":"rbac.authorization.k8s.io"}]',
    )
    check(room.secrets() == keys, "an upgrade changed the Secrets: every password would be another")
    replicas = cluster.kubectl("get", "deployment", "-n", _NAMESPACE, "-o", "jsonpath={.items[*].spec.replicas}")
    check(replicas == "3", f"upgraded to {replicas} replicas")
    # The definitions of this version, over the ones that the chart installed: the other way to upgrade them.
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS)
    run("upgrade", _RELEASE, CHART, "--reuse-values")
    refusals = _who_may_hold(cluster)
    warned = _warns_of_annotations(cluster)
    second = helm("install", "second", CHART, "--namespace", _NAMESPACE, kubeconfig=cluster.kubeconfig, home=cluster.path, succeeds=False)
    check(second.returncode != 0 and f"the release {_RELEASE} is in the namespace" in second.stderr, f"a second release: {second.stderr.strip()}")

    run("rollback", _RELEASE, "1")
    replicas = cluster.kubectl("get", "deployment", "-n", _NAMESPACE, "-o", "jsonpath={.items[*].spec.replicas}")
    check(replicas == "2", f"rolled back to {replicas} replicas")
    check(room.secrets() == keys, "a rollback changed the Secrets")
    run("uninstall", _RELEASE)
    check(room.secrets() == keys, "uninstalling took the Secrets")
    check(cluster.kubectl("get", "vpnusers", "-n", _NAMESPACE, "-o", "name").split(), "uninstalling took the users")
    left = cluster.kubectl("get", "statefulset,deployment,role,rolebinding", "-n", _NAMESPACE, "-o", "name").split()
    check(not left, f"uninstalling left {left}")
    left = cluster.kubectl("get", "validatingadmissionpolicy,validatingadmissionpolicybinding", "-o", "name").split()
    check(not [name for name in left if "vpn-operator" in name], f"uninstalling left {left}")
    run("install", _RELEASE, CHART)
    check(room.secrets() == keys, "installing again changed the Secrets")
    return f"{len(made)} objects; Secrets, users and definitions outlive upgrade, rollback, uninstall and another install; {refusals}; {warned}"


class _Room:
    def __init__(self, cluster):
        self.cluster = cluster

    def apply(self, document, *flags):
        return self.cluster.kubectl("apply", "--server-side", "-n", _NAMESPACE, *flags, "-f", "-", given=document)

    def secrets(self):
        found = json.loads(self.cluster.kubectl("get", "secrets", "-n", _NAMESPACE, "-o", "json"))["items"]
        return {one["metadata"]["name"]: one["data"] for one in found if not one["type"].startswith("helm.sh")}


def _warns_of_annotations(cluster):
    """Annotations that do nothing are warned of and not refused; right ones and those of others are not spoken of."""

    def said(name, value):
        document = user_document("AB240002")
        document["metadata"]["annotations"] = {name: value}
        arguments = ("-n", _NAMESPACE, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
        done = cluster.try_kubectl(*arguments, given=document)
        check(done.returncode == 0, f"{name}: {value!r} is refused: {done.stderr.strip()}")
        return done.stderr

    pause = "vpn-operator.io/pause"
    # The policy is in force a moment after it was made.
    until("the policy warns", lambda: "Warning:" in said(pause, "yes"), 20, 0.2)
    check('write "true"' in said(pause, "yes"), f"the warning of a wrong value says {said(pause, 'yes')!r}")
    misspelt = said("vpn-operator.io/pauze", "true")
    check("knows no annotation vpn-operator.io/pauze" in misspelt, f"the warning of a misspelt name says {misspelt!r}")
    for name, value in ((pause, "true"), (pause, "false"), ("vpn-operator.io/reconcile-now", "1"), ("example.com/pause", "yes")):
        check("Warning:" not in said(name, value), f"{name}: {value!r} is warned of: {said(name, value)!r}")
    return "2 warnings of annotations"


def _who_may_hold(cluster):
    """The help desk, an administrator and the operator, and the holds of HR."""
    operator = cluster.kubectl(
        "get", "rolebinding", f"{_RELEASE}-controller", "-n", _NAMESPACE, "-o", "jsonpath={.subjects[0].name}"
    )
    operator = ("--as", f"system:serviceaccount:{_NAMESPACE}:{operator}")
    help_desk = ("--as", "greta", "--as-group", "help-desk", "--as-group", "system:authenticated")
    admin = ()
    refusals = 0

    def may(who, *arguments, given=None):
        cluster.kubectl("-n", _NAMESPACE, *who, *arguments, given=given)

    def may_not(who, *arguments, given=None):
        nonlocal refusals
        done = cluster.try_kubectl("-n", _NAMESPACE, *who, *arguments, given=given)
        check(done.returncode != 0, f"{who or 'an administrator'} may {' '.join(arguments)} {given or ''}")
        check("orbidden" in done.stderr or "denied" in done.stderr, f"refused for another reason: {done.stderr.strip()}")
        refusals += 1

    lost = hold_document("helpdesk-lost-ab240001", "AB240001", "helpdesk", reason="lost phone")
    dismissed = hold_document("hr-deactivated-ab240001", "AB240001", "hr")
    # The policy is in force a moment after it was made.
    until("the policy is in force", lambda: cluster.try_kubectl("-n", _NAMESPACE, "create", "--dry-run=server", "-f", "-", given=dismissed).returncode, 20, 0.2)
    may(help_desk, "create", "-f", "-", given=lost)
    may(help_desk, "get", "vpnholds")
    may_not(help_desk, "delete", "vpnhold", "helpdesk-lost-ab240001")
    may_not(help_desk, "get", "vpnusers")
    may_not(help_desk, "get", "secrets")
    may_not(help_desk, "create", "-f", "-", given=user_document("AB240009"))
    for who in (help_desk, admin):
        may_not(who, "create", "-f", "-", given=dismissed)
        may_not(who, "create", "-f", "-", given=hold_document("hr-mine-ab240001", "AB240001", "helpdesk"))
    may(operator, "create", "-f", "-", given=dismissed)
    may_not(admin, "delete", "vpnhold", "hr-deactivated-ab240001")
    may_not(admin, "annotate", "vpnhold", "hr-deactivated-ab240001", "a=b")
    may(admin, "delete", "vpnhold", "helpdesk-lost-ab240001")
    may(operator, "delete", "vpnhold", "hr-deactivated-ab240001")
    # A namespace with a hold of HR can still be deleted; the operator of this one is not there to hold it up.
    may(operator, "create", "-f", "-", given=hold_document("hr-deactivated-zz240001", "ZZ240001"))
    may(operator, "delete", "vpnhold", "hr-deactivated-zz240001")
    return f"{refusals} refusals by the Role and the policy"


def _schemas(cluster, folder):
    """Schema files for kubeconform, from what the API server publishes, the project's own definitions included."""
    os.makedirs(folder)
    definitions = cluster.ensure("GET", "/openapi/v2")["definitions"]
    for definition in definitions.values():
        for kind in definition.get("x-kubernetes-group-version-kind") or ():
            if definition.get("properties"):
                name = "-".join(part for part in (kind["kind"], kind["group"].split(".")[0], kind["version"]) if part).lower() + ".json"
                with open(os.path.join(folder, name), "w") as file:
                    json.dump(_closed(definition, definitions), file)
    return folder


def _closed(definition, definitions):
    """One definition with everything that it refers to, in which unknown fields are errors."""
    needed, queue = {}, [definition]
    while queue:
        for reference in _references(queue.pop()):
            if reference not in needed:
                needed[reference] = definitions[reference]
                queue.append(definitions[reference])
    return {**_strict(definition), "definitions": {name: _strict(content) for name, content in needed.items()}}


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _strict(value):
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    # The keys of `properties` are names of fields, and those of a definition of definitions are called like keywords.
    strict = {
        key: {name: _strict(field) for name, field in inner.items()} if key == "properties" else _strict(inner)
        for key, inner in value.items()
    }
    if strict.get("type") == "object" and isinstance(value.get("properties"), dict) and "additionalProperties" not in strict:
        strict["additionalProperties"] = False
    if strict.get("format") == "int-or-string" or strict.get("x-kubernetes-int-or-string"):
        for key in ("type", "format", "pattern", "maximum", "minimum", "exclusiveMaximum", "maxLength"):
            strict.pop(key, None)
    # Only these formats mean the same to a JSON schema.
    if strict.get("format") not in (None, "date-time", "int32", "int64", "double"):
        strict.pop("format")
    return strict
