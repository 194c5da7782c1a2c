"""Runs the scenarios and says what passed. Started by ../run."""

import argparse
import os
import signal
import sys
import time
import traceback

from . import (
    chatting,
    composing,
    connecting,
    crashing,
    describing,
    kubernetes_chart,
    kubernetes_faults,
    kubernetes_holds,
    kubernetes_lease,
    kubernetes_references,
    kubernetes_replicas,
    kubernetes_schema,
    kubernetes_users,
    limits,
    nodes,
    numbers,
    pages,
    panels,
    profiles,
    recovery,
    revoking,
)
from .processes import Failed
from .shared import Shared, programs
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
    recovery.a_lost_data_folder_is_put_back_by_the_documents_commands,
    revoking.rotation_cuts_the_old_sessions_and_the_new_link_works,
    limits.an_edit_of_the_folder_takes_effect_within_a_second,
    limits.the_traffic_limit_is_enforced_within_one_poll,
    panels.a_panel_has_whom_the_operator_grants_and_a_busy_client_is_cut,
    panels.behind_the_guard_five_busy_devices_are_gone_within_a_second_whatever_the_panel_does,
    panels.accounts_made_by_hand_are_imported_and_a_panel_that_is_reset_is_filled_again_and_nobody_notices,
    profiles.sing_box_checks_the_profile_and_connects_hopping_obfuscated_and_pinned,
    profiles.the_official_client_reads_its_own_form,
    chatting.codes_come_by_a_real_mail_server_in_both_languages_and_link,
    chatting.a_mail_server_with_the_certificate_of_a_stranger_gets_no_code_and_doctor_says_so,
    chatting.the_official_client_connects_with_the_picture_that_the_bot_sends,
    pages.the_page_in_a_real_browser,
    composing.the_steps_of_the_compose_file_end_in_a_login,
    describing.the_api_is_as_openapi_json_describes_it,
    kubernetes_schema.the_api_server_refuses_what_cannot_be_meant,
    kubernetes_chart.the_chart_lints_renders_and_validates,
    kubernetes_chart.the_chart_installs_upgrades_rolls_back_and_uninstalls,
    kubernetes_users.a_first_user_with_nothing_but_kubectl,
    kubernetes_users.kubectl_wait_and_kstatus_are_right_at_every_moment,
    kubernetes_users.profiles_stand_in_the_secret_where_they_are_wanted,
    kubernetes_users.a_secret_that_is_deleted_or_edited_comes_back_the_same,
    kubernetes_users.a_secret_that_is_somebody_elses_is_left_alone,
    kubernetes_holds.a_hold_beats_apply_replace_delete_and_create,
    kubernetes_holds.git_and_the_api_do_not_fight,
    kubernetes_references.what_does_not_resolve_is_stalled_and_heals_by_itself,
    kubernetes_references.pause_reconcile_now_and_events,
    kubernetes_faults.deleting_a_namespace_goes_in_one_go,
    kubernetes_replicas.auth_replicas_are_right_without_the_controller,
    kubernetes_replicas.every_listener_agrees_about_a_mass_deletion,
    kubernetes_faults.a_controller_killed_at_any_moment_converges,
    kubernetes_faults.the_api_server_goes_and_comes_back_under_load,
    kubernetes_faults.a_watch_that_is_too_old_misses_nothing,
    kubernetes_faults.what_changes_while_a_watch_is_begun_again_is_seen_to,
    kubernetes_lease.of_two_controllers_only_the_holder_of_the_lease_acts,
    kubernetes_lease.a_frozen_holder_that_wakes_does_nothing_and_ends,
    kubernetes_lease.a_clock_that_jumps_by_an_hour,
]


def main():
    parser = argparse.ArgumentParser(prog="testbed/run", description="Scenarios with the official Hysteria client.")
    parser.add_argument("words", nargs="*", help="run only scenarios whose name holds one of these words")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--keep", action="store_true", help="keep the folder of each scenario")
    parser.add_argument("--numbers", action="store_true", help="measure what the operator costs in Kubernetes mode instead")
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
    shared = Shared()
    if options.numbers:
        return _numbers(tools, shared, options.keep)
    outcomes = []
    try:
        for scenario in chosen:
            outcomes.append(_run(scenario, tools, shared, options.keep))
    finally:
        shared.close(keep=options.keep or not all(outcomes))
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed", flush=True)
    return 0 if outcomes and all(outcomes) else 1


def _numbers(tools, shared, keep):
    world = World(tools, "numbers", shared)
    try:
        missed = numbers.measure(world, programs("load") + "/load")
        print(f"{missed} missed" if missed else "all reached", flush=True)
        return 1 if missed else 0
    finally:
        world.close(keep=keep)
        shared.close(keep=keep)


def _run(scenario, tools, shared, keep):
    name = scenario.__name__.replace("_", " ")
    begun = time.monotonic()
    world = World(tools, scenario.__name__[:24], shared)
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
