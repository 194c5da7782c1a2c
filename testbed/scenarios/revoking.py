"""Taking access away from people who are connected."""

import threading
import time

from .processes import check, until
from .vpn import moment

DEVICES = 5


def five_busy_devices_are_cut_and_stay_gone(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB300001")
    vpn.declare_user("AB300002")
    denied = world.devices(vpn.link("AB300001"), "denied", DEVICES)
    other = world.devices(vpn.link("AB300002"), "other", DEVICES)
    prefix = vpn.username("AB300001") + "."
    for device in denied + other:
        device.work()
    until("every device has been busy for a while", lambda: all(len(device.done()) >= 15 for device in denied + other))
    check(not any(device.lost() for device in denied + other), "a request was lost before anybody was denied")
    asked = time.time()
    vpn.deactivate("AB300001")
    answered = time.time()
    revocation = vpn.wait_for("AB300001", "sessions_zero_at")
    contained = moment(revocation["contained_at"])
    gone = time.time()
    while time.time() < gone + 3:
        check(not node.online(prefix), f"back again: {node.online(prefix)}")
        time.sleep(0.05)
    for device in denied:
        done = device.done(since=contained / 1e9)
        check(not done, f"{len(done)} requests of {device.label} went through after containedAt")
    lost = [failure for device in other for failure in device.lost()]
    check(not lost, f"the other user lost {len(lost)} requests, the first by: {lost[:1]}")
    for device in other:
        check(device.done(since=gone), f"{device.label} does nothing any more")
    witness = world.check_nothing_passed_after(contained, prefix, denied)
    check(vpn.user("AB300001")["access"] == "Denied", "the person is not shown as denied")
    deniedat = moment(revocation["denied_at"])
    return (
        f"answered after {(answered - asked) * 1e3:.0f} ms; denied to contained {(contained - deniedat) / 1e6:.0f} ms, "
        f"to zero {(moment(revocation['sessions_zero_at']) - deniedat) / 1e6:.0f} ms; {witness}; "
        f"the other user: {sum(len(device.done()) for device in other)} requests, none lost"
    )


def five_silent_devices_woken_after_the_denial_get_nothing_through(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB400001")
    devices = world.devices(vpn.link("AB400001"), "silent", DEVICES)
    prefix = vpn.username("AB400001") + "."
    node.wait_for_sessions(prefix, DEVICES)
    vpn.deactivate("AB400001")
    revocation = vpn.wait_for("AB400001", "contained_at")
    # Silent sessions move no byte, so a kick cuts none of them: the times must not claim otherwise.
    time.sleep(2)
    check(sum(node.online(prefix).values()) == DEVICES, f"the sessions are not silent: {node.online(prefix)}")
    check(not vpn.revocation("AB400001").get("sessions_zero_at"), "sessionsZeroAt is claimed while five sessions are online")
    through = []
    alarm = threading.Barrier(DEVICES)

    def wake(device):
        alarm.wait()
        through.extend(device.label for _ in range(3) if device.gets_through())

    sleepers = [threading.Thread(target=wake, args=(device,)) for device in devices]
    for sleeper in sleepers:
        sleeper.start()
    for sleeper in sleepers:
        sleeper.join()
    check(not through, f"requests got through: {through}")
    check(not any(world.target.arrivals(device.label) for device in devices), "bytes arrived at the target")
    node.wait_for_sessions(prefix, 0)
    revocation = vpn.wait_for("AB400001", "sessions_zero_at")
    witness = world.check_nothing_passed_after(moment(revocation["contained_at"]), prefix, devices)
    return f"0 of {3 * DEVICES} requests through; {witness}"


def denied_between_the_auth_answer_and_the_registration(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB600001")
    link = vpn.link("AB600001")
    prefix = vpn.username("AB600001") + "."
    node.delay_registration()
    device = world.client(link, "late")
    node.wait_between_auth_and_registration()
    vpn.deactivate("AB600001")
    # The node shows nothing yet; a revocation that is closed now would miss the session.
    time.sleep(2.5)
    check(not node.online(), f"registered already: {node.online()}")
    node.release()
    device.connected()
    through = [number for number in range(5) if device.gets_through(2)]
    check(not through, f"{len(through)} requests got through")
    node.wait_for_sessions(prefix, 0)
    check(not world.target.arrivals(device.label), "bytes arrived at the target")
    revocation = vpn.wait_for("AB600001", "sessions_zero_at", 40)
    witness = world.check_nothing_passed_after(moment(revocation["contained_at"]), prefix, [device])
    until("no session is shown", lambda: not vpn.user("AB600001").get("sessions"))
    return witness


def rotation_cuts_the_old_sessions_and_the_new_link_works(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB800001")
    old_link = vpn.link("AB800001")
    old = world.devices(old_link, "old", 2)
    for device in old:
        device.work()
    until("the old devices are busy", lambda: all(len(device.done()) >= 10 for device in old))
    old_ids = set(node.online())
    check(len(old_ids) == 2, f"two devices have the sessions {old_ids}")
    vpn.declare_user("AB800001", credentialGeneration=2)
    new_link = until("another link", lambda: (link := vpn.link("AB800001")) != old_link and link)
    new = world.client(new_link, "new").connected()
    new.work()
    until("the old sessions are gone", lambda: not old_ids & set(node.online()))
    revocation = vpn.wait_for("AB800001", "sessions_zero_at")
    contained = moment(revocation["contained_at"])
    until("the new device is busy", lambda: len(new.done()) >= 40)
    check(not new.lost(), f"the new device lost requests: {new.lost()[:1]}")
    for device in old:
        check(not device.done(since=contained / 1e9), f"{device.label} got requests through after containedAt")
    for id in old_ids:
        world.check_nothing_passed_after(contained, id, [])
    world.client(old_link, "old-again").refused()
    check(vpn.user("AB800001")["access"] == "Granted", "the person is not shown as granted")
    # The same by the API.
    vpn.expect("POST", "/user/AB800001/rotate", {"what": "password"})
    newest_link = until("yet another link", lambda: (link := vpn.link("AB800001")) not in (old_link, new_link) and link)
    until("the second device is cut", lambda: new.lost())
    world.client(newest_link, "newest").connected().ping()
    world.client(new_link, "new-again").refused()
    return f"contained {(contained - moment(revocation['denied_at'])) / 1e6:.0f} ms after the denial; by YAML and by the API"
