"""What the API server refuses by itself, before any operator sees it."""

import copy

from .kubernetes import API_VERSION, hold_document, user_document
from .processes import check

_SECRET = {"secretKeyRef": {"name": "panel", "key": "token"}}
_NODE = {"name": "one", "address": "vpn.example.com", "statsUrl": "http://fra1.nodes.invalid:9999"}


def the_api_server_refuses_what_cannot_be_meant(world):
    cluster = world.shared.cluster()
    room = cluster.namespace("vpn-schema")
    done = []

    def accepted(document):
        answer = room.try_kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=git", "-f", "-", given=document)
        check(answer.returncode == 0, f"{_title(document)} was refused: {answer.stderr.strip()[-400:]}")

    def refused(document, *words):
        answer = room.try_kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=git", "-f", "-", given=document)
        check(answer.returncode != 0, f"{_title(document)} was accepted: {document['spec']}")
        for word in words:
            check(word in answer.stderr, f"the refusal of {document['spec']} does not say {word!r}: {answer.stderr.strip()}")
        done.append(document)

    accepted(user_document("AB900001"))
    accepted(user_document("AB900001", owner="Anna Ivanova", traffic={"limit": "100Gi", "period": "Month"}))
    accepted(user_document("x-y_z.1", validFrom="2026-01-01T00:00:00Z", validUntil="2027-01-01T00:00:00Z"))
    accepted(user_document("AB900002", username="corp_old"))
    accepted(hold_document("hr-deactivated-ab900001", "AB900001"))
    accepted(_gateway("direct", hysteria={"nodes": [_NODE]}))
    accepted(_gateway("panel", blitz={"url": "https://panel.example.com", "token": _SECRET}))

    # One object per ID, by construction.
    refused(_named(user_document("AB900003"), "somebody-else"), "the encoding of spec.corporateId")
    refused(_named(user_document("A-B"), "a-b"), "the encoding of spec.corporateId")
    refused(user_document("AB 900003"), "spec.corporateId", "must be a corporate ID like AB123456")
    refused(_named(user_document("AB900003-"), "ab900003--"), "corporateId")
    refused(_without(user_document("AB900003"), "corporateId"), "corporateId")

    # What can never change.
    refused(_named(user_document("ab900009"), "ab900001"), "corporateId is immutable")
    refused(user_document("AB900001", username="corp_new"), "username is immutable")
    refused(user_document("AB900002"), "username is immutable")
    refused(user_document("AB900002", username="corp_other"), "username is immutable")
    accepted(user_document("AB900001", credentialGeneration=3, subscriptionGeneration=2))
    refused(user_document("AB900001", credentialGeneration=2, subscriptionGeneration=2), "can only rise")
    refused(user_document("AB900001", credentialGeneration=3, subscriptionGeneration=1), "can only rise")

    # Values that no person means.
    refused(
        user_document("AB900003", validFrom="2027-01-01T00:00:00Z", validUntil="2026-01-01T00:00:00Z"),
        "validUntil must be after validFrom",
    )
    refused(user_document("AB900003", validUntil="tomorrow"), "validUntil")
    refused(user_document("AB900003", validUntil="2027-01-01T00:00Z"), "validUntil")
    refused(user_document("AB900003", traffic={"limit": "0"}), "more than nothing")
    for limit in ("-1Gi", "50GB", "ten", "", -5, "1e3"):
        refused(user_document("AB900003", traffic={"limit": limit}), "limit must be an amount of bytes", "like 50Gi or 500M")
    for limit in ("1000P", "99999999999Gi", 10**18):
        refused(user_document("AB900003", traffic={"limit": limit}), "limit is too large", "at most 999Pi")
    for limit in ("1", 1, "1.5Gi", "999Pi", 10**18 - 1):
        accepted(user_document("AB900004", traffic={"limit": limit}))
    refused(user_document("AB900003", traffic={"limit": "1Gi", "period": "Week"}), "period")
    refused(user_document("AB900003", maxDevices=0), "maxDevices")
    refused(user_document("AB900003", gateways=[]), "gateways")
    refused(user_document("AB900003", gateways=["One"]), "gateways", "must be a list of which each is at most 63 of the characters")
    refused(user_document("AB900003", email="anna"), "email", "must be a mail address like")
    refused(user_document("AB900003", username="corp-anna"), "username", "must be 1 to 64 of the characters")
    refused(user_document("AB900003", credentialsFrom={"env": "1A"}), "env", "must be the name of an environment variable")
    refused(user_document("AB900003", gateways=["one", "one"]), "gateways")
    refused(user_document("AB900003", deletionPolicy="Forget"), "deletionPolicy")
    refused(user_document("AB900003", credentialsFrom={"env": "A", "file": "/b"}), "exactly one of secretKeyRef, env and file")
    refused(user_document("AB900003", credentialsFrom={}), "exactly one of secretKeyRef, env and file")
    # A misspelt limit must not be no limit.
    refused(user_document("AB900003", validUntill="2027-01-01T00:00:00Z"), "validUntill")
    refused(user_document("AB900003", traffic={"limit": "1Gi", "perlod": "Month"}), "perlod")

    # Holds and gateways.
    refused(hold_document("hr-deactivated-ab900001", "AB900002"), "a hold is immutable")
    refused(hold_document("hr-deactivated-ab900001", "AB900001", until="2027-01-01T00:00:00Z"), "a hold is immutable")
    refused(hold_document("odd", "AB900001", source="Human Resources"), "source", "must be a short word")
    both = {"from": "2027-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    refused(hold_document("odd", "AB900001", **both), "until must be after from")
    refused(
        _gateway("odd", hysteria={"nodes": [_NODE]}, blitz={"url": "https://panel.example.com", "token": _SECRET}),
        "exactly one of hysteria and blitz",
    )
    refused(_gateway("odd"), "exactly one of hysteria and blitz")
    refused(_gateway("odd", hysteria={"nodes": []}), "nodes")
    refused(_gateway("odd", hysteria={"nodes": [_NODE, _NODE]}), "nodes")
    refused(_gateway("odd", hysteria={"nodes": [{**_NODE, "ports": "2000-1000"}]}), "first port")
    refused(_gateway("odd", blitz={"url": "panel.example.com", "token": _SECRET}), "url", "must be a URL like")
    refused(_gateway("odd", hysteria={"nodes": [{**_NODE, "address": "[::1]"}]}), "address", "must be a host name or an IP address")
    refused(_gateway("odd", hysteria={"nodes": [{**_NODE, "pinSha256": "abcd"}]}), "pinSha256", "must be the SHA-256 of the server")
    refused(_gateway("odd", blitz={"url": "https://panel.example.com", "token": {}}), "exactly one of secretKeyRef, env and file")
    refused(_gateway("with.dot", hysteria={"nodes": [_NODE]}), "no '.'")

    fresh = room.get("vpnusers", "ab900002")
    check(fresh["status"] == {"observedGeneration": -1}, f"a new object's status is {fresh['status']}")
    by_field = room.kubectl("get", "vpnusers", "--field-selector=spec.corporateId=AB900002", "-o", "name").split()
    check(by_field == ["vpnuser.vpn-operator.io/ab900002"], f"the field selector gives {by_field}")
    room.remove()
    return f"{len(done)} refused, each with the reason"


def _gateway(name, **spec):
    return {"apiVersion": API_VERSION, "kind": "VpnGateway", "metadata": {"name": name}, "spec": spec}


def _named(document, name):
    return {**copy.deepcopy(document), "metadata": {"name": name}}


def _without(document, field):
    document = copy.deepcopy(document)
    del document["spec"][field]
    return document


def _title(document):
    return f"{document['kind']} {document['metadata']['name']}"
