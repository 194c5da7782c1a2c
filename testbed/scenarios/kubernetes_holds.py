"""Holds, and the several hands that write the same objects."""

import threading
import time

from .kubernetes import PATIENCE, hold_document, user_document
from .kstatus import condition
from .processes import check, until
from .vpn import userinfo


class Watchman:
    """Asks auth over and over, and remembers whether anybody got in who must not."""

    def __init__(self, operator, link):
        self.operator, self.userinfo = operator, userinfo(link)
        self.asked = 0
        self.let_in = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(30)

    def _loop(self):
        while not self._end.wait(0.01):
            try:
                if self.operator.lets_in(self.userinfo):
                    self.let_in.append(time.time())
                self.asked += 1
            except OSError:
                pass

    def check(self, what):
        check(self.asked > 0, "auth was never asked")
        check(not self.let_in, f"auth let the person in {len(self.let_in)} times: {what}")


def a_hold_beats_apply_replace_delete_and_create(world):
    room = world.kubernetes()
    node = world.one_node()
    vpn = world.vpn
    wanted = user_document("AB130001", owner="Anna Ivanova", active=True)
    room.api.kubectl("apply", "-f", "-", given=wanted)
    room.settled("AB130001", "Granted")
    link = room.link("AB130001")
    device = world.client(link, "held").connected()
    prefix = room.status("AB130001")["username"] + "."
    device.work()
    room.api.kubectl("apply", "-f", "-", given=hold_document("hr-deactivated-ab130001", "ab130001", reason="dismissed on Friday"))
    until("auth refuses", lambda: not vpn.lets_in(userinfo(link)), PATIENCE)
    until("the session is gone", lambda: not node.online(prefix), PATIENCE)
    with Watchman(vpn, link) as watchman:
        _says_who_and_why(room)
        room.api.kubectl("apply", "-f", "-", given=wanted)
        room.api.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=git", "-f", "-", given=wanted)
        _says_who_and_why(room)
        room.api.kubectl("replace", "-f", "-", given=wanted)
        _says_who_and_why(room)
        room.api.kubectl("replace", "--force", "-f", "-", given=wanted)
        _says_who_and_why(room)
        room.api.kubectl("delete", "vpnuser", "ab130001", "--timeout=30s")
        room.api.kubectl("apply", "-f", "-", given=wanted)
        _says_who_and_why(room)
        vpn.kill()
        vpn.start()
        _says_who_and_why(room)
        watchman.check("re-applied, replaced, deleted and created again under a hold")
    check(not node.online(prefix), "the session came back")
    hold = room.api.get("vpnholds", "hr-deactivated-ab130001")
    check((hold.get("status") or {}).get("phase") == "Live", f"the hold's status is {hold.get('status')}")
    room.api.kubectl("delete", "vpnhold", "hr-deactivated-ab130001", "--timeout=30s")
    room.settled("AB130001", "Granted", "Active")
    check(vpn.lets_in(userinfo(link)), "the hold is gone and the link does not work")
    return f"{watchman.asked} questions to auth, no yes; lifted, the same link works again"


def _says_who_and_why(room):
    user = room.settled("AB130001", "Denied", "Held")
    granted = condition(user, "Granted")
    check(granted.get("status") == "False" and granted.get("reason") == "Held", f"the condition is {granted}")
    # The name of a hold says who holds and why; the words for people stay with those who may read holds.
    check("hr-deactivated-ab130001" in granted["message"], f"the status does not say who holds and why: {granted['message']!r}")
    check(condition(user, "Ready").get("status") == "True", "a person who is rightly out is not Ready")


def git_and_the_api_do_not_fight(world):
    room = world.kubernetes()
    world.one_node()
    vpn = world.vpn
    # One declares active, the other leaves it to whoever knows.
    documents = {
        "AB140001": user_document("AB140001", owner="Anna", active=True),
        "AB140002": user_document("AB140002", owner="Boris"),
    }

    def git(corporate_id):
        # As a GitOps controller does: no force, so that a conflict shows.
        return room.api.apply("vpnusers", documents[corporate_id], manager="kustomize-controller")

    for corporate_id in documents:
        git(corporate_id)
        room.settled(corporate_id, "Granted")
    links = {corporate_id: room.link(corporate_id) for corporate_id in documents}
    for corporate_id, link in links.items():
        vpn.deactivate(corporate_id)
        check(not vpn.lets_in(userinfo(link)), f"{corporate_id} was deactivated and auth lets in")
        room.settled(corporate_id, "Denied", "Held")
    check(room.user("AB140001")["spec"]["active"] is True, "the API took over a field that Git declares")
    check(room.user("AB140002")["spec"]["active"] is False, "the API did not flip a field that nobody declares")
    check("vpn-operator-api" in _managers(room.user("AB140002"), "f:active"), "the flip is not the API's")
    with Watchman(vpn, links["AB140001"]) as first, Watchman(vpn, links["AB140002"]) as second:
        for _ in range(5):
            for corporate_id in documents:
                git(corporate_id)
                room.settled(corporate_id, "Denied", "Held")
        versions = {id: room.user(id)["metadata"]["resourceVersion"] for id in documents}
        began = time.monotonic()
        while time.monotonic() < began + 3:
            for corporate_id in documents:
                git(corporate_id)
            now = {id: room.user(id)["metadata"]["resourceVersion"] for id in documents}
            check(now == versions, "Git and the operator write the same object in turns")
            time.sleep(0.2)
        first.check("Git applied active: true under the API's hold")
        second.check("Git applied under the API's hold")
    for corporate_id, link in links.items():
        vpn.expect("POST", f"/user/{corporate_id}/activate")
        room.settled(corporate_id, "Granted", "Active")
        check(vpn.lets_in(userinfo(link)), f"{corporate_id} was activated and auth refuses")
        git(corporate_id)
    holds = room.api.list("vpnholds")
    check(not holds, f"holds remain: {holds}")
    check("vpn-operator-api" not in _managers(room.user("AB140002"), "f:active"), "the API keeps the field after activating")
    return "Git re-applies without a conflict and without effect on the hold; nothing is written in turns; activating lifts it"


def _managers(thing, field):
    return {
        entry["manager"] for entry in thing["metadata"].get("managedFields") or ()
        if field in (entry.get("fieldsV1", {}).get("f:spec") or {})
    }
