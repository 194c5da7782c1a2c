"""Several controllers where one was meant, and clocks that jump."""

import glob
import os
import signal
import time
from datetime import datetime, timedelta, timezone

from .connecting import stamp
from .kubernetes import PATIENCE
from .packages import installed
from .processes import Failed, check, until
from .relay import Relay
from .vpn import userinfo

LEASE_SECONDS = 15
RENEW_SECONDS = 10
# From the end of one holder to the first act of the next, on a busy machine.
TAKEOVER_SECONDS = LEASE_SECONDS + 15


def _pair(world):
    """Two controllers of one namespace, each with an account and a way to the node of its own."""
    room = world.kubernetes()
    first = world.vpn
    second = room.operator("second", account="second")
    node = world.node()
    relays = []
    for operator in (first, second):
        relay = Relay(node.stats_url)
        relays.append(relay)
        operator.environment.update({
            "DOMAIN": "127.0.0.1", "HYSTERIA2_PORT": str(node.port), "HYSTERIA_PIN_SHA256": node.pin,
            "HYSTERIA_INSECURE": "true", "HYSTERIA_STATS_URLS": relay.url,
        })
    first.start()
    until("the first holds the lease", lambda: _holder(room) is not None, PATIENCE)
    second.launch()
    return room, node, (first, relays[0]), (second, relays[1])


def _holder(room):
    lease = room.api.get("leases", "vpn-operator")
    return ((lease or {}).get("spec") or {}).get("holderIdentity") or None


def _lively(room, corporate_id):
    """A whole round through whoever acts: granted, denied, granted."""
    room.declare_user(corporate_id)
    room.settled(corporate_id, "Granted", seconds=TAKEOVER_SECONDS)
    room.declare_user(corporate_id, active=False)
    room.settled(corporate_id, "Denied", "Inactive")
    room.declare_user(corporate_id, active=True)
    room.settled(corporate_id, "Granted", "Active")


def of_two_controllers_only_the_holder_of_the_lease_acts(world):
    room, _, (first, ways), (second, other) = _pair(world)
    _lively(room, "AB170001")
    time.sleep(3)
    check(ways.requests, "the holder does not ask the node anything")
    check(not other.requests, f"who does not hold the lease called the node: {other.requests[:3]}")
    check(not room.writes("second"), f"who does not hold the lease wrote: {room.writes('second')[:1]}")
    check(second.process.running(), "the second controller ended instead of waiting")
    holder = _holder(room)
    link = room.link("AB170001")
    first.kill()
    killed = time.time()
    until("the second takes over", lambda: _holder(room) not in (None, holder), TAKEOVER_SECONDS)
    took = time.time() - killed
    second.ready(PATIENCE)
    _lively(room, "AB170002")
    check(other.since(killed), "the new holder does not ask the node anything")
    check(second.lets_in(userinfo(link)), "the new holder refuses what the old one let in")
    # The other one comes back and finds the place taken.
    first.launch()
    time.sleep(3)
    taken = time.time()
    _lively(room, "AB170003")
    check(not ways.since(taken), "two controllers call the node")
    # An orderly end hands the lease over at once.
    code = second.process.stop()
    check(code == 0, f"the holder ended with {code} after SIGTERM")
    ended = time.time()
    first.ready(PATIENCE)
    _lively(room, "AB170004")
    return f"killed: taken over after {took:.1f} s; asked to end: the next acted within {time.time() - ended:.1f} s"


def a_frozen_holder_that_wakes_does_nothing_and_ends(world):
    room, node, (first, ways), (second, other) = _pair(world)
    room.declare_user("AB180001")
    room.settled("AB180001", "Granted")
    link = room.link("AB180001")
    holder = _holder(room)
    first.process.signal(signal.SIGSTOP)
    until("the second takes over", lambda: _holder(room) not in (None, holder), TAKEOVER_SECONDS)
    second.ready(PATIENCE)
    room.declare_user("AB180001", active=False)
    room.settled("AB180001", "Denied", "Inactive", TAKEOVER_SECONDS)
    position = room.cluster.audit_position()
    woken = time.time()
    first.process.signal(signal.SIGCONT)
    try:
        code = first.process.popen.wait(PATIENCE)
    except Exception:
        raise Failed("the holder that was frozen past its deadline goes on")
    took = time.time() - woken
    check(code != 0, "the holder that lost its lease ended as if all were well")
    check(not ways.since(woken), f"it called the node after waking: {ways.since(woken)[:3]}")
    written = [
        f"{request['verb']} {request['requestURI']}" for request in room.cluster.audit(f":{room.name}:vpn-operator", position)
        if request["verb"] not in ("get", "list", "watch") and request["objectRef"].get("resource") not in ("leases", "events")
    ]
    check(not written, f"it wrote after waking: {written}")
    check(not second.lets_in(userinfo(link)), "auth lets the denied person in")
    _lively(room, "AB180002")
    # As its StatefulSet would: it waits for its turn.
    first.launch()
    time.sleep(3)
    check(first.process.running(), "started again, it does not wait for the lease")
    return f"ended {took * 1e3:.0f} ms after waking with code {code}, without a call to the node or a write"


class Clock:
    """A wall clock for some processes, that can be stepped."""

    def __init__(self, world):
        found = installed("faketime", lambda: glob.glob("/usr/lib/*/faketime/libfaketime.so.1"))
        self.library = found[0] if found else None
        self._file = os.path.join(world.path, "clock")
        self.step(0)

    def step(self, seconds):
        with open(self._file + ".new", "w") as file:
            file.write(f"{seconds:+d}s\n")
        os.replace(self._file + ".new", self._file)

    @property
    def environment(self):
        return {
            "LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": self._file, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        }


def a_clock_that_jumps_by_an_hour(world):
    clock = Clock(world)
    if not clock.library:
        return "SKIPPED: libfaketime is missing; install faketime"
    room, _, (first, _), (second, _) = _pair(world)
    first.process.stop()
    first.environment.update(clock.environment)
    second.ready(TAKEOVER_SECONDS)
    second.process.stop()
    first.start()
    second.launch()
    now = datetime.now(timezone.utc)
    room.declare_user("AB190001", validUntil=stamp(now + timedelta(minutes=30)))
    room.declare_user("AB190002", validFrom=stamp(now + timedelta(minutes=30)))
    room.declare_user("AB190003")
    room.settled("AB190001", "Granted")
    room.settled("AB190002", "Denied", "NotYetValid")
    room.settled("AB190003", "Granted")
    leaver, always = (userinfo(room.link(corporate_id)) for corporate_id in ("AB190001", "AB190003"))
    # Whoever is let in below is nobody that comes. One who is there proves that these statistics are the node's: without that, a
    # denial of somebody who was let in and never showed stays open, and rightly so.
    device = world.client(room.link("AB190003"), "always").connected()
    device.download()
    holder = _holder(room)
    clock.step(3600)
    until("auth refuses who expired", lambda: not first.lets_in(leaver), 10)
    room.settled("AB190001", "Denied", "Expired")
    room.settled("AB190002", "Granted", "Active")
    check(first.lets_in(userinfo(room.link("AB190002"))), "who is valid by now is refused")
    _holds_on(room, first, holder, always)
    clock.step(0)
    until("auth refuses who is not valid yet", lambda: not first.lets_in(userinfo(room.link("AB190002"))), 10)
    room.settled("AB190002", "Denied", "NotYetValid")
    _holds_on(room, first, holder, always)
    # The lease of a holder an hour ahead is not believed for an hour.
    clock.step(3600)
    _holds_on(room, first, holder, always)
    device.download()
    first.kill()
    killed = time.time()
    until("the second takes over", lambda: _holder(room) not in (None, holder), TAKEOVER_SECONDS)
    took = time.time() - killed
    second.ready(PATIENCE)
    _lively(room, "AB190004")
    return f"an hour on, back and on again: the holder holds on, validity follows; taken over from it after {took:.1f} s"


def _holds_on(room, operator, holder, always):
    """For longer than the lease lasts, the holder stays the holder and does its work."""
    end = time.monotonic() + LEASE_SECONDS + 3
    while time.monotonic() < end:
        check(operator.process.running(), "the holder ended because the clock jumped")
        check(_holder(room) == holder, f"the lease went from {holder} to {_holder(room)} because the clock jumped")
        check(operator.lets_in(always), "auth refuses somebody without limits")
        time.sleep(0.25)
