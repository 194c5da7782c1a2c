"""What people who declare users with kubectl see, and what a user is handed."""

import json
import os
import subprocess
import threading
import time
import urllib.parse

from .kstatus import condition, kstatus
from .kubernetes import PATIENCE, user_document
from .processes import Failed, check, until
from .shared import programs
from .vpn import links_in, userinfo

_KEYS = {"hy2_url", "subscription_url", "username", "password"}
ROUNDS = 5


def a_first_user_with_nothing_but_kubectl(world):
    room = world.kubernetes()
    vpn = world.vpn
    node = world.node()
    room.declare_node_secret()
    room.declare_gateway(node)
    vpn.start()
    room.api.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "vpngateway/default")
    room.api.kubectl("apply", "-f", "-", given=user_document("AB100001", owner="Anna Ivanova"))
    room.api.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "vpnuser/ab100001")
    user = room.user("AB100001")
    status = user["status"]
    check(status["access"] == "Granted", f"the status is {status}")
    check(status["secretName"] == "ab100001-vpn", f"the status names the Secret {status.get('secretName')}")
    check(status["gateways"] == [{"name": "default", "account": "Present"}], f"the gateways are {status.get('gateways')}")
    content = room.secret("AB100001")
    check(set(content) == _KEYS, f"the Secret has the keys {sorted(content or ())}")
    check(status["username"] == content["username"], "the status has another account name than the Secret")
    handed = vpn.configuration("AB100001")
    check(handed["hy2_url"] == content["hy2_url"], "the API hands out another link than the Secret holds")
    device = world.client(content["hy2_url"], "anna").connected()
    device.download()
    subscription = vpn.call("GET", urllib.parse.urlsplit(content["subscription_url"]).path)
    check(subscription[0] == 200 and userinfo(links_in(subscription[1])[0]) == userinfo(content["hy2_url"]), "the subscription differs")
    device.work()
    until("the device is busy", lambda: len(device.done()) >= 5)

    room.api.kubectl("delete", "vpnuser", "ab100001", "--timeout=30s")
    check(room.user("AB100001") is None, "the object is still there")
    check(not vpn.lets_in(userinfo(content["hy2_url"])), "auth still lets in")
    until("the session is gone", lambda: not node.online(content["username"] + "."))
    until("the Secret is collected", lambda: room.secret("AB100001") is None, PATIENCE)
    device.rest()
    check(not device.gets_through(2), "the device still gets through")
    return "Ready with its Secret; the link moved 10 MiB; deleted, cut, and the Secret collected"


def kubectl_wait_and_kstatus_are_right_at_every_moment(world):
    room = world.kubernetes()
    vpn = world.vpn
    unseen = room.declare_user("AB110009")
    check(kstatus(unseen) == "InProgress", "a new object looks done before anybody has seen it")
    early = room.api.try_kubectl("wait", "--for=condition=Ready", "--timeout=1s", "vpnuser/ab110009")
    check(early.returncode != 0, "kubectl wait is content with an object that nobody has seen")
    world.one_node()
    room.settled("AB110009", "Granted")
    # Auth is asked below without anybody connecting. A node that shows somebody is believed that those sessions do not exist.
    bystander = world.client(room.link("AB110009"), "bystander").connected()

    wrong, seen, link = [], threading.Event(), []

    def compare(kind, user):
        # What anybody who watches may conclude from this very version.
        if kind == "DELETED" or user["metadata"]["name"] != "ab110001" or kstatus(user) != "Current":
            return
        granted = user["spec"]["active"]
        if (user["status"].get("access") == "Granted") != granted:
            wrong.append(f"Current, active: {granted}, and the status says {user['status'].get('access')}")
        password = link or [room.link("AB110001")]
        if vpn.lets_in(userinfo(password[0])) != granted:
            wrong.append(f"Current, active: {granted}, and auth says otherwise")
        if condition(user, "Granted").get("status") != str(granted):
            wrong.append(f"Current, active: {granted}, and the condition Granted is {condition(user, 'Granted')}")
        if user["metadata"]["generation"] == expected[0]:
            seen.set()

    with room.api.watch("vpnusers") as watch:
        watch.on_event(compare)
        expected = [None]
        transitions = {}
        for number in range(ROUNDS * 2):
            active = number % 2 == 0
            seen.clear()
            written = room.declare_user("AB110001", active=active)
            expected[0] = written["metadata"]["generation"]
            check(kstatus(written) != "Current", f"the answer to the edit already looks done: {written['status']}")
            room.api.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "vpnuser/ab110001")
            link = link or [room.link("AB110001")]
            check(vpn.lets_in(userinfo(link[0])) == active, f"kubectl wait returned after active: {active}, and auth says otherwise")
            user = room.settled("AB110001", "Granted" if active else "Denied")
            check(seen.wait(PATIENCE), "the watch never showed the edit as done")
            check(not wrong, f"{wrong}")
            for kind in ("Ready", "Granted"):
                one = condition(user, kind)
                check(one["observedGeneration"] == expected[0], f"{kind} speaks of generation {one.get('observedGeneration')}")
                transitions.setdefault(kind, []).append((one["status"], one["lastTransitionTime"]))
        events = len(watch.events)
        # Nothing moves without a reason: neither another version of the object nor a transition time.
        version = room.user("AB110001")["metadata"]["resourceVersion"]
        _stays(lambda: room.user("AB110001")["metadata"]["resourceVersion"] == version, 3, "the object changes without an edit")
    check(not wrong, f"{wrong}")
    return f"{ROUNDS * 2} edits, {events} watch events, none of them claimed what auth did not do"


def profiles_stand_in_the_secret_where_they_are_wanted(world):
    room = world.kubernetes()
    vpn = world.vpn
    vpn.environment["HANDOUT_FORMATS"] = "sing-box,mihomo"
    world.one_node()
    room.declare_user("AB125001")
    room.settled("AB125001", "Granted")
    wanted = _KEYS | {"sing-box.json", "mihomo.yaml"}
    content = until("profiles in the Secret", lambda: _with_keys(room.secret("AB125001"), wanted), PATIENCE)
    own = f"{content['username']}:{content['password']}"
    profile = json.loads(content["sing-box.json"])
    (outbound,) = [it for it in profile["outbounds"] if it["type"] == "hysteria2"]
    check(outbound["password"] == own, "the profile has other credentials than the Secret")
    check(json.dumps(own) in content["mihomo.yaml"], "the profile of mihomo has other credentials than the Secret")
    path = os.path.join(world.path, "profile.json")
    with open(path, "w") as file:
        file.write(content["sing-box.json"])
    program = os.path.join(programs("sing-box"), "sing-box")
    done = subprocess.run([program, "check", "-c", path], capture_output=True, text=True)
    check(done.returncode == 0, f"sing-box check: {done.stderr.strip()[-300:]}")
    os.remove(path)
    check(vpn.process.stop() == 0, "the operator did not end in order")
    del vpn.environment["HANDOUT_FORMATS"]
    vpn.start()
    until("the profiles are gone", lambda: _with_keys(room.secret("AB125001"), _KEYS), PATIENCE)
    return "both profiles beside the link, with the same credentials; gone when nobody wants them"


def _with_keys(content, keys):
    return content if content and set(content) == keys else None


def a_secret_that_is_deleted_or_edited_comes_back_the_same(world):
    room = world.kubernetes()
    world.one_node()
    room.declare_user("AB120001")
    room.settled("AB120001", "Granted")
    content = room.credentials("AB120001")
    secret = room.api.get("secrets", "ab120001-vpn")
    user = room.user("AB120001")
    owner = secret["metadata"].get("ownerReferences") or [{}]
    check(
        len(owner) == 1 and owner[0].get("uid") == user["metadata"]["uid"] and owner[0].get("controller") is True,
        f"the Secret's owner is {owner}",
    )
    check(secret["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "vpn-operator", f"labels {secret['metadata'].get('labels')}")

    room.api.delete("secrets", "ab120001-vpn")
    _returns(room, content, "deleted")
    room.api.merge("secrets", "ab120001-vpn", {"stringData": {"password": "mine", "hy2_url": "hy2://nowhere"}})
    _returns(room, content, "edited")
    room.api.merge("secrets", "ab120001-vpn", {"data": {"password": None}})
    _returns(room, content, "robbed of a key")
    room.api.merge("secrets", "ab120001-vpn", {"stringData": {"note": "mine"}})
    _returns(room, content, "given a key of somebody's")
    room.api.merge("secrets", "ab120001-vpn", {"metadata": {"ownerReferences": None, "labels": None}})
    until(
        "the owner is back",
        lambda: (room.api.get("secrets", "ab120001-vpn")["metadata"].get("ownerReferences") or [{}])[0].get("uid") == user["metadata"]["uid"],
        PATIENCE,
    )
    world.vpn.kill()
    room.api.delete("secrets", "ab120001-vpn")
    world.vpn.start()
    _returns(room, content, "deleted while the operator was down")
    version = room.api.get("secrets", "ab120001-vpn")["metadata"]["resourceVersion"]
    _stays(
        lambda: room.api.get("secrets", "ab120001-vpn")["metadata"]["resourceVersion"] == version, 2, "the Secret is written over and over"
    )
    room.api.delete("vpnusers", "ab120001")
    room.gone("AB120001")
    until("the Secret is collected", lambda: room.secret("AB120001") is None, PATIENCE)
    return "deleted, edited, robbed of a key and of its owner, deleted while nobody looked: the same each time; collected with its user"


def a_secret_that_is_somebody_elses_is_left_alone(world):
    room = world.kubernetes()
    world.one_node()
    room.declare_secret("qq000002-vpn", a="b")
    strangers = room.api.get("secrets", "qq000002-vpn")

    def check_it_is_as_it_was(when):
        present = room.api.get("secrets", "qq000002-vpn")
        check(present is not None, f"the stranger's Secret is gone {when}")
        for part in (lambda it: it["data"], lambda it: it["metadata"]["uid"], lambda it: it["metadata"]["resourceVersion"]):
            check(part(present) == part(strangers), f"the stranger's Secret is another {when}: {present}")

    room.declare_user("QQ000002")
    until(
        "the user is Stalled",
        lambda: any(
            it["type"] == "Stalled" and it["reason"] == "SecretConflict" for it in (room.status("QQ000002") or {}).get("conditions", ())
        ),
        PATIENCE,
    )
    check_it_is_as_it_was("beside its user")
    room.api.delete("vpnusers", "qq000002")
    room.gone("QQ000002")
    _stays(lambda: room.api.get("secrets", "qq000002-vpn") is not None, 2, "the stranger's Secret goes with the user")
    check_it_is_as_it_was("after the user")

    # A backup brings the user's own back before the user, with the owner of before, whom nobody finds.
    room.declare_user("AB120002")
    room.settled("AB120002", "Granted")
    backup, content = room.api.get("secrets", "ab120002-vpn"), room.credentials("AB120002")
    room.api.delete("vpnusers", "ab120002")
    room.gone("AB120002")
    until("the Secret is collected", lambda: room.secret("AB120002") is None, PATIENCE)
    meta = {key: backup["metadata"][key] for key in ("name", "labels", "ownerReferences")}
    room.api.apply("secrets", {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta, "data": backup["data"]}, force=True)
    began = time.time()
    room.declare_user("AB120002")
    user = room.settled("AB120002", "Granted")
    until(
        "the Secret is the new user's",
        lambda: (room.api.get("secrets", "ab120002-vpn") or {"metadata": {}})["metadata"].get("ownerReferences", [{}])[0].get("uid")
        == user["metadata"]["uid"],
        PATIENCE,
    )
    took = time.time() - began
    _stays(lambda: room.secret("AB120002") == content, 2, "the restored Secret is not the same")
    return f"a stranger's is as it was before, beside and after the user; a restored one is the user's after {took:.1f} s"


def _returns(room, content, what):
    try:
        until("", lambda: room.secret("AB120001") == content, PATIENCE)
    except Failed:
        present = room.secret("AB120001")
        differ = sorted(key for key in content if (present or {}).get(key) != content[key])
        raise Failed(f"the Secret was {what} and has not come back: {'it is missing' if present is None else f'{differ} differ'}")


def _stays(condition_holds, seconds, what):
    try:
        until("", lambda: not condition_holds(), seconds, 0.1)
    except Failed:
        return
    raise Failed(what)
