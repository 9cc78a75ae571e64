"""The faults of the catalogue, what each requires, its tests: what ``docs/faults.md`` is made of."""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """A fault. ``tests`` are pytest's names below ``tests/``; ``but`` says in what the product differs from
    the catalogue: such a row never simply passes.

    ``no_socket``: nothing in the fault comes over a socket, so no test of it needs one.
    """

    name: str
    fault: str
    required: str
    tests: tuple[str, ...]
    but: str = ""
    no_socket: bool = False

    @property
    def keyword(self) -> str:
        """Return what ``pytest -k`` finds its tests by: two digits, so that F5 is not found in F50."""
        return f"F{int(self.name[1:]):02}"


WHOLE: Final = "whole/test_faults.py::test_a_fault_is_noticed_and_everything_is_well_again_after_it"
DRILL: Final = (
    "sim/test_drill.py::test_a_bounded_drill_trades_dies_recovers_breaks_nothing_and_comes_near_every_limit"
)
HERE: Final = "test_fault_rows.py"
STOOD_STILL: Final = (
    "whole/test_faults.py::test_f27_f54_an_engine_that_stood_still_buys_nothing_until_it_caught_up"
)

GROUPS: Final[tuple[tuple[str, tuple[Row, ...]], ...]] = (
    (
        "Prices",
        (
            Row(
                "F1", "RTDS is silent: open, answers pings, no data",
                "each topic has a watchdog on the age of its data; entries stop, the feed is connected anew",
                ("feeds/test_socket.py::test_f1_a_connection_that_only_answers_pings_is_given_up",
                 f"{WHOLE}[all topics stall]"),
            ),
            Row(
                "F2", "half-open connection: nobody says that it ended",
                "noticed by silence; dropped without waiting for a close",
                ("feeds/test_socket.py::test_f2_a_half_open_connection_is_dropped_at_once",
                 f"{WHOLE}[half-open socket]"),
            ),
            Row(
                "F3", "storm of reconnects, 429",
                "pauses grow, 429 brings a hard one, attempts are bounded; only data ends the pauses",
                ("feeds/test_socket.py::test_f3_refusals_are_answered_with_the_pause_they_ask_for",
                 "feeds/test_socket.py::test_f3_a_storm_of_refusals_is_bounded_and_recovery_is_quick",
                 "feeds/test_socket.py::"
                 "test_f3_a_storm_of_connections_that_give_data_and_close_is_bounded_too",
                 "feeds/test_patience.py::test_attempts_of_any_minute_are_bounded_whatever_the_venue_does",
                 f"{WHOLE}[429 on connect]"),
                "pauses grow from 0.1 to 2 s, their upper half drawn (PolyBolt's from 1 to 30 s), not from "
                "0.25 to 30 s, all of it drawn; a storm is bounded by 40 attempts a minute",
            ),
            Row(
                "F4", "one topic dies, the others go on", "freshness is of each topic",
                ("feeds/test_socket.py::test_f4_one_dead_topic_forces_a_reconnect_that_names_it",
                 f"{WHOLE}[one topic stalls]"),
            ),
            Row(
                "F5", "missing seconds",
                "returns are by time stamp; a hole widens the doubt or leaves no number",
                ("core/test_fair.py::test_missing_seconds_do_not_change_the_volatility_of_a_random_walk",
                 "core/test_fair.py::test_a_hole_in_the_fixed_part_is_bridged_and_doubted",
                 "core/test_settlement.py::test_too_many_holes_give_no_estimate",
                 f"{WHOLE}[missing seconds]"),
                "no hole makes a window invalid: in the average it is bridged by a straight line from "
                "neighbours up to 120 s outside, and what that may have missed is added to the deviation "
                "(ADR 11)",
            ),
            Row(
                "F6", "a tick twice", "the second one changes nothing",
                ("core/test_reports.py::test_a_repeated_report_is_a_duplicate",
                 "core/test_book.py::test_repeating_every_frame_changes_nothing",
                 f"{HERE}::test_f6_events_of_prices_and_books_told_twice_lead_to_the_same_orders",
                 f"{WHOLE}[duplicate ticks]"),
            ),
            Row(
                "F7", "ticks out of order, or late", "each counts for its own second and for nothing else",
                ("core/test_reports.py::test_shuffled_delivery_gives_the_same_strike",
                 "core/test_reports.py::test_a_report_of_79_seconds_ago_counts_for_its_own_second_alone",
                 f"{WHOLE}[reordered ticks]", f"{WHOLE}[late ticks]"),
            ),
            Row(
                "F8", "our clock is wrong, or jumps",
                "skew is measured, beyond the limit nothing is bought; no jump makes old data fresh, one "
                "back by over a minute halts; a book frame of the future is refused",
                ("core/test_health.py::test_a_wrong_clock_gates",
                 "feeds/test_checks.py::"
                 "test_the_true_skew_is_never_outside_of_what_is_said_and_three_asks_narrow_it_down",
                 "run/test_session.py::test_a_jump_of_the_clock_does_not_draw_an_hour_of_nothing",
                 "venue/test_order_thread.py::test_a_clock_that_is_set_back_does_not_prolong_a_deadline",
                 "core/test_step.py::test_a_clock_that_was_set_back_halts_with_what_to_do",
                 "core/test_book_events.py::test_a_whole_book_of_the_future_is_refused_and_asked_for_again",
                 f"{WHOLE}[stamps of the future]"),
            ),
            Row(
                "F9", "the boundary's report is missing or late",
                "the strike is an estimate, marked, and not traded on",
                ("core/test_step.py::test_a_lost_boundary_report_is_estimated_marked_and_not_traded_on",
                 "core/test_step.py::test_the_first_price_seen_is_never_the_strike",
                 "whole/test_faults.py::"
                 "test_a_missing_boundary_makes_a_marked_estimate_and_then_the_venues_word"),
            ),
            Row(
                "F10", "wrong settlement source; the rule changes",
                "the rule is each market's data; an unknown or changed one is only watched",
                ("wire/test_gamma.py::test_words_that_are_new_or_contradict_each_other_give_no_rule",
                 "core/test_settlement.py::test_a_spot_market_settles_on_spot_and_never_on_an_average",
                 "core/test_truth.py::test_a_changed_rule_is_only_watched_until_a_window_proved_it",
                 f"{WHOLE}[changed rule]"),
            ),
            Row(
                "F11", "another symbol, or a history under another topic's name",
                "routed by topic, symbol and window; spot never enters an average",
                ("wire/test_rtds.py::"
                 "test_the_spot_history_comes_under_the_wrong_topic_and_is_told_by_its_symbol",
                 "wire/test_rtds.py::test_a_history_without_window_never_enters_the_twap",
                 f"{WHOLE}[wrong symbol]"),
            ),
            Row(
                "F12", "NaN, infinite, zero, negative, ten times the price",
                "refused where it comes in; a jump needs three reports that agree",
                ("wire/test_rtds.py::test_a_value_that_is_no_price_is_refused",
                 "core/test_reports.py::test_a_bad_report_is_named_counted_and_without_effect",
                 "core/test_reports.py::test_a_jump_that_three_reports_agree_on_is_believed_and_starts_over",
                 "core/test_decide.py::test_a_nan_anywhere_refuses",
                 "test_fuzz.py::test_whatever_bytes_come_in_give_a_result_or_a_documented_error",
                 f"{WHOLE}[tenfold price]",
                 f"{WHOLE}[price of zero]",
                 f"{WHOLE}[negative price]",
                 f"{WHOLE}[NaN for a price]",
                 f"{WHOLE}[infinite price]"),
                "the limit of a jump is 5 % whatever the time and the volatility, and no second source is "
                "asked; the catalogue: k sigma, or 2 % in 1 s, against one. Refused reports are no sign of "
                "life, so that the stale feed blocks after 5 s and not at once",
            ),
            Row(
                "F13", "two sources disagree", "beyond a band that allows for their lag nothing is bought",
                ("core/test_health.py::test_feeds_that_are_too_far_apart_gate",
                 "core/test_unproven.py::test_a_divergence_that_nobody_can_see_refuses",
                 f"{WHOLE}[sources disagree]"),
            ),
        ),
    ),
    (
        "Finding markets",
        (
            Row(
                "F14", "Gamma fails, is slow, lists late",
                "asked again with growing pauses; a missing window is skipped and the others go on",
                ("feeds/test_discovery.py::test_f14_a_market_that_is_listed_late_is_found_when_it_is",
                 "feeds/test_discovery.py::test_f14_a_gamma_in_trouble_is_asked_less_and_less",
                 "whole/test_faults.py::test_gamma_that_fails_or_is_slow_stops_nothing"),
            ),
            Row(
                "F15", "an answer about another window",
                "start, end and slug have to agree, else it is refused",
                ("wire/test_gamma.py::test_a_market_that_is_not_what_its_slug_says_is_refused",
                 "feeds/test_discovery.py::test_an_answer_about_another_market_is_refused",
                 f"{WHOLE}[another window]"),
            ),
            Row(
                "F16", "Up and Down change places", "tokens are found by label, in any order and case",
                ("wire/test_gamma.py::test_outcomes_are_found_by_label_in_any_order_and_case",
                 "whole/test_faults.py::test_swapped_labels_change_no_side",
                 "core/test_health.py::test_books_that_contradict_each_other_are_not_traded_on"),
                "Gamma's labels alone are asked, not the exchange's `/markets` as well; that the two books "
                "mirror each other is looked at",
            ),
            Row(
                "F17", "market closed, paused, decided early", "closed wins: it is not traded",
                ("core/test_step.py::test_a_market_that_is_not_understood_or_not_open_is_only_watched",
                 "core/test_unproven.py::test_a_window_whose_winner_was_announced_is_not_bought",
                 f"{WHOLE}[closed but accepting]"),
                "an order that the venue rejects does not end its window: after a second it may be tried "
                "again, three orders in all",
            ),
            Row(
                "F18", "frames of the old window after the roll",
                "books belong to tokens and go with their window; a new one begins with a whole book",
                ("core/test_step.py::test_a_finished_window_gives_up_its_tokens_and_is_put_away_once_served",
                 "wire/test_clob_market.py::test_trap_28_a_new_window_starts_with_empty_books",
                 "core/test_step.py::test_a_new_connection_voids_every_book",
                 "whole/test_faults.py::test_f18_frames_of_a_window_that_is_over_make_no_book"),
            ),
        ),
    ),
    (
        "Books",
        (
            Row(
                "F19", "books freeze, pongs go on",
                "a watchdog on the books' data; compared with REST; asked for anew",
                ("feeds/test_sockets.py::"
                 "test_f19_the_listing_of_other_markets_is_no_sign_that_our_books_live",
                 "feeds/test_sockets.py::"
                 "test_f19_books_that_freeze_while_pongs_and_listings_go_on_are_asked_for_anew",
                 "core/test_health.py::test_a_book_that_rest_denies_twice_is_asked_for_again",
                 f"{WHOLE}[books freeze]"),
                "no scheduled reconnect: the watchdog and REST find what it would cure",
            ),
            Row(
                "F20", "crossed or locked book", "no entry; asked for again until it is right",
                ("core/test_book.py::test_the_state_says_what_may_be_traded_on",
                 f"{HERE}::test_f20_nothing_is_bought_of_a_crossed_book_until_it_is_right",
                 f"{HERE}::test_f20_a_crossed_book_is_asked_for_again_until_it_is_right",
                 f"{WHOLE}[crossed book]"),
            ),
            Row(
                "F21", "empty or one-sided book, empty texts, the shell of REST",
                "unknown is not 0 and not 1; nothing is bought on that side",
                ("wire/test_clob_market.py::test_trap_26_an_empty_text_is_unknown_not_a_number",
                 "wire/test_clob_market.py::test_zero_and_one_are_how_an_empty_side_is_written",
                 "core/test_health.py::test_the_empty_shell_that_rest_serves_says_nothing",
                 "whole/test_faults.py::test_a_shell_from_rest_voids_no_book"),
            ),
            Row(
                "F22", "the grid changes in the middle",
                "books are void until the next whole one; orders keep to the new grid, and what was signed "
                "on the old one and is not on the new one is dropped",
                ("core/test_book.py::test_a_new_tick_voids_the_book_until_the_next_snapshot",
                 "wire/test_clob_market.py::test_trap_30_a_new_tick_size_is_an_event",
                 f"{HERE}::test_f22_orders_keep_to_the_new_grid",
                 f"{HERE}::test_f22_a_change_between_decision_and_answer_makes_no_second_order_of_the_old_grid",
                 f"{HERE}::"
                 "test_f22_an_order_of_a_finer_grid_than_the_venues_of_now_leaves_and_does_nothing",
                 "venue/test_order_thread.py::test_f22_an_order_signed_on_an_old_grid_is_dropped",
                 "run/test_order_desk.py::"
                 "test_f22_an_order_of_an_older_grid_is_held_back_by_the_grid_that_the_feed_told",
                 f"{WHOLE}[tick change without a book]"),
            ),
            Row(
                "F23", "changes of tokens that nobody asked for", "counted; no book is made of them",
                ("core/test_step.py::test_unknown_tokens_make_no_book", f"{WHOLE}[unknown asset]"),
            ),
            Row(
                "F24", "a lost frame of a stream without numbers",
                "the next stated touch contradicts the book, which is then void and asked for again",
                ("core/test_book.py::"
                 "test_a_lost_frame_is_seen_by_the_next_statement_or_has_not_moved_the_touch",
                 "core/test_book.py::test_true_statements_are_never_in_doubt", f"{WHOLE}[lost delta]"),
            ),
            Row(
                "F25", "levels unsorted", "the best is looked for, never taken by its place",
                ("wire/test_clob_market.py::test_trap_24_the_best_price_is_not_the_first_entry",
                 "core/test_book.py::test_the_order_of_arrival_does_not_matter",
                 f"{WHOLE}[levels in no order]"),
            ),
            Row(
                "F26", "bad JSON, another shape, 1 MB frames",
                "counted and kept as a sample; too many in a row, or one too large, and the feed begins anew",
                ("wire/test_totality.py::test_arbitrary_bytes_raise_nothing_but_wire_errors",
                 "test_fuzz.py::test_whatever_bytes_come_in_give_a_result_or_a_documented_error",
                 "feeds/test_socket.py::test_f26_a_flood_of_frames_not_understood_begins_again",
                 "feeds/test_socket.py::test_f26_a_frame_beyond_four_megabytes_begins_again",
                 f"{WHOLE}[not JSON]", f"{WHOLE}[truncated JSON]", f"{WHOLE}[64 KB frame]"),
            ),
            Row(
                "F27", "the engine falls behind its feeds",
                "nothing is bought while it is behind, every frame is counted, memory is bounded",
                ("run/test_backlog.py::test_the_gate_closes_before_the_frame_that_waited_is_seen",
                 "core/test_health.py::test_an_engine_that_fell_behind_does_not_trade",
                 f"{HERE}::test_f27_what_comes_while_the_engine_stands_still_waits_outside_of_it",
                 "test_benchmarks.py::test_the_flood_reaches_the_core_frame_by_frame",
                 STOOD_STILL),
                "frames are not merged while they wait: each is recorded (ADR 12)",
            ),
        ),
    ),
    (
        "Orders",
        (
            Row(
                "F28", "ambiguous submit: no answer, outcome unknown",
                "the id is durable before the first byte; the order is unknown, counts as spent, never sent "
                "again, and is asked for until there is evidence",
                ("whole/test_live.py::test_an_answer_that_was_lost_is_found_by_the_order_s_own_id",
                 "whole/test_live.py::test_an_order_that_never_arrived_is_let_go_once_it_is_proven",
                 "core/test_fates.py::"
                 "test_an_unknown_order_blocks_its_market_and_counts_as_spent_and_is_never_sent_again",
                 DRILL),
            ),
            Row(
                "F29", "the same order twice", "one order of a market at a time; nothing below retries",
                ("core/test_step.py::test_one_market_has_one_order_at_a_time",
                 "run/test_session.py::test_an_intent_reaches_the_broker_once",
                 "practice/test_exchange.py::test_an_order_is_taken_once",
                 "whole/test_live.py::test_f29_an_order_that_the_venue_calls_a_duplicate_is_looked_for_and_not_sent_again"),
            ),
            Row(
                "F30", "FOK not filled", "a clean nothing, a pause, no blind retry",
                ("whole/test_live.py::test_an_order_that_cannot_fill_is_a_clean_nothing",
                 "core/test_step.py::test_a_killed_order_pauses_then_may_try_again_but_not_for_ever"),
            ),
            Row(
                "F31", "filled in part", "what filled is booked, with its fee; the rest is not sent again",
                ("core/test_fates.py::test_a_part_that_filled_is_partial_and_under_a_cent_left_is_whole",
                 "venue/test_official.py::"
                 "test_what_the_book_cannot_fill_is_nothing_and_what_it_can_in_part_is_a_part",
                 "whole/test_live.py::test_f31_what_fills_in_part_is_booked_with_its_fee_and_the_rest_is_not_sent_again"),
            ),
            Row(
                "F32", "matched, then FAILED, RETRYING or late",
                "provisional until CONFIRMED; FAILED undoes it whole; the order of the words does not matter",
                ("core/test_trades.py::test_statuses_in_any_order_come_to_the_same",
                 "core/test_trades.py::test_a_trade_that_fails_is_undone_to_the_last_millionth",
                 "core/test_trades.py::test_a_failure_told_three_times_is_undone_once",
                 "whole/test_live.py::test_a_ghost_fill_is_undone_to_the_last_millionth"),
                "an operator's exit may sell shares whose trade is not CONFIRMED yet; what is then missing "
                "is counted as owed",
            ),
            Row(
                "F33", "not enough balance or allowance; an old balance",
                "both are checked before an order, with what is under way reserved",
                ("core/test_account.py::test_live_nothing_is_bought_before_the_balance_is_told",
                 "core/test_account.py::test_what_the_venue_s_contracts_may_take_counts_as_well",
                 "core/test_account.py::test_an_order_under_way_is_reserved_with_its_fee_until_its_answer",
                 "core/test_account.py::test_a_balance_asked_for_before_a_fill_does_not_hold_it_yet",
                 "core/test_fates.py::test_the_breaker_of_order_errors_counts_what_was_refused",
                 "whole/test_live.py::test_f33_what_the_contracts_may_not_take_is_rejected_and_then_not_tried"),
            ),
            Row(
                "F34", "fee unknown",
                "a market with fees and no schedule is refused; what may be higher is reserved whole",
                ("wire/test_gamma.py::test_a_fee_that_is_charged_and_not_understood_refuses_the_market",
                 "core/test_account.py::test_a_fee_that_may_be_higher_than_the_venue_s_is_reserved_whole",
                 f"{WHOLE}[fee not told]",
                 "whole/test_faults.py::test_f34_without_a_description_that_is_understood_nothing_is_bought_in_the_end"),
                "a market that says neither whether it has fees nor which is traded by FEE_BPS, live too "
                "(ADR 2)",
            ),
            Row(
                "F35", "425, post-only, cancel-only, disabled",
                "no order until it is over; shown by name; ends by itself",
                ("whole/test_live.py::test_each_restriction_is_shown_by_name_and_ends",
                 "venue/test_official.py::test_every_restriction_is_told_by_its_name_and_for_how_long"),
            ),
            Row(
                "F36", "429 on orders", "Retry-After is waited for; intents that grew old are dropped",
                ("venue/test_official_answers.py::test_the_venue_says_how_long_to_wait",
                 "venue/test_order_thread.py::test_pauses_grow_where_the_venue_does_not_say_how_long",
                 "whole/test_live.py::test_f36_after_a_429_nothing_is_sent_for_as_long_as_the_venue_says"),
                "no token bucket of our own: orders are limited to a few an hour (MAX_TRADES_PER_HOUR)",
            ),
            Row(
                "F37", "500 \"could not run the execution\"",
                "unknown until it is found; a breaker after too many errors",
                ("venue/test_official_wire.py::test_an_answer_that_proves_nothing_leaves_an_order_unknown",
                 "venue/test_official.py::test_a_refusal_that_is_untrue_is_lost_where_it_proves_nothing",
                 "core/test_fates.py::test_the_breaker_of_order_errors_counts_what_was_refused",
                 "core/test_fates.py::test_the_breaker_of_order_errors_counts_lost_orders_once_whatever_is_found",
                 "whole/test_live_breaker.py::test_f37_three_executions_that_could_not_be_run_trip_the_breaker",
                 "whole/test_live.py::test_f37_an_execution_that_could_not_be_run_is_unknown_until_it_is_found"),
                "the breaker counts errors of the last ten orders (MAX_ORDER_ERRORS, 5), whenever they "
                "were, not three in five minutes",
            ),
            Row(
                "F38", "an order would reach the book late",
                "its deadline is looked at right before the first byte; FOK and FAK only",
                ("venue/test_order_thread.py::"
                 "test_what_is_not_armed_not_in_time_not_recorded_or_not_makeable_is_denied",
                 "venue/test_official_wire.py::test_the_gate_is_asked_once_and_before_the_first_byte",
                 "whole/test_live.py::test_f38_an_order_past_its_deadline_is_never_sent_and_a_late_answer_changes_nothing"),
            ),
            Row(
                "F39", "401: clock or key", "trading stops and says why; nothing is sent on",
                ("whole/test_live.py::test_each_restriction_is_shown_by_name_and_ends",
                 "feeds/test_sockets.py::test_a_refusal_of_the_keys_stops_polybolt_even_without_its_close",
                 "run/test_doctor.py::test_credentials_of_somebody_else_fail"),
                "the clock is measured all the time and keys are not derived anew: a person looks at once",
            ),
            Row(
                "F40", "refused for the region", "never sent again: the kill switch trips",
                ("whole/test_live.py::test_a_refusal_for_the_region_kills",
                 "venue/test_order_thread.py::test_a_refusal_for_our_region_trips_the_kill_switch"),
            ),
            Row(
                "F41", "order heartbeat fails or is out of step",
                "no order is sent until one is taken again; shown with its age and reason; it follows the id "
                "that the venue expects",
                ("venue/test_heartbeat.py::test_a_beat_counts_when_the_venue_took_it",
                 "venue/test_official.py::test_a_heartbeat_follows_the_id_that_the_venue_expects",
                 "whole/test_live.py::test_f41_while_heartbeats_are_refused_no_order_is_sent"),
                "it beats only while an order's fate is unknown: FOK and FAK leave nothing for it to cancel",
            ),
            Row(
                "F42", "the user channel misses updates",
                "what it tells is polled as well, and each trade counts once",
                ("core/test_trades.py::test_the_user_channel_tells_the_same_as_the_poll",
                 "core/test_fates.py::test_an_order_found_again_books_only_the_trades_that_are_new",
                 "whole/test_live.py::test_user_events_told_twice_change_nothing",
                 "whole/test_live.py::"
                 "test_f42_what_happens_while_the_user_channel_is_away_is_booked_all_the_same",
                 DRILL),
            ),
        ),
    ),
    (
        "Process and disk",
        (
            Row(
                "F43", "SIGKILL at any point of an order's life",
                "the next start recovers, looks for what is unknown, and trades no window twice",
                ("run/test_crash_points.py::test_an_engine_that_is_killed_anywhere_goes_on_without_a_loss",
                 "whole/test_killed_sessions.py::test_three_kills_leave_three_sessions_that_are_proved",
                 "whole/test_live_restart.py::"
                 "test_an_order_whose_answer_never_came_is_found_by_the_next_engine",
                 DRILL),
            ),
            Row(
                "F44", "disk full", "no record, no trade; one line says so",
                ("test_journal.py::test_a_disk_that_fills_up_stops_the_recorder_and_says_so",
                 "run/test_backlog.py::test_a_full_disk_stops_trading_and_events_keep_flowing",
                 "whole/test_refusals.py::test_a_full_disk_ends_the_run_with_one_line_and_what_was_recorded"),
                "a full disk under the journal ends the run, and nothing is read any more; only where the "
                "raw frames alone fail do events go on being read (ADR 12)",
            ),
            Row(
                "F45", "torn or rotten journal",
                "read up to the damage, which is named; never as other events; a damaged one of a crashed "
                "session stops the start",
                ("test_journal.py::test_a_log_torn_anywhere_opens_up_to_its_last_whole_commit",
                 "run/test_verify.py::test_rotten_bytes_are_named_as_far_as_they_can_be_read",
                 "test_fuzz.py::test_f45_no_flipped_bit_and_no_cut_of_a_journal_is_read_as_other_events",
                 "test_fuzz.py::test_f45_no_flipped_bit_of_a_journal_makes_recovery_forget",
                 "run/test_recovery.py::test_f45_damage_that_hides_an_order_stops_the_start",
                 "run/test_recovery.py::test_f45_an_end_that_is_cut_off_after_it_was_noted_stops_the_start",
                 "run/test_recovery.py::test_f45_a_row_that_its_page_forgot_is_missed_by_its_index",
                 "run/test_recovery.py::test_f45_no_bit_of_a_log_turns_unseen",
                 "run/test_recovery.py::test_f45_a_page_that_rots_in_the_middle_of_a_log_is_no_end",
                 "run/test_ledger_outcomes.py::"
                 "test_f45_a_damaged_block_stops_the_start_whatever_it_is_said_to_hold",
                 "run/test_crash_points.py::test_a_crashed_session_that_cannot_be_read_stops_the_start"),
                no_socket=True,
            ),
            Row(
                "F46", "a power cut takes what was not synced",
                "intents are synced before the first byte; the venue is the truth afterwards",
                ("test_journal.py::test_after_waiting_everything_is_there_for_another_process",
                 "run/test_ledger_file.py::test_a_fill_that_only_the_journal_knows_is_recovered_once",
                 "sim/test_power.py::test_commits_since_the_last_synced_one_are_gone",
                 "sim/test_power.py::test_a_journal_keeps_what_it_called_durable_and_perhaps_more", DRILL),
                "cuts are played by the drill on journal and ledger, by what SQLite has synced; a disk that "
                "lies about a sync is not",
                no_socket=True,
            ),
            Row(
                "F47", "two engines at once", "the second one refuses to start and names the first",
                ("whole/test_refusals.py::test_a_second_engine_refuses_to_share_a_data_folder",
                 "browser/test_live_page.py::"
                 "test_a_second_console_on_the_same_data_shows_why_it_does_not_trade",
                 "whole/test_refusals.py::"
                 "test_f47_a_second_live_engine_refuses_a_wallet_that_another_one_trades_for",
                 "run/test_wallet_lock.py::"
                 "test_f47_a_second_live_engine_for_one_wallet_is_told_which_one_trades"),
                "locks of the system, for one user of one machine, let go at their holder's death; no lease: "
                "another machine with the wallet is found by the account's comparison",
            ),
            Row(
                "F48", "the daily limit across a restart", "limits are rebuilt before anything may be sent",
                ("run/test_ledger_file.py::test_limits_fire_across_restarts",
                 "core/test_restoring.py::test_breakers_stay_tripped_over_a_restart"),
                no_socket=True,
            ),
            Row(
                "F49", "midnight UTC in the middle of a market",
                "profit belongs to the day of the settlement; a send counts the day it is in",
                ("core/test_ledger.py::test_a_day_is_the_utc_day_of_the_settlement",
                 "core/test_ledger.py::"
                 "test_a_failure_after_midnight_leaves_the_profit_on_the_day_of_the_settlement",
                 "core/test_midnight.py::"
                 "test_a_loss_counts_to_the_last_tenth_of_its_day_and_not_to_the_first_of_the_next",
                 "core/test_midnight.py::test_what_a_window_lost_counts_on_the_day_that_paid_it_out",
                 "core/test_midnight.py::test_the_new_day_begins_with_its_first_millisecond",
                 "core/test_midnight.py::test_no_other_hour_begins_a_day",
                 "core/test_midnight.py::test_a_day_that_began_does_not_end_again"),
                no_socket=True,
            ),
            Row(
                "F50", "clocks are put forward or back for summer",
                "windows follow each other by UTC seconds, on those days too",
                (f"{HERE}::test_f50_windows_follow_each_other_on_the_days_that_clocks_change",),
                no_socket=True,
            ),
            Row(
                "F51", "a leap second, or a second twice",
                "a time with second 60 is refused; of a second told twice the first value stays",
                (f"{HERE}::test_f51_a_second_that_comes_twice_changes_nothing",
                 f"{HERE}::test_f51_a_leap_second_in_words_is_no_time",
                 f"{WHOLE}[duplicate ticks]"),
            ),
            Row(
                "F52", "kill while an order is under way",
                "asked right before the first byte; what is under way is followed to its end; the latch "
                "survives restarts, and only a person clears it",
                ("venue/test_order_thread.py::test_the_kill_switch_is_asked_right_before_the_first_byte",
                 "test_kill.py::test_it_survives_its_process",
                 "test_kill.py::test_only_the_phrase_and_a_reason_release_it",
                 "whole/test_live.py::test_f52_a_kill_follows_what_is_under_way_and_lets_nothing_more_out",
                 DRILL),
            ),
            Row(
                "F53", "kill while the engine hangs",
                "the latch is a file; guard process, signal and command line write it without the engine; "
                "the command line then cancels at the venue by a client of its own",
                ("whole/test_commands.py::test_a_kill_while_the_engine_stands_still_holds_when_it_goes_on",
                 "whole/test_operation.py::test_the_signal_works_although_the_loop_is_stuck",
                 "venue/test_order_thread.py::"
                 "test_a_stuck_engine_loop_keeps_no_cancel_back_and_lets_no_order_out",
                 "browser/test_plumbing.py::test_a_kill_is_latched_and_confirmed_while_something_is_stuck",
                 "whole/test_kill_cancels.py::"
                 "test_f53_the_kill_command_cancels_what_rests_at_the_venue_by_a_client_of_its_own",
                 "whole/test_kill_cancels.py::test_f53_the_venue_s_time_begins_once_the_client_is_loaded",
                 "whole/test_kill_cancels.py::test_f53_a_venue_that_cannot_be_asked_keeps_no_latch_back",
                 "whole/test_kill_cancels.py::"
                 "test_f53_whatever_goes_wrong_with_the_cancel_the_latch_is_told"),
            ),
            Row(
                "F54", "the loop is blocked", "its lateness is measured; beyond the limit nothing is bought",
                ("run/test_backlog.py::test_a_loop_that_is_late_is_told",
                 "venue/test_order_thread.py::"
                 "test_a_stuck_engine_loop_keeps_no_cancel_back_and_lets_no_order_out",
                 STOOD_STILL),
            ),
            Row(
                "F55", "memory or tasks grow over days", "flat memory, handles, threads and tasks",
                ("whole/test_soak.py::test_two_minutes_of_faults_and_tabs_leave_nothing_behind",
                 "test_soak_sums.py::test_what_grows_is_told_from_what_is_flat"),
                "the longest soak is of 20 minutes, 200 of the venue's (`python -m benchmarks soak "
                "--minutes 20`); the catalogue asks for 24 simulated hours and a real one. The two minutes "
                "are `make soak` and `.ci/run`, not `make test`",
            ),
            Row(
                "F56", "a task dies in silence", "the engine halts and says why",
                ("whole/test_secrets.py::test_a_crash_in_a_part_leaves_no_key_behind",
                 f"{HERE}::test_f56_whichever_part_of_the_engine_ends_it_halts_and_names_the_part",
                 "venue/test_order_thread.py::test_a_duty_that_fails_halts_and_goes_on"),
                "it is halted, not started again: an error that nobody foresaw is a person's matter",
            ),
            Row(
                "F57", "settings change in the middle, or are wrong",
                "a change is an event with a version; what is wrong is refused by name and changes nothing",
                ("test_config.py::test_what_is_unsafe_or_wrong_is_refused_by_name",
                 "run/test_params_of.py::test_what_is_refused_changes_nothing",
                 "run/test_params_of.py::test_a_change_is_an_event_a_version_and_a_line_of_the_trail",
                 "test_fuzz.py::test_whatever_bytes_come_in_give_a_result_or_a_documented_error"),
                "a change holds at once, for open windows too: no market keeps its own parameters, and no "
                "hash of them is in each record. The journal has the change and its version",
                no_socket=True,
            ),
        ),
    ),
    (
        "Console",
        (
            Row(
                "F58", "tab closed, many tabs, double clicks",
                "the engine goes on without any; one latch, one act",
                ("browser/test_console_states.py::"
                 "test_a_tab_that_closes_is_forgotten_and_the_server_ends_at_once",
                 "browser/test_plumbing.py::test_two_operators_who_click_at_once_see_one_latch",
                 "test_security_load.py::test_two_hundred_sockets_keep_nobody_from_the_kill_switch"),
                "the engine is a thread of the console's server, not a process of its own (F60)",
            ),
            Row(
                "F59", "old state shown as live",
                "ages are shown; silence greys every page within two seconds",
                ("browser/test_console_states.py::"
                 "test_an_engine_that_goes_silent_greys_the_page_within_seconds",
                 "browser/test_console_states.py::test_a_frozen_server_is_noticed_by_the_browser_alone",
                 "browser/test_plumbing.py::test_a_dead_engine_is_told_on_every_page_and_can_be_killed"),
            ),
            Row(
                "F60", "the console crashes while live",
                "what the crash leaves is recovered; the kill switch works without it",
                ("browser/test_plumbing.py::test_the_guard_ends_with_its_server_even_when_that_is_killed",
                 "run/test_crash_points.py::test_an_engine_that_is_killed_anywhere_goes_on_without_a_loss",
                 "whole/test_refusals.py::test_the_kill_command_latches_without_an_engine"),
                "the engine lives in the server's process and ends with it (docs/console.md): trading does "
                "not go on without a console (ADR 5); `python -m engine run` trades without one",
            ),
            Row(
                "F61", "a live start by accident",
                "paper by default; live needs the setting, the keys, and a permission of minutes that an "
                "operator gives with a phrase",
                ("test_config.py::test_the_live_profile_alone_never_trades",
                 "run/test_arm_command.py::test_the_operator_has_to_mean_it",
                 "whole/test_arming.py::test_with_every_condition_met_the_command_arms"),
                "limits need not be set, they have defaults; arming looks at doctor, region and twenty "
                "windows that agree, not at orders of unknown fate, each of which blocks its own window",
            ),
        ),
    ),
)  # fmt: skip

ROWS: Final = tuple(row for _, group in GROUPS for row in group)

_ROWS_OF: Final = {name: [row for row in ROWS if name in row.tests] for row in ROWS for name in row.tests}


def keywords_of(test: str) -> set[str]:
    """Return the keywords of the rows that a test stands in.

    Args:
        test: Its name below ``tests/``, with its case in brackets where it has one.
    """
    names = (test, test.partition("[")[0])
    return {row.keyword for name in names for row in _ROWS_OF.get(name, [])}
