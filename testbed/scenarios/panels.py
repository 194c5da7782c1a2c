"""Beside a Blitz panel, which keeps the accounts itself."""

import os
import subprocess
import threading
import time

from .panel import Panel, by_hand
from .processes import check, until
from .vpn import MASTER_KEY, moment, userinfo

GIGABYTE = 1 << 30
MARK = "[vpn-operator]"


def a_panel_has_whom_the_operator_grants_and_a_busy_client_is_cut(world):
    vpn = world.vpn
    panel = Panel(world)
    vpn.environment.update(panel.environment)
    vpn.start()
    grant, answer = vpn.call("POST", "/access/grant", {"corporate_id": "AB500001"})
    check(grant in (200, 202), f"the grant was answered {grant}: {answer}")
    vpn.declare_user("AB500002")
    leaver, other = (world.client(vpn.link(id), id).connected() for id in ("AB500001", "AB500002"))
    leaver.download()
    for device in (leaver, other):
        device.work()
    until("both are busy", lambda: all(len(device.done()) >= 20 for device in (leaver, other)))
    asked = time.time()
    vpn.deactivate("AB500001")
    revocation = vpn.wait_for("AB500001", "sessions_zero_at", 30)
    account = "corp_ab500001"
    gone = time.time()
    while time.time() < gone + 3:
        check(not panel.node.online(account), f"back again: {panel.node.online(account)}")
        time.sleep(0.05)
    contained = moment(revocation["contained_at"])
    check(not leaver.done(since=contained / 1e9), "a request went through after containedAt")
    witness = world.check_nothing_passed_after(contained, account, [leaver])
    check(panel.accounts()[account]["blocked"], "the account is not blocked at the panel")
    user = vpn.user("AB500001")
    check(user["access"] == "Denied" and user["reason"] == "Held", f"shown as {user}")
    check(not other.lost() and other.done(since=gone), f"the other lost {other.lost()[:1]}")
    # What was moved is in the operator's own count.
    stats = vpn.configuration("AB500002")["traffic_stats"]
    check(stats["download"] > 0, f"nothing is counted: {stats}")
    vpn.expect("POST", "/user/AB500001/activate")
    until("let in again", lambda: not panel.accounts()[account]["blocked"], 15)
    world.client(vpn.link("AB500001"), "again").connected().ping()
    return (
        f"contained {(contained - moment(revocation['denied_at'])) / 1e6:.0f} ms after the denial, zero seen "
        f"{(gone - asked) * 1e3:.0f} ms after the order, at a tenth of a panel's times; {witness}"
    )


def behind_the_guard_five_busy_devices_are_gone_within_a_second_whatever_the_panel_does(world):
    vpn = world.vpn
    panel = Panel(world, auth_url=vpn.auth_url, pace=1)
    panel.set_accounts({"guest": by_hand("fifth")})
    vpn.environment.update(panel.environment, **panel.guard)
    vpn.start()
    vpn.declare_user("AB800001")
    devices = world.devices(vpn.link("AB800001"), "denied", 5)
    stranger = world.client(panel.link("guest"), "guest").connected()
    for device in devices + [stranger]:
        device.work()
    until("they are busy", lambda: all(len(device.done()) >= 15 for device in devices + [stranger]))
    account, auth = "corp_ab800001", userinfo(vpn.link("AB800001"))
    check(vpn.lets_in(auth), "the guard refuses whom both let in")
    asked = time.time()
    answer = threading.Thread(target=vpn.deactivate, args=("AB800001",))
    answer.start()
    until("a login is refused", lambda: not vpn.lets_in(auth), 2, every=0.001)
    refused = time.time()
    until("every device is gone", lambda: not panel.node.online(account), 5, every=0.005)
    gone = time.time()
    check(gone - asked <= 1, f"the last device was gone {gone - asked:.2f} s after the order")
    revocation = vpn.wait_for("AB800001", "sessions_zero_at", 30)
    answer.join()
    contained = moment(revocation["contained_at"])
    witness = world.check_nothing_passed_after(contained, account, devices)
    check(not panel.node.online(account), f"back again: {panel.node.online(account)}")
    check(panel.accounts()[account]["blocked"], "the account is not blocked at the panel")
    check(not stranger.lost() and stranger.done(since=gone), f"who is not the operator's lost {stranger.lost()[:1]}")
    return f"refused {(refused - asked) * 1e3:.0f} ms and gone {(gone - asked) * 1e3:.0f} ms after the order, at a panel's own times; {witness}"


def accounts_made_by_hand_are_imported_and_a_panel_that_is_reset_is_filled_again_and_nobody_notices(world):
    vpn = world.vpn
    panel = Panel(world)
    vpn.environment.update(panel.environment)
    odd = "p@ss:w/o?r#d %41 пароль"
    panel.set_accounts({
        "corp_ab700001": by_hand("first", max_download_bytes=50 * GIGABYTE, download_bytes=40 * GIGABYTE, expiration_days=30),
        "anna": by_hand(odd),
        "cd700003": by_hand("third"),
        "corp_ab700004": by_hand("fourth", blocked=True),
        "guest": by_hand("fifth"),
    })
    people = {"corp_ab700001": "AB700001", "anna": "EF700002", "cd700003": "CD700003", "corp_ab700004": "AB700004"}
    busy = ["corp_ab700001", "anna", "guest"]
    devices = [world.client(panel.link(account), account).connected() for account in busy]
    for device in devices:
        device.work()
    until("they are busy", lambda: all(len(device.done()) >= 10 for device in devices))
    before = panel.accounts()
    _import(world, panel)
    check(not panel.writes(), f"the import changed the panel: {panel.writes()}")
    vpn.start()
    verdicts = {account: "Active" for account in people} | {"corp_ab700004": "Held"}
    for account, reason in verdicts.items():
        until(f"{account} is {reason}", lambda: vpn.user(people[account]).get("reason") == reason, 10)
    until("the account nobody uses has the mark", lambda: MARK in panel.accounts()["cd700003"]["note"], 10)
    until("the blocked one is proved out", lambda: vpn.revocation("AB700004").get("sessions_zero_at"), 10)
    check(panel.writes() == [("PATCH", "cd700003", ["note"])], f"the panel was changed: {panel.writes()}")
    used = vpn.user("AB700001")["usage"]["used"]
    check(40 * GIGABYTE <= used < 41 * GIGABYTE, f"what was moved before counts as {used}")
    check(userinfo(vpn.link("EF700002")) == userinfo(panel.link("anna")), "somebody who is connected has another link than before")
    # Everybody is away but the guest, whom nobody imported.
    panel.set_accounts({"guest": before["guest"]})
    managed = {account: before[account]["password"] for account in people if account != "corp_ab700004"}

    def filled():
        accounts = panel.accounts()
        return all(accounts.get(account, {}).get("password") == password for account, password in managed.items())

    until("the panel is filled again", filled, 20)
    later = time.time()
    for device in devices:
        until(f"{device.label} goes on", lambda: len(device.done(since=later)) >= 5)
        check(not device.lost(), f"{device.label} lost {len(device.lost())} requests, the first by {device.lost()[:1]}")
        check(device.process.output().count("connected to server") == 1, f"{device.label} had to connect again")
    check("corp_ab700004" not in panel.node.online(), "who was blocked is in")
    # What a person was given before still works.
    world.client(panel.link("anna"), "anna-again").connected().ping()
    requests = sum(len(device.done()) for device in devices)
    return f"3 busy clients, {requests} requests, none lost"


def _import(world, panel):
    with open(os.path.join(world.path, "accounts.csv"), "w") as matches:
        matches.write("account,corporate_id\nanna,EF700002\nguest,\n")
    done = subprocess.run(
        [
            world.tools.operator, "import", "blitz", "--to", f"folder:{world.vpn.folder}", "--data", world.vpn.data,
            "--match", os.path.join(world.path, "accounts.csv"),
        ],
        env={"MASTER_KEY": MASTER_KEY, **panel.environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )
    check(done.returncode == 0, f"import blitz ended with {done.returncode}: {done.stdout}{done.stderr}")
