"""Who gets in."""

import time
from datetime import datetime, timedelta, timezone

from .processes import check, until
from .vpn import userinfo

MEGABYTE = 1024 * 1024


def declared_user_connects_and_moves_ten_megabytes(world):
    world.one_node(obfuscation="between us")
    world.vpn.declare_user("AB100001", owner="Anna Ivanova")
    link = world.vpn.link("AB100001")
    device = world.client(link, "anna").connected()
    begun = time.monotonic()
    device.download()
    took = time.monotonic() - begun
    device.upload(2 * MEGABYTE)

    def counted():
        stats = world.vpn.configuration("AB100001")["traffic_stats"]
        return stats if stats["upload"] >= 2 * MEGABYTE and stats["download"] >= 10 * MEGABYTE else None

    stats = until("the transfer in traffic_stats", counted, 15)
    check(stats["upload"] < 3 * MEGABYTE and stats["download"] < 11 * MEGABYTE, f"counted twice or turned round: {stats}")
    check(world.vpn.user("AB100001")["access"] == "Granted", "the person is not shown as granted")
    return f"10 MiB down in {took:.2f} s; counted {stats['upload']} up, {stats['download']} down"


def wrong_password_held_expired_and_unknown_are_refused(world):
    node = world.one_node()
    vpn = world.vpn
    people = {
        "AB200001": "the right password", "AB200002": "held", "AB200003": "expired", "AB200004": "inactive",
        "AB200005": "not yet valid",
    }
    for corporate_id in people:
        vpn.declare_user(corporate_id)
    links = {corporate_id: vpn.link(corporate_id) for corporate_id in people}
    good = links["AB200001"]
    account, _, password = userinfo(good).partition(":")
    now = datetime.now(timezone.utc)
    vpn.declare_hold("helpdesk-lost-phone-ab200002", "AB200002", reason="lost phone")
    vpn.declare_user("AB200003", validUntil=stamp(now - timedelta(seconds=1)))
    vpn.declare_user("AB200004", active=False)
    vpn.declare_user("AB200005", validFrom=stamp(now + timedelta(hours=1)))
    reasons = {"AB200002": "Held", "AB200003": "Expired", "AB200004": "Inactive", "AB200005": "NotYetValid"}
    for corporate_id, reason in reasons.items():
        until(f"{corporate_id} is {reason}", lambda: vpn.user(corporate_id).get("reason") == reason, 5)
    refused = {
        "wrong-password": good.replace(userinfo(good), f"{account}:{password[:-1]}{'a' if password[-1] != 'a' else 'b'}"),
        "unknown-user": good.replace(userinfo(good), f"corp_zz999999:{password}"),
        "no-password": good.replace(userinfo(good), account),
        "another-persons-password": links["AB200002"].replace(userinfo(links["AB200002"]).partition(":")[2], password),
        **{reason: links[corporate_id] for corporate_id, reason in reasons.items()},
    }
    clients = [world.client(link, label) for label, link in refused.items()]
    for client in clients:
        client.refused()
    check(not node.online(), f"the node shows {node.online()}")
    world.client(good, "good").connected().ping()
    return f"{len(refused)} refused ({', '.join(refused)}); the right one connects"


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
