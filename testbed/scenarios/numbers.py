"""What the operator costs in Kubernetes mode, on the machine on which it runs. Started by ../run --numbers.

Every time is set against a bare client or a limit of the same run, because machines differ.
"""

import json
import os
import statistics
import subprocess
import threading
import time

from .kubernetes import object_name
from .processes import Failed, check, until
from .vpn import userinfo

USERS = 1_000
MANY = 10_000
DENIALS = 150
ROUNDS = 3


class Table:
    """What was measured against what is to be reached."""

    def __init__(self):
        self.missed = 0

    def row(self, what, measured, limit, unit, note=""):
        reached = limit is None or measured <= limit
        self.missed += not reached
        bound = "" if limit is None else f"   to reach: {limit:g} {unit}"
        print(f"{'ok  ' if reached else 'MISS'}  {what}: {measured:.4g} {unit}{bound}{'   ' + note if note else ''}", flush=True)


def measure(world, load):
    """Prints the table; how many numbers were missed."""
    table = Table()
    ratios, bare_times, own_times = [], [], []
    for number in range(ROUNDS):
        bare = _bare(world, load)
        own, room = _operator(world, load, table if number == ROUNDS - 1 else None)
        bare_times.append(bare["ready"])
        own_times.append(own["ready"])
        ratios.append(own["ready"] / bare["ready"])
        if number < ROUNDS - 1:
            room.stop()
    table.row(
        f"{USERS} new users until all are Ready with Secrets, against the bare client", statistics.median(ratios), 1.3, "times",
        f"{', '.join(f'{time:.1f}' for time in own_times)} s against {', '.join(f'{time:.1f}' for time in bare_times)} s",
    )
    _restart(table, room)
    _memory_and_latency(table, room, load)
    return table.missed


class _Numbered:
    """A namespace with an operator that is measured."""

    def __init__(self, world):
        self.world = world
        self.room = world.kubernetes()
        world.one_node()
        self.vpn = world.vpn
        self.replica = self.room.operator("replica", components="auth", account="replica")

    def stop(self):
        for operator in (self.vpn, self.replica):
            if operator.process and operator.process.running():
                check(operator.process.stop() == 0, f"{operator.name} did not end in order")


def _load(load, cluster, namespace, count, *flags, start=0):
    authority = os.path.join(cluster.path, "certificates", "apiserver.crt")
    done = subprocess.run(
        [load, "-server", cluster.url, "-ca", authority, "-namespace", namespace, "-users", str(count), "-from", str(start), *flags],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, env={"LOAD_TOKEN": cluster.token},
    )
    check(done.returncode == 0, f"load ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def _bare(world, load):
    cluster = world.shared.cluster()
    room = cluster.namespace(f"bare-{time.time_ns()}")
    return _load(load, cluster, room.name, USERS, "-bare")


def _operator(world, load, table):
    numbered = _Numbered(world)
    room = numbered.room
    until("the controller has begun", lambda: numbered.vpn.call("GET", "/readyz")[0] == 200, 30)
    measured = _load(load, room.cluster, room.name, USERS)
    if table:
        _settle(room)
        writes = room.writes()
        about = {}
        for request in writes:
            about.setdefault(request["objectRef"]["resource"] + ("/status" if "subresource" in request["objectRef"] else ""), 0)
            about[request["objectRef"]["resource"] + ("/status" if "subresource" in request["objectRef"] else "")] += 1
        table.row("writes per new user", len(writes) / USERS, 4, "writes", ", ".join(f"{k} {v}" for k, v in sorted(about.items())))
        # A quiet resync: every watch begins anew.
        before = len(room.writes())
        room.cluster.kill_apiserver()
        room.cluster.start_apiserver()
        time.sleep(15)
        if not numbered.vpn.process.running():
            numbered.vpn.start()
        _settle(room)
        table.row("writes of a quiet resync", len(room.writes()) - before, 0, "writes")
        # A hold changes what is decided about a user, and nothing else.
        before = len(room.writes())
        name = object_name("LD000000")
        room.declare_hold("helpdesk-lost-ld000000", "LD000000", source="helpdesk")
        room.settled("LD000000", "Denied", "Held")
        _settle(room)
        wrote = [
            request for request in room.writes()[before:]
            if request["objectRef"]["resource"] == "vpnusers" and request["objectRef"].get("name") == name
        ]
        table.row("writes to a user of a status-only change", len(wrote), 1, "writes")
        room.api.delete("vpnholds", "helpdesk-lost-ld000000")
        room.settled("LD000000", "Granted")
        _settle(room)
    return measured, numbered


def _settle(room, seconds=3.0):
    """Waits until the operator has written nothing for a while."""
    last, since = len(room.writes()), time.monotonic()
    while time.monotonic() < since + seconds:
        time.sleep(0.3)
        present = len(room.writes())
        if present != last:
            last, since = present, time.monotonic()


def _restart(table, numbered):
    room, vpn = numbered.room, numbered.vpn
    before = len(room.writes())
    check(vpn.process.stop() == 0, "the controller did not end in order")
    began = time.monotonic()
    vpn.start()
    took = time.monotonic() - began
    _settle(room, 6)
    table.row(f"restart with {USERS} users that are all right, until ready", took, 2, "s")
    table.row("writes of that restart", len(room.writes()) - before, 0, "writes")


def _memory_and_latency(table, numbered, load):
    room = numbered.room
    # In steps, as a company would.
    for start in range(USERS, MANY, USERS):
        _load(load, room.cluster, room.name, USERS, "-deadline", "10m", start=start)
    _settle(room)
    numbered.replica.start()
    time.sleep(5)
    table.row(f"memory of the controller with {MANY} users", _memory(numbered.vpn), 120, "MB")
    check(numbered.vpn.process.stop() == 0, "the controller did not end in order")
    numbered.vpn.start()
    _settle(room, 10)
    table.row(f"memory of the controller with {MANY} users, started again", _memory(numbered.vpn), 120, "MB")
    table.row(f"memory of an auth replica with {MANY} users", _memory(numbered.replica), 60, "MB")

    logins = [(f"LD{number:06}", userinfo(room.link(f"LD{number:06}"))) for number in range(2 * DENIALS)]
    _latency(table, numbered, logins[:DENIALS], "quiet")
    end = threading.Event()
    failures = []

    def create():
        start = MANY
        try:
            while not end.is_set():
                _load(load, room.cluster, room.name, USERS, "-prefix", "LE", start=start)
                start += USERS
        except Failed as failure:
            failures.append(failure)

    thread = threading.Thread(target=create, daemon=True)
    thread.start()
    time.sleep(1)
    _latency(table, numbered, logins[DENIALS:], f"while {USERS} users at a time are created")
    end.set()
    thread.join()
    check(not failures, f"{failures}")


def _latency(table, numbered, logins, when):
    room, vpn = numbered.room, numbered.vpn
    cluster = room.cluster
    for kind in ("active: false", "a new hold"):
        after_apply, after_event = [], []
        plural = "vpnusers" if kind.startswith("active") else "vpnholds"
        selector = {"fieldSelector": "spec.active=false"} if plural == "vpnusers" else {}
        half = logins[: len(logins) // 2] if plural == "vpnusers" else logins[len(logins) // 2:]
        seen = {}
        with room.api.watch(plural, **selector) as watch:
            watch.on_event(lambda _, thing: seen.setdefault(thing["spec"]["corporateId"], time.time()))
            for corporate_id, login in half:
                check(vpn.lets_in(login), f"{corporate_id} is not let in to begin with")
                asked = time.time()
                if plural == "vpnusers":
                    path = f"{room.api.path('vpnusers', object_name(corporate_id))}?fieldManager=git"
                    cluster.ensure("PATCH", path, {"spec": {"active": False}}, content_type="application/merge-patch+json")
                else:
                    room.declare_hold(f"helpdesk-lost-{object_name(corporate_id)}", corporate_id, source="helpdesk")
                until(f"auth refuses {corporate_id}", lambda: not vpn.lets_in(login), 30, 0.0005)
                refused = time.time()
                until("the watch has shown it", lambda: corporate_id in seen, 30)
                after_apply.append((refused - asked) * 1e3)
                after_event.append(max(0.0, refused - seen[corporate_id]) * 1e3)
        for measured, limit, since in ((after_event, 100, "the watch event"), (after_apply, 250, "the apply")):
            table.row(
                f"{kind} until auth refuses, p99 after {since}, {when}", _percentile(measured, 99), limit, "ms",
                f"p50 {statistics.median(measured):.1f} ms of {len(measured)}",
            )


def _percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _memory(operator):
    """Resident memory without what is shared with files, in MB."""
    with open(f"/proc/{operator.process.popen.pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    raise Failed(f"the memory of {operator.name} is not known")
