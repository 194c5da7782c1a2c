"""Two nodes, of which one is down and comes back."""

import time

from .processes import check, until
from .vpn import moment


class _Pair:
    """Two nodes, and a device on each of both people."""

    def __init__(self, world, **options):
        self.world, self.vpn = world, world.vpn
        self.left, self.right = world.node("left", **options), world.node("right", **options)
        self.vpn.declare_gateway(self.left, self.right)
        self.vpn.start()
        for corporate_id in ("AB500001", "AB500002"):
            self.vpn.declare_user(corporate_id)
        until("two links", lambda: len(self.vpn.links("AB500001")) == 2)
        self.prefix = self.vpn.username("AB500001") + "."
        self.links = self.vpn.links("AB500001")
        others = self.vpn.links("AB500002")
        self.on_left, self.on_right = (
            self.world.client(self.links[node.port], f"denied-{node.name}").connected() for node in (self.left, self.right)
        )
        self.other_left, self.other_right = (
            self.world.client(others[node.port], f"other-{node.name}").connected() for node in (self.left, self.right)
        )
        for device in (self.on_left, self.on_right, self.other_left, self.other_right):
            device.work()
        self.busy(self.on_left, self.on_right, self.other_left, self.other_right)

    @staticmethod
    def busy(*devices):
        until("the devices are busy", lambda: all(len(device.done()) >= 10 for device in devices))

    def left_is_cut_at_once(self, since):
        until("the device on the reachable node is cut", lambda: not self.left.online(self.prefix), 3)
        passed = self.left.last_passed(self.prefix) / 1e9 - since
        check(passed < 0.5, f"the reachable node passed bytes for {passed:.2f} s after the denial")

    def stays_open(self, seconds=2.5):
        """The revocation says for all this time that it waits for the right node, and for it alone."""
        until("the revocation names a node", lambda: self.vpn.revocation("AB500001").get("waiting_for"), 5)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            revocation = self.vpn.revocation("AB500001")
            waiting = revocation.get("waiting_for")
            check(waiting and all(name.endswith("right") for name in waiting), f"the revocation waits for {waiting}")
            check(not revocation.get("contained_at"), "containedAt is claimed while a node cannot be reached")
            check(not revocation.get("sessions_zero_at"), "sessionsZeroAt is claimed while a node cannot be reached")
            time.sleep(0.1)

    def closes(self):
        """The revocation ends with proof; gives the sentence."""
        back = time.time_ns()
        revocation = self.vpn.wait_for("AB500001", "sessions_zero_at", 40)
        check(not revocation.get("waiting_for"), f"it still waits for {revocation.get('waiting_for')}")
        contained = moment(revocation["contained_at"])
        self.world.check_nothing_passed_after(contained, self.prefix, [self.on_left, self.on_right])
        for node in (self.left, self.right):
            check(not node.online(self.prefix), f"{node.name} shows {node.online(self.prefix)}")
        return f"contained {(contained - back) / 1e6:.0f} ms after it was back"


def a_node_without_statistics_keeps_the_revocation_open(world):
    pair = _Pair(world)
    pair.right.stop_statistics()
    denied = time.time()
    pair.vpn.deactivate("AB500001")
    pair.left_is_cut_at_once(denied)
    pair.stays_open()
    # The bytes that still pass there are why nothing may be claimed.
    check(pair.on_right.done(since=denied + 1), "the scenario proves nothing: the device on the right node was cut")
    pair.right.start_statistics()
    sentence = pair.closes()
    check(not pair.other_left.lost() and not pair.other_right.lost(), "the other user lost requests")
    return sentence


def a_frozen_node_delays_no_other(world):
    pair = _Pair(world)
    pair.right.freeze()
    try:
        denied = time.time()
        pair.vpn.deactivate("AB500001")
        pair.left_is_cut_at_once(denied)
        pair.stays_open()
    finally:
        pair.right.thaw()
    sentence = pair.closes()
    check(not pair.other_left.lost(), "the other user lost requests on the node that was never down")
    return sentence


def a_node_that_is_stopped_and_started_again(world):
    # The server goes without a goodbye: clients notice it after the idle timeout.
    pair = _Pair(world, idle_timeout="6s")
    pair.right.stop()
    denied = time.time()
    pair.vpn.deactivate("AB500001")
    pair.left_is_cut_at_once(denied)
    pair.stays_open()
    pair.right.start()
    sentence = pair.closes()
    world.client(pair.links[pair.right.port], "denied-again").refused()
    back = time.time()
    until("the other user is back on the right node", lambda: pair.other_right.done(since=back), 40)
    check(not pair.other_left.lost(), "the other user lost requests on the node that was never down")
    return sentence
