"""What a user or a gateway names, and what people see of the operator's work."""

import json
import time

from .kstatus import condition
from .kubernetes import PATIENCE
from .processes import Failed, check, until
from .vpn import userinfo


def what_does_not_resolve_is_stalled_and_heals_by_itself(world):
    room = world.kubernetes()
    vpn = world.vpn
    vpn.start()
    node = world.node()
    # A user whose gateway does not exist, and a gateway whose Secret does not.
    room.declare_user("AB150001", gateways=["berlin"])
    _stalled(room, "vpnusers", "ab150001", "berlin")
    room.declare_gateway(node, name="berlin", secret="berlin-node")
    _stalled(room, "vpngateways", "berlin", "berlin-node")
    room.declare_secret("berlin-node", stats="wrong")
    _stalled(room, "vpngateways", "berlin", "auth")
    room.declare_node_secret("berlin-node")
    room.api.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "vpngateway/berlin")
    room.settled("AB150001", "Granted")
    check(not condition(room.user("AB150001"), "Stalled"), "healed, and still Stalled")
    world.client(room.link("AB150001"), "berlin").connected().ping()

    room.declare_user("AB150002", gateways=["berlin"], credentialsFrom={"secretKeyRef": {"name": "old", "key": "password"}})
    _stalled(room, "vpnusers", "ab150002", "old")
    room.declare_secret("old", passwort="a password from before")
    _stalled(room, "vpnusers", "ab150002", "password")
    room.declare_secret("old", password="a password from before")
    room.settled("AB150002", "Granted")
    check(room.credentials("AB150002")["password"] == "a password from before", "the Secret holds another password")
    world.client(room.link("AB150002"), "imported").connected().ping()
    # A change of the password rotates the access, without an edit of the user.
    old = room.link("AB150002")
    room.declare_secret("old", password="a newer password")
    until("the new password works", lambda: vpn.lets_in(userinfo(old).split(":")[0] + ":a newer password"), PATIENCE)
    check(not vpn.lets_in(userinfo(old)), "the password from before still works")
    until("the Secret has it", lambda: room.secret("AB150002")["password"] == "a newer password", PATIENCE)
    return "a missing gateway, a missing Secret, a missing key, a missing password: each Stalled, named, and healed"


def _stalled(room, plural, name, *words):
    def stalled():
        thing = room.api.get(plural, name)
        one = condition(thing, "Stalled")
        fresh = (thing.get("status") or {}).get("observedGeneration") == thing["metadata"]["generation"]
        said = all(f"{word}" in one.get("message", "") for word in words)
        return one if fresh and one.get("status") == "True" and said else None

    try:
        one = until("", stalled, PATIENCE)
    except Failed:
        raise Failed(f"{plural}/{name} is not Stalled with a word on {words}: {room.api.get(plural, name).get('status')}")
    check(condition(room.api.get(plural, name), "Ready").get("status") != "True", f"{plural}/{name} is Stalled and Ready")
    return one


def pause_reconcile_now_and_events(world):
    room = world.kubernetes()
    node = world.one_node()
    vpn = world.vpn
    room.declare_user("AB160001", owner="Anna")
    room.settled("AB160001", "Granted")
    link = room.link("AB160001")

    # Asking for a look is answered, also when nothing is to be done.
    for value in ("first", "second"):
        room.api.kubectl("annotate", "--overwrite", "vpnuser", "ab160001", f"vpn-operator.io/reconcile-now={value}")
        until(f"{value} is handled", lambda: room.status("AB160001").get("lastHandledReconcileAt") == value, PATIENCE)

    # Paused, nothing is written for the user; the denial is not put off.
    room.api.kubectl("annotate", "vpnuser", "ab160001", "vpn-operator.io/pause=true")
    until("the pause shows", lambda: _paused(room), PATIENCE)
    secret = room.api.get("secrets", "ab160001-vpn")["metadata"]["uid"]
    room.api.delete("secrets", "ab160001-vpn")
    time.sleep(2)
    check(room.secret("AB160001") is None, "paused, and the Secret was written")
    room.api.kubectl("annotate", "vpnuser", "ab160001", "vpn-operator.io/pause-")
    until("the Secret is back", lambda: room.secret("AB160001"), PATIENCE)
    check(room.api.get("secrets", "ab160001-vpn")["metadata"]["uid"] != secret, "the Secret was never away")
    until("the pause is over", lambda: not _paused(room), PATIENCE)

    # A life with everything that makes an Event.
    device = world.client(link, "busy").connected()
    device.work()
    until("the device is busy", lambda: len(device.done()) >= 5)
    for _ in range(3):
        room.declare_hold("helpdesk-lost-ab160001", "AB160001", source="helpdesk", reason="x" * 1024)
        room.settled("AB160001", "Denied", "Held")
        until("the session is gone", lambda: not node.online(room.status("AB160001")["username"] + "."), PATIENCE)
        until("sessionsZeroAt", lambda: (room.status("AB160001").get("revocation") or {}).get("sessionsZeroAt"), PATIENCE)
        room.api.delete("vpnholds", "helpdesk-lost-ab160001")
        until("the hold is gone", lambda: room.api.get("vpnholds", "helpdesk-lost-ab160001") is None, PATIENCE)
        room.settled("AB160001", "Granted", "Active")
    reasons = until("Events for grant, denial and containment", lambda: _reasons(room, "ab160001"), PATIENCE)
    events = room.events("ab160001")
    for event in events:
        check(len(event.get("note", "").encode()) <= 1024, f"an Event of {len(event['note'].encode())} bytes")
        check(event["regarding"]["kind"] == "VpnUser" and event["reportingController"], f"an Event without a regard: {event}")
    check(len(events) <= 15, f"{len(events)} Events about one object: no series")
    again = room.api.kubectl("describe", "vpnuser", "ab160001")
    check("Events:" in again and any(reason in again for reason in reasons), "kubectl describe shows no Event")
    secrets = room.secrets() | {link}
    everything = {
        "an Event": json.dumps(events),
        "a status": json.dumps([user.get("status") for user in room.api.list("vpnusers")]),
        "/metrics": str(vpn.call("GET", "/metrics")[1]),
        "GET /user": json.dumps(vpn.user("AB160001")),
        "the audit": json.dumps(vpn.call("GET", "/audit")[1]),
    }
    for what, text in everything.items():
        room.check_no_secret_in(what, text, secrets)
    return f"Events {', '.join(sorted(reasons))}; paused and unpaused; asked twice, answered twice"


def _paused(room):
    user = room.user("AB160001")
    return any("pause" in (one.get("reason", "") + one["type"]).lower() for one in (user.get("status") or {}).get("conditions") or ())


def _reasons(room, name):
    found = {event["reason"] for event in room.events(name)}
    text = " ".join(found).lower()
    return found if all(word in text for word in ("grant", "den", "contain")) else None
