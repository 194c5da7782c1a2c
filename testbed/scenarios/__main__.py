"""Runs the scenarios and says what passed. Started by ../run."""

import argparse
import os
import signal
import sys
import time
import traceback

from . import connecting, crashing, limits, nodes, revoking
from .processes import Failed
from .world import Tools, World

SCENARIOS = [
    connecting.declared_user_connects_and_moves_ten_megabytes,
    connecting.wrong_password_held_expired_and_unknown_are_refused,
    revoking.five_busy_devices_are_cut_and_stay_gone,
    revoking.five_silent_devices_woken_after_the_denial_get_nothing_through,
    nodes.a_node_without_statistics_keeps_the_revocation_open,
    nodes.a_frozen_node_delays_no_other,
    nodes.a_node_that_is_stopped_and_started_again,
    revoking.denied_between_the_auth_answer_and_the_registration,
    crashing.answers_that_were_given_hold_through_kill_9,
    revoking.rotation_cuts_the_old_sessions_and_the_new_link_works,
    limits.an_edit_of_the_folder_takes_effect_within_a_second,
    limits.the_traffic_limit_is_enforced_within_one_poll,
]


def main():
    parser = argparse.ArgumentParser(prog="testbed/run", description="Scenarios with the official Hysteria client.")
    parser.add_argument("words", nargs="*", help="run only scenarios whose name holds one of these words")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--keep", action="store_true", help="keep the folder of each scenario")
    options = parser.parse_args()
    chosen = [s for s in SCENARIOS if not options.words or any(word in s.__name__ for word in options.words)]
    if options.list:
        print("\n".join(scenario.__name__ for scenario in chosen))
        return 0
    # The clean-up of a scenario also runs when the run is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tools = Tools(
        operator=os.environ["VPN_OPERATOR_BIN"], node=os.environ["TESTBED_NODE_BIN"], python=os.environ["TESTBED_PYTHON"]
    )
    outcomes = [_run(scenario, tools, options.keep) for scenario in chosen]
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
    return 0 if outcomes and all(outcomes) else 1


def _run(scenario, tools, keep):
    name = scenario.__name__.replace("_", " ")
    begun = time.monotonic()
    world = World(tools, scenario.__name__[:24])
    failed = True
    try:
        detail = scenario(world)
        world.check_operator_drains()
        failed = False
        print(f"ok    {name} ({time.monotonic() - begun:.1f} s): {detail}", flush=True)
    except Exception as failure:
        print(f"FAIL  {name} ({time.monotonic() - begun:.1f} s): {failure}", flush=True)
        if not isinstance(failure, Failed):
            traceback.print_exc()
        print(f"      logs: {world.path}; the operator's last lines:\n{world.tail()}", flush=True)
    finally:
        world.close(keep=keep or failed)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
