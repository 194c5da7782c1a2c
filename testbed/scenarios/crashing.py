"""The operator is killed at any moment."""

import os
import random
import threading
import time

from .processes import check
from .vpn import userinfo

PEOPLE = 30
WORKERS = 3
ROUNDS = 8
# Others, so that the orders of this scenario concern few among many: the operator holds back mass denials.
BYSTANDERS = 10_000


def answers_that_were_given_hold_through_kill_9(world):
    seed = int(os.environ.get("TESTBED_SEED") or random.randrange(1 << 32))
    try:
        return _run(world, random.Random(seed)) + f"; TESTBED_SEED={seed}"
    except Exception as failure:
        failure.args = (f"{failure} (TESTBED_SEED={seed})",)
        raise


class _Person:
    """What callers were told about one person."""

    def __init__(self, corporate_id):
        self.id = corporate_id
        self.told = None  # "Granted", "Denied" or None
        self.asked = None  # an order without an answer, of which nobody knows whether it was carried out
        self.link = None
        self.orders = []

    def story(self):
        return "; ".join(self.orders[-5:])

    def allowed(self):
        return {self.told, self.asked} - {None} if self.asked else {self.told}


def _run(world, rng):
    node = world.one_node()
    vpn = world.vpn
    vpn.write_users("bystanders.yaml", [f"ZZ{number:06}" for number in range(BYSTANDERS)])
    vpn.link(f"ZZ{BYSTANDERS - 1:06}")
    people = [_Person(f"CD7{number:05}") for number in range(PEOPLE)]
    seeds = [rng.randrange(1 << 32) for _ in range(WORKERS)]
    for _ in range(ROUNDS):
        end, refused = threading.Event(), []
        workers = [
            threading.Thread(target=_work, args=(vpn, people[number::WORKERS], random.Random(seeds[number]), end, refused))
            for number in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        time.sleep(rng.uniform(0.05, 0.9))
        vpn.kill()
        end.set()
        for worker in workers:
            worker.join()
        check(not refused, f"an order was refused: {refused[:1]}")
        seeds = [rng.randrange(1 << 32) for _ in range(WORKERS)]
        vpn.start()
        _compare(vpn, people)
    answered = sum(person.told is not None for person in people)
    check(answered >= WORKERS, "the scenario proves nothing: hardly any order was answered")
    vpn.kill()
    vpn.start()
    _compare(vpn, people)
    granted = [person for person in people if person.told == "Granted" and not person.asked][:2]
    denied = [person for person in people if person.told == "Denied" and not person.asked and person.link][:2]
    for person in granted:
        world.client(vpn.link(person.id), f"granted-{person.id}").connected().ping()
    for person in denied:
        world.client(person.link, f"denied-{person.id}").refused()
    check(len(node.online()) == len(granted), f"the node shows {node.online()}")
    unknown = sum(person.asked is not None for person in people)
    return f"{ROUNDS + 1} kills, {answered} people with an answer, {unknown} with an order that was never answered"


def _work(vpn, people, rng, end, refused):
    """Gives orders until the operator is gone."""
    while not end.is_set():
        person = rng.choice(people)
        if person.asked:
            # As a caller would: ask again for what was not answered.
            want = person.asked
        else:
            want = "Denied" if person.told == "Granted" else "Granted"
        order = ("POST", "/access/grant", {"corporate_id": person.id})
        if want == "Denied":
            order = ("POST", f"/user/{person.id}/deactivate", {})
        elif person.told == "Denied":
            order = ("POST", f"/user/{person.id}/activate", {})
        person.asked = want
        try:
            status, answer = vpn.call(*order)
        except OSError:
            person.orders.append(f"{order[1]}: no answer")
            return
        person.orders.append(f"{order[1]}: {status} {answer.get('status', '')}".rstrip())
        if status not in (200, 202) or answer.get("status") == "held_back":
            refused.append(f"{order[1]} for {person.id} answered {status}: {answer}")
            return
        person.told, person.asked = want, None
        if want == "Granted" and answer.get("hy2_url"):
            person.link = answer["hy2_url"]
        end.wait(rng.uniform(0, 0.03))


def _compare(vpn, people):
    """What every caller was told is what the operator says and what auth does."""
    for person in people:
        if person.told is None and person.asked is None:
            continue
        status, user = vpn.call("GET", f"/user/{person.id}")
        if status == 404:
            check(person.told is None, f"{person.id} was {person.told} by an answer and is unknown now, after: {person.story()}")
            continue
        check(status == 200, f"GET /user/{person.id} answered {status}: {user}")
        check(user["access"] in person.allowed(), f"{person.id} is {user['access']} ({user.get('reason')}), after: {person.story()}")
        if person.link:
            let_in = vpn.lets_in(userinfo(person.link))
            check(let_in == (user["access"] == "Granted"), f"{person.id} is {user['access']}, and auth says {let_in}, after: {person.story()}")


