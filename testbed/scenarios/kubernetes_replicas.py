"""Processes that answer auth and do nothing else."""

import threading
import time

from .kubernetes import PATIENCE
from .processes import Failed, check, until
from .relay import Relay
from .vpn import userinfo


def auth_replicas_are_right_without_the_controller(world):
    room = world.kubernetes()
    world.one_node()
    controller = world.vpn
    room.declare_user("AB200001")
    room.declare_user("AB200002")
    for corporate_id in ("AB200001", "AB200002"):
        room.settled(corporate_id, "Granted")
    logins = {corporate_id: userinfo(room.link(corporate_id)) for corporate_id in ("AB200001", "AB200002")}
    way = Relay(room.cluster.url)
    replicas = [room.operator(name, components="auth", account="replica", server=way.url) for name in ("replica-1", "replica-2")]

    # Without a first list nobody is let in, and no Service sends a node here.
    way.cut()
    first, second = replicas
    first.launch()
    until("the process answers", lambda: _status(first, "/livez") == 200, PATIENCE)
    check(_status(first, "/readyz") != 200, "ready without having seen anything")
    check(not _lets_in_at_all(first, logins["AB200001"]), "lets in without having seen anything")
    way.join()
    first.ready(PATIENCE)
    second.start()
    for replica in replicas:
        for corporate_id, login in logins.items():
            check(replica.lets_in(login), f"{replica.name} is ready and refuses {corporate_id}")
        check(not replica.lets_in(logins["AB200001"][:-1] + "~"), f"{replica.name} takes any password")

    # The controller is gone: denials still take effect, also new people come in.
    controller.kill()
    slowest = 0.0
    for deny in ("edit", "hold"):
        corporate_id = "AB200001" if deny == "edit" else "AB200002"
        begun = time.time()
        if deny == "edit":
            room.declare_user(corporate_id, active=False)
        else:
            room.declare_hold("hr-deactivated-ab200002", corporate_id)
        for replica in replicas:
            until(f"{replica.name} refuses after the {deny}", lambda: not replica.lets_in(logins[corporate_id]), PATIENCE, 0.002)
        slowest = max(slowest, time.time() - begun)
    # A replica that loses the API server goes on with what it knows.
    way.cut()
    for _ in range(50):
        check(not any(replica.lets_in(logins["AB200001"]) for replica in replicas), "without the API server, the denied one is let in")
        time.sleep(0.02)
    way.join()
    room.declare_user("AB200001", active=True)
    until("both let in again", lambda: all(replica.lets_in(logins["AB200001"]) for replica in replicas), PATIENCE)
    check(not room.writes("replica"), f"a replica wrote: {room.writes('replica')[:1]}")

    # Whom the replicas let in, the controller finds and cuts.
    controller.start()
    return f"without the controller a denial took {slowest * 1e3:.0f} ms at most; nothing was written by a replica"


def every_listener_agrees_about_a_mass_deletion(world):
    room = world.kubernetes()
    world.one_node()
    controller = world.vpn
    people = [f"AB21{number:04}" for number in range(40)]
    for corporate_id in people:
        room.declare_user(corporate_id)
    logins = {corporate_id: userinfo(room.link(corporate_id)) for corporate_id in people}
    replicas = [room.operator(name, components="auth", account="replica") for name in ("replica-1", "replica-2")]
    for replica in replicas:
        replica.start()
    listeners = [controller, *replicas]

    def answers(listener):
        return [corporate_id for corporate_id in people if listener.lets_in(logins[corporate_id])]

    def agreed(what):
        begun = time.time()
        until(f"every listener agrees {what}", lambda: all(answers(replica) == answers(controller) for replica in replicas), PATIENCE)
        return time.time() - begun

    # Twenty-five of forty at once, and ten may go: how many go before the others are one batch is up to kubectl.
    deleted = people[:25]
    room.api.kubectl("delete", "vpnusers", *(corporate_id.lower() for corporate_id in deleted), "--wait=false")

    def decided():
        users = {corporate_id: room.user(corporate_id) for corporate_id in deleted}
        held_back = [it for it, user in users.items() if user and (user.get("status") or {}).get("reason") == "GuardHeldBack"]
        return held_back if all(user is None or it in held_back for it, user in users.items()) else None

    held_back = until("every object is gone or says that it is held back", decided, PATIENCE)
    check(len(held_back) >= 15, f"{25 - len(held_back)} people were let go")
    slowest = agreed("about a deletion that is held back")
    check(sorted(answers(controller)) == sorted(held_back + people[25:]), "who is held back has access, who is deleted has not")
    shown = room.api.kubectl("get", "vpnusers")
    check(shown.count("GuardHeldBack") == len(held_back), f"kubectl shows: {shown}")

    # The budget is used up, and an order does not care.
    room.declare_hold("helpdesk-stolen-ab210030", "AB210030", source="helpdesk")
    for listener in listeners:
        until(f"{listener.name} refuses", lambda: not listener.lets_in(logins["AB210030"]), PATIENCE, 0.002)

    first, second = held_back[:2]
    check(controller.call("POST", "/guard/cancel", {"ids": [first]})[0] == 200, "cancelled")
    check(controller.call("POST", "/guard/confirm", {"ids": [second]})[0] == 200, "confirmed")
    until("the confirmed one is out", lambda: not controller.lets_in(logins[second]), PATIENCE)
    slowest = max(slowest, agreed("after a word to the guard"))
    replicas[0].kill()
    replicas[0].start()
    slowest = max(slowest, agreed("after a restart"))
    controller.kill()
    controller.start()
    slowest = max(slowest, agreed("after another controller"))
    check(controller.lets_in(logins[first]) and not controller.lets_in(logins[second]), "what was decided is found again")
    check(controller.call("POST", "/guard/confirm", {"all": True})[0] == 200, "confirmed")
    until("nobody waits", lambda: _waiting(controller, 0), PATIENCE)
    slowest = max(slowest, agreed("at the end"))
    check(not room.writes("replica"), f"a replica wrote: {room.writes('replica')[:1]}")
    return f"40 people, 3 listeners: agreed {slowest:.2f} s after the controller's word at the latest"


def _waiting(operator, count):
    guard = operator.call("GET", "/guard")[1]
    return guard if len(guard["pending"]) == count else None


def _status(operator, path):
    try:
        return operator.call("GET", path)[0]
    except OSError:
        return None


def _lets_in_at_all(operator, login):
    """As `lets_in`, of a listener that may not answer yet."""
    found = []

    def ask():
        try:
            found.append(operator.lets_in(login))
        except OSError:
            found.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(15)
    if not found:
        raise Failed("the auth listener takes more than 15 s to say no")
    return found[0]
