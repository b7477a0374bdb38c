"""All bugs, each with the invariant by which it is found."""

from __future__ import annotations

from simulated.bugs import Sabotage, beliefs, creation, keeping, telling
from whatsapp_operator.health import rules
from whatsapp_operator.recovery import gates

BUGS: dict[str, tuple[Sabotage, str]] = {
    # What a step has to wait for
    "no budget": (keeping.without_hold("budget_holds"), "keeps_to_the_budget"),
    "no limit at once": (keeping.without_hold("others_are_under_way"), "keeps_to_the_number_at_once"),
    "no storm": (keeping.without_hold("storm_holds"), "meets_no_storm"),
    "no voucher": (beliefs.without_gate(gates.may_be_an_outage), "loses_a_session_only_when_vouched_for"),
    "first voucher is enough": (beliefs.the_first_voucher_is_enough, "gives_what_was_cut_off_time_to_come_back"),
    "gap between vouchers": (beliefs.a_gap_proves_nothing_amiss, "gives_what_was_cut_off_time_to_come_back"),
    "voucher of another proxy": (beliefs.any_proxy_leads_the_same_way, "loses_a_session_only_when_vouched_for"),
    "no sessionLoss Never": (beliefs.without_gate(gates.may_never_be_lost), "loses_a_session_only_as_allowed"),
    "no approval": (beliefs.without_gate(gates.waits_for_approval), "loses_a_session_only_as_allowed"),
    "no delay": (beliefs.without_gate(gates.incident_is_young), "loses_a_session_only_late_in_an_incident"),
    "no dry run": (beliefs.without_gate(gates.only_plans), "is_wanted"),
    "no stable close": (
        beliefs.without_gate(gates.close_is_not_known_to_be_stable),
        "reconnects_only_what_stays_closed",
    ),
    "approval used twice": (keeping.approval_is_not_used_up, "uses_each_approval_once"),
    "budget refilled by a restart": (keeping.budget_begins_anew, "keeps_to_the_budget"),
    "cool-down lost": (keeping.nothing_cools_down, "waits_after_a_recreate"),
    "attempts reset by a moment of health": (
        keeping.a_moment_of_health_is_enough,
        "incident_ends_only_after_lasting_health",
    ),
    "two steps at once": (keeping.a_second_step_is_taken, "is_the_only_one_of_its_instance"),
    "pause forgotten by a restart": (keeping.pause_is_for_those_who_saw_it_begin, "nothing_changes_during_a_pause"),
    "pause of a server not heard": (keeping.pause_of_a_server_is_not_heard, "nothing_changes_during_a_pause"),
    "restart of a server costs pairings": (
        keeping.sessions_that_are_stored_nowhere_do_not_count,
        "costs_nobody_a_pairing",
    ),
    "restart of a server amid steps": (keeping.a_restart_of_the_server_waits_for_nobody, "waits_for_every_step"),
    "restart of a server before its incident is written": (
        keeping.a_restart_of_the_server_counts_for_nothing_that_is_written,
        "is_counted_by_an_incident",
    ),
    "no budget for restarts of a server": (keeping.without_hold("budget_holds"), "keeps_to_the_budget_of_restarts"),
    "server that does not answer restarted": (
        beliefs.an_outage_is_no_reason_to_wait,
        "rests_on_a_server_that_is_read",
    ),
    "refused account recreated": (
        beliefs.without_gate(gates.whatsapp_restricts_the_account),
        "is_not_for_a_refused_account",
    ),
    "nothing is protected": (beliefs.nothing_is_protected, "protected_ends_only_under_the_gates_of_its_class"),
    "storm has no end": (keeping.no_calm_is_counted, "storm_clears"),
    "nothing is ever a storm": (beliefs.nothing_is_ever_a_storm, "meets_no_storm"),
    "who waits for a scan makes a storm": (beliefs.who_waits_for_a_scan_is_bad, "storm_has_a_cause"),
    # What is believed
    "error read as absence": (beliefs.an_error_is_absence, "rests_on_fresh_evidence"),
    "refused key read as logged out": (beliefs.a_refused_key_is_a_logout, "rests_on_fresh_evidence"),
    "unknown shown as Ready": (beliefs.without_rule(rules.nothing_could_be_read), "ready_is_fresh"),
    "refused account asked again": (
        beliefs.without_rule(rules.is_restricted_by_whatsapp, rules.closed_for_no_known_reason),
        "whatsapp_is_not_asked_for_a_refused_account",
    ),
    "old evidence counts": (beliefs.old_evidence_counts, "rests_on_what_lasted_since"),
    "warm-up skipped": (beliefs.a_server_is_warm_at_once, "waits_for_the_server_to_load"),
    "restart reply believed": (beliefs.the_reply_is_the_proof, "success_is_true"),
    "relogin reply believed": (beliefs.the_reply_to_a_relogin_is_the_proof, "success_is_true"),
    "rollout believed": (beliefs.a_rollout_that_was_asked_for_is_over, "restart_that_succeeded_was_one"),
    "restart posted again": (beliefs.a_restart_is_posted_again, "restart_once_in_a_step"),
    "clock that went back not noticed": (
        beliefs.time_goes_on_where_the_clock_went_back,
        "stuck_instance_is_restarted_within_a_bound",
    ),
    "acts before it writes": (beliefs.acts_before_it_writes, "restart_only_in_a_step"),
    "one observation is enough": (beliefs.one_observation_is_enough, "rests_on_two_observations"),
    "missing session taken for stuck": (
        beliefs.what_the_witnesses_differ_on_is_stuck,
        "spares_what_works_only_until_a_restart",
    ),
    "database believed": (telling.the_database_is_believed, "ready_tells_the_truth"),
    "code read in any state": (beliefs.a_code_is_read_in_any_state, "connect_starts_a_socket_only_in_a_step"),
    "restart begins with a logout": (
        beliefs.a_restart_begins_with_a_logout,
        "end_only_in_a_step_or_a_deletion",
    ),
    # What is created and deleted
    "finalizer goes early": (creation.finalizer_goes_early, "finalizer_stays_until_the_instance_is_gone"),
    "namespace taken for going": (keeping.every_namespace_is_going, "finalizer_stays_until_the_instance_is_gone"),
    "server that goes takes new instances": (
        keeping.server_that_goes_takes_new_instances,
        "server_stays_while_instances_need_its_key",
    ),
    "creates again": (creation.creates_again_at_once, "create_only_what_does_not_exist"),
    "token stored later": (creation.the_token_is_stored_later, "create_with_a_token_that_is_kept"),
    "what is gone is new": (
        creation.what_is_gone_is_created_as_if_it_were_new,
        "create_again_only_after_a_step_was_announced",
    ),
    "recreate does not wait": (beliefs.a_recreate_does_not_wait, "create_only_what_does_not_exist"),
    "deletion of another process not known": (
        creation.deletions_of_other_processes_are_not_known,
        "what_was_deleted_is_not_missed",
    ),
    "recreate not known to delete": (creation.a_recreate_is_not_known_to_delete, "what_was_deleted_is_not_missed"),
    "deletes before it writes": (
        creation.deletes_before_it_writes,
        "deletion_is_written_down_before_delete_is_sent",
    ),
    "what is to go created again": (creation.what_is_to_go_is_created_again, "create_only_what_does_not_exist"),
    "retain is forgotten": (creation.retain_is_forgotten, "retained_is_left_alone"),
    "adopted deleted by default": (keeping.adopted_is_deleted_by_default, "retained_is_left_alone"),
    "latest resource acts": (beliefs.the_latest_acts, "is_taken_by_the_oldest"),
    "takes what is another's": (creation.takes_what_is_anothers, "only_instances_with_a_resource_change"),
    # What is kept
    "token of the one before": (
        keeping.takes_the_token_of_the_resource_before,
        "only_instances_with_a_resource_change",
    ),
    "token written over": (keeping.token_is_written_over, "secret_of_others_is_left_alone"),
    "token goes with what is retained": (keeping.token_goes_with_the_resource, "retained_keeps_its_token"),
    "token told": (keeping.token_is_told, "no_secret_is_told"),
    "token audited": (keeping.token_is_audited, "no_secret_is_told"),
    "keepsake not kept": (keeping.keepsake_is_not_kept, "configuration_is_as_it_was_asked_for"),
    "webhook stays off": (keeping.webhook_stays_off, "configuration_is_as_it_was_asked_for"),
    "settings set at each look": (
        keeping.settings_are_set_at_each_look,
        "everything_is_ready_or_says_why",
    ),
    "status written at each look": (
        telling.status_is_written_at_each_look,
        "status_is_written_only_when_it_changes",
    ),
    "generations counted": (telling.generations_are_counted, "generation_is_observed"),
    "defaults written into the spec": (telling.defaults_are_written_into_the_spec, "spec_is_the_users"),
    "status tells the time": (keeping.status_tells_the_time, "nothing_is_written_at_rest"),
    # Two processes, and what gets lost between
    "no fence": (keeping.lapse_goes_unnoticed, "only_the_holder_of_the_claim_changes"),
    "restarts a server that it lost": (keeping.no_claim_is_required, "only_the_holder_of_the_claim_writes"),
    "conflict swallowed": (keeping.conflict_is_swallowed, "restart_only_in_a_step"),
    "retry lost": (keeping.retries_are_lost, "everything_is_ready_or_says_why"),
    "retry without a pause": (keeping.retries_come_at_once, "what_fails_is_not_repeated_at_once"),
    "retry after an hour": (keeping.what_was_tried_once_waits, "stuck_instance_is_restarted_within_a_bound"),
    "holder that never reads": (keeping.the_first_read_is_waited_for_without_an_end, "ready_is_fresh"),
    "look that fails": (telling.a_reason_has_no_sentence, "NoLookFails"),
    "sweep that ends": (telling.a_sweep_that_fails_is_the_last, "NoTaskFails"),
    "event told twice": (telling.what_is_gone_goes_again, "NothingFails"),
    "nobody lists again": (keeping.nobody_lists_again, "deletion_ends_or_says_what_blocks_it"),
    "key read once": (keeping.key_is_read_once, "everything_is_ready_or_says_why"),
    "wall clock believed": (keeping.a_wall_clock_is_believed, "ready_is_fresh"),
}
