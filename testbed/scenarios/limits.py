"""What the folder and the traffic limit do to people who are connected."""

import time

from .processes import check, until
from .vpn import userinfo

MEGABYTE = 1024 * 1024
POLL_SECONDS = 1.0


def an_edit_of_the_folder_takes_effect_within_a_second(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB900001")
    link = vpn.link("AB900001")
    prefix = vpn.username("AB900001") + "."
    device = world.client(link, "edited").connected()
    device.work()
    until("the device is busy", lambda: len(device.done()) >= 10)
    edited = time.time()
    vpn.declare_user("AB900001", active=False)
    until("auth refuses", lambda: not vpn.lets_in(userinfo(link)), 5, 0.005)
    refused = time.time() - edited
    until("the session is gone", lambda: not node.online(prefix), 5)
    passed = node.last_passed(prefix) / 1e9 - edited
    check(refused < 1, f"auth refused after {refused:.2f} s")
    check(passed < 1, f"the last byte passed {passed:.2f} s after the edit")
    edited = time.time()
    vpn.declare_user("AB900001", active=True)
    until("auth lets in", lambda: vpn.lets_in(userinfo(link)), 5, 0.005)
    granted = time.time() - edited
    check(granted < 1, f"auth let in after {granted:.2f} s")
    until("the device works again by itself", lambda: device.done(since=edited), 20)
    return f"refused after {refused * 1e3:.0f} ms, last byte after {passed * 1e3:.0f} ms, let in after {granted * 1e3:.0f} ms"


def the_traffic_limit_is_enforced_within_one_poll(world):
    node = world.one_node()
    vpn = world.vpn
    vpn.declare_user("AB910001", traffic={"limit": "14Mi", "period": "Month"})
    vpn.declare_user("AB910002")
    link = vpn.link("AB910001")
    prefix = vpn.username("AB910001") + "."
    device = world.client(link, "limited").connected()
    other = world.client(vpn.link("AB910002"), "other").connected()
    other.work()
    device.download()
    # A poll has counted the first ten megabytes, which are within the limit.
    until("the first download is counted", lambda: vpn.configuration("AB910001")["traffic_stats"]["download"] >= 10 * MEGABYTE)
    check(device.gets_through(), "cut below the limit")
    device.upload(5 * MEGABYTE)
    over = time.time()
    device.work()
    until("the person is over the limit", lambda: vpn.user("AB910001").get("reason") == "OverQuota", 10, 0.01)
    took = time.time() - over
    check(took < POLL_SECONDS + 0.7, f"denied {took:.2f} s after the limit was passed, with a poll each {POLL_SECONDS:g} s")
    until("the session is gone", lambda: not node.online(prefix))
    world.client(link, "limited-again").refused()
    check(not other.lost(), f"another user lost requests: {other.lost()[:1]}")
    return f"denied {took * 1e3:.0f} ms after the limit was passed, with a poll each {POLL_SECONDS:g} s"
