"""Why a market is or is not traded, as rows that people read: one for each gate, in asking order.

Called for display, journal and proofs, never on the way to an order. It decides nothing: whether a gate holds
is read from the decision's own bits, or computed by the decision's own functions where an early exit left it
out.
"""

from collections.abc import Callable
from typing import Final

from engine.core import decide as gate
from engine.core import health, risk
from engine.core.decide import Numbers, believed_up, expected_value, side_gates
from engine.core.fees import fee_at
from engine.core.ledger import DAY_MS, HOUR_MS
from engine.core.state import Market, State
from engine.params import Params
from engine.snapshot import GateView
from engine.units import ONE_E6


def gate_rows(state: State, market: Market) -> list[GateView]:
    """Build a market's gate rows as of its last view; empty before the first.

    The rows of distance, price cap, depth and EV speak of the side with the higher EV, and are missing while
    what they are made of is unknown.
    """
    if market.view is None:
        return []
    numbers = market.view.numbers
    rows = [row(state, market) for row in _STATE_ROWS.values()]
    rows.insert(list(gate.GATE_NAMES).index(gate.HAMMER), _hammer(numbers, state.params))
    if numbers.blocks & (gate.RULE | gate.STRIKE | gate.PRICE | gate.FALLBACK | gate.VOLATILITY):
        return rows
    return [*rows, *_worth_rows(numbers, state.params)]


def _row(market: Market, bit: int, value: str, requirement: str, change: str) -> GateView:
    assert market.view is not None
    passed = not market.view.numbers.blocks & bit
    return GateView(gate.GATE_NAMES[bit], value, requirement, passed, "" if passed else change)


def _killed(state: State, market: Market) -> GateView:
    value = f"latched by {state.kill_who}" if state.killed else "clear"
    return _row(market, gate.KILLED, value, "clear", "clear it, with a reason")


def _halted(state: State, market: Market) -> GateView:
    change = "find the cause, then start the engine again"
    return _row(market, gate.HALTED, state.halted_why or "none", "none", change)


def _paused(state: State, market: Market) -> GateView:
    told = state.trading.paused
    value = "runs" if told is None else f"paused by {told.who}: {told.why}"
    return _row(market, gate.PAUSED, value, "runs", "an operator has to resume")


def _armed(state: State, market: Market) -> GateView:
    told = state.trading.armed
    if state.dry_run:
        value = "paper: needs none"
    elif told is None:
        value = "not armed"
    else:
        value = f"armed by {told.who}" if told.armed else f"not armed: {told.why}"
    return _row(market, gate.ARMED, value, "armed, or paper", "an operator has to arm it, with a reason")


def _venue(state: State, market: Market) -> GateView:
    told = risk.restriction_of(state)
    value = "takes orders" if told is None else f"{told.restriction}: {told.why}"
    change = "an operator has to look into it"
    if told is not None and told.until_ms is not None:
        change = f"wait {max(0.0, (told.until_ms - state.now_ms) / 1000):.0f} s"
    return _row(market, gate.VENUE, value, "takes orders", change)


def _balance(state: State, market: Market) -> GateView:
    have, need = risk.available_e6(state), risk.one_order_e6(state) / ONE_E6
    value = "not told, or too long ago" if have is None else f"${have / ONE_E6:.2f} free"
    return _row(market, gate.BALANCE, value, f">= ${need:.2f}", "money, or its allowance, has to be there")


def _breaker(state: State, market: Market) -> GateView:
    value = "; ".join(f"{name}: {why}" for name, why in state.breakers.items()) or "none tripped"
    return _row(market, gate.BREAKER, value, "none tripped", "an operator has to clear it, with a reason")


def _exposure(state: State, market: Market) -> GateView:
    value, limit = risk.at_stake_e6(state) / ONE_E6, state.limits.max_exposure_usd
    change = "open windows have to settle"
    return _row(market, gate.EXPOSURE, f"${value:.2f} with this order", f"<= ${limit:g}", change)


def _correlated(state: State, market: Market) -> GateView:
    value = risk.at_stake_e6(state, market.contract.end_s) / ONE_E6
    limit, change = state.limits.max_correlated_usd, "the other window that ends then has its order"
    return _row(market, gate.CORRELATED, f"${value:.2f} ends together", f"<= ${limit:g}", change)


def _behind(state: State, market: Market) -> GateView:
    change = "the engine has to catch up"
    return _row(market, gate.BEHIND, state.behind_why or "keeps up", "keeps up", change)


def _clock(state: State, market: Market) -> GateView:
    measured, least = state.clock, state.least_lag_ms
    value = "not measured" if measured is None else f"{measured.skew_ms:+z.0f} ms off the venue's"
    if least is not None and least < 0:
        value = f"{value}, a stamp {-least} ms ahead of us"
    change = "set this machine's clock"
    return _row(market, gate.CLOCK, value, f"within {state.params.max_clock_skew_ms:g} ms", change)


def _rule(state: State, market: Market) -> GateView:
    del state
    rule = market.contract.rule
    value = "not understood" if rule is None else str(rule)
    before = market.rule_before
    if before is not None and before.rule != rule:
        value = f"{value}, before {before.rule}"
    elif before is not None:
        value = f"{value}, with another fee or version than before"
    change = "a window under this rule has to settle as we say" if rule else "the venue has to say a rule"
    return _row(market, gate.RULE, value, "known, unchanged", change)


def _strike(state: State, market: Market) -> GateView:
    del state
    strike = market.strike
    value = "unknown" if strike is None else f"{strike.source} {strike.value:.2f}, {strike.rung}"
    if strike is not None and not strike.is_proven:
        value = f"{value}, ±${strike.error_usd:.2f}"
    return _row(market, gate.STRIKE, value, "reported", "the report of the first second, or the venue's word")


def _price(state: State, market: Market) -> GateView:
    track = state.track("chainlink")
    value = "never"
    if track.arrived_ms is not None and track.newest_s is not None:
        heard, of = (state.now_ms - track.arrived_ms) / 1000, state.now_ms / 1000 - track.newest_s
        value = f"heard {heard:.1f} s ago, of {of:.1f} s ago"
    return _row(
        market, gate.PRICE, value, f"<= {state.params.price_stale_s:g} s", "chainlink has to report again"
    )


def _fallback(state: State, market: Market) -> GateView:
    since = state.fallback_since_ms
    value = "off" if since is None else f"living on spot for {(state.now_ms - since) / 1000:.0f} s"
    change = "the settlement feed has to return"
    return _row(market, gate.FALLBACK, value, "off, or orders allowed in it", change)


def _frozen(state: State, market: Market) -> GateView:
    frozen = [
        source for (source, _), topic in state.topics.items() if topic.is_frozen and source in risk.SETTLING
    ]
    value = f"{', '.join(frozen)} frozen" if frozen else "moves"
    return _row(market, gate.FROZEN, value, "moves", "the settlement feed has to move")


def _divergence(state: State, market: Market) -> GateView:
    found, limit = health.divergence(state), state.params.max_divergence_bp
    value = "no spot to compare" if found is None else f"spot {found.bp:+z.1f} bp"
    return _row(market, gate.DIVERGENCE, value, f"within {limit:g} bp", "both feeds have to agree again")


def _volatility(state: State, market: Market) -> GateView:
    value = "unknown" if state.sigma_usd is None else f"${state.sigma_usd:.2f} a root second"
    return _row(market, gate.VOLATILITY, value, "known", "20 seconds of prices")


def _book(state: State, market: Market) -> GateView:
    arrived = market.book_arrived_ms
    age = "never" if arrived is None else f"{(state.now_ms - arrived) / 1000:.1f} s old"
    value = f"Up {market.up.state}, Down {market.down.state}, {age}"
    return _row(
        market, gate.BOOK, value, f"<= {state.params.book_stale_s:g} s", "a live book of either token"
    )


def _accepting(state: State, market: Market) -> GateView:
    del state
    value = "accepts orders" if market.contract.accepting else "does not accept orders"
    return _row(market, gate.ACCEPTING, value, "accepts orders", "the venue has to open it")


def _fee(state: State, market: Market) -> GateView:
    fee = market.contract.fee
    terms = "FEE_BPS, none published" if fee is None else f"rate {fee.rate}, exponent {fee.exponent}"
    age = (state.now_ms - market.described_ms) / 1000
    once_s = state.params.fee_ttl_s
    need = f"<= {once_s * risk.FEE_TTLS:g} s ({risk.FEE_TTLS} x {once_s:g} s)"
    return _row(market, gate.FEE, f"{terms}, {age:.0f} s old", need, "Gamma has to answer")


def _watch(state: State, market: Market) -> GateView:
    now, need = state.watch_return, state.params.watch_return_threshold
    value = "return unknown" if now is None else f"{now:+z.3%} now"
    if market.watched_at_ms is not None:
        value = f"fired {(state.now_ms - market.watched_at_ms) / 1000:.0f} s ago, {value}"
    change = f"BTC has to move {need:.2%} within {state.params.watch_window_s:g} s"
    return _row(market, gate.WATCH, value, f"±{need:.2%} in the window", change)


def _one_order(state: State, market: Market) -> GateView:
    filled = sum(order.state in risk.ENDS_A_MARKET for order in market.orders)
    unknown = sum(order.state == "unknown" for order in market.orders)
    value = f"{market.attempts} sent, {filled} filled" + (f", {unknown} of unknown fate" if unknown else "")
    if market.contract.slug in state.trading.traded_before:
        value = f"{value}, one of an earlier session"
    wait = (market.retry_at_ms - state.now_ms) / 1000
    change = f"wait {wait:.1f} s" if wait > 0 else "the next window"
    return _row(market, gate.ONE_ORDER, value, f"none filled, < {risk.MAX_ATTEMPTS} sent", change)


def _hourly(state: State, market: Market) -> GateView:
    count, limit = state.ledger.trades_since(state.now_ms - HOUR_MS), state.limits.max_trades_per_hour
    under_way = risk.in_flight(state)
    value = f"{count} in the last hour" + (f", {under_way} under way" if under_way else "")
    return _row(market, gate.HOURLY, value, f"< {limit:g}", "wait for the hour to pass")


def _daily_loss(state: State, market: Market) -> GateView:
    today = state.ledger.realised_on(state.now_ms // DAY_MS) / ONE_E6
    value = f"today {today:+z.2f}, at stake {risk.at_stake_e6(state) / ONE_E6:.2f} dollars"
    return _row(
        market, gate.DAILY_LOSS, value, f"<= ${state.limits.max_daily_loss_usd:g}", "the next UTC day"
    )


_STATE_ROWS: Final[dict[int, Callable[[State, Market], GateView]]] = {
    gate.KILLED: _killed,
    gate.HALTED: _halted,
    gate.PAUSED: _paused,
    gate.ARMED: _armed,
    gate.VENUE: _venue,
    gate.BREAKER: _breaker,
    gate.BEHIND: _behind,
    gate.CLOCK: _clock,
    gate.RULE: _rule,
    gate.STRIKE: _strike,
    gate.PRICE: _price,
    gate.FALLBACK: _fallback,
    gate.FROZEN: _frozen,
    gate.DIVERGENCE: _divergence,
    gate.VOLATILITY: _volatility,
    gate.BOOK: _book,
    gate.ACCEPTING: _accepting,
    gate.FEE: _fee,
    gate.WATCH: _watch,
    gate.ONE_ORDER: _one_order,
    gate.HOURLY: _hourly,
    gate.DAILY_LOSS: _daily_loss,
    gate.EXPOSURE: _exposure,
    gate.CORRELATED: _correlated,
    gate.BALANCE: _balance,
}


def _hammer(numbers: Numbers, params: Params) -> GateView:
    left = numbers.seconds_left
    passed = 0.0 < left <= params.hammer_s
    change = "" if passed else f"wait {left - params.hammer_s:.0f} s"
    return GateView("hammer time", f"{left:.1f} s left", f"<= {params.hammer_s:g} s", passed, change)


def _worth_rows(numbers: Numbers, params: Params) -> list[GateView]:
    p_up = believed_up(numbers, params)
    ev_up = expected_value(p_up, numbers.cost_up, numbers)
    ev_down = expected_value(1.0 - p_up, numbers.cost_down, numbers)
    side, probability, cost, depth, ev = (
        ("Up", p_up, numbers.cost_up, numbers.depth_up, ev_up)
        if ev_up >= ev_down
        else ("Down", 1.0 - p_up, numbers.cost_down, numbers.depth_down, ev_down)
    )
    distance = abs(numbers.expected - numbers.strike)
    gates = side_gates(ev, cost, depth, params)
    far = distance >= params.d_min_usd
    price = f"{side} {cost:.4f}" if cost > 0.0 else f"{side}: no ask"
    fee = fee_at(cost, numbers.fee_rate, numbers.fee_exponent, numbers.fee_of_price)
    worth = f"{side} {ev:+z.4f} after fee {fee:.4f}" if cost > 0.0 else f"{side}: no ask"
    limit_e4 = gate.best_limit_e4(probability, numbers, params, 10)
    cheap = f"{side} ask at or below {limit_e4 / 10_000:.3f}" if limit_e4 else f"{side} has to be likelier"
    changes = (
        f"${params.d_min_usd - distance:.2f} further from the strike",
        f"an ask at or below {params.max_entry_price:g}",
        f"an ask of ${params.least_order_usd:g} or more",
        cheap,
    )
    rows = (
        GateView("distance", f"${distance:.2f}", f">= ${params.d_min_usd:g}", far),
        GateView("price cap", price, f"<= {params.max_entry_price:g}", not gates & gate.PRICE_CAP),
        GateView(
            "depth",
            f"{side} ${depth:.2f} of ${params.quote_size_usd:g}",
            f">= ${params.least_order_usd:g}",
            not gates & gate.DEPTH,
        ),
        GateView("EV", worth, f"> {params.min_ev:g}", not gates & gate.EV),
    )
    return [
        row if row.passed else GateView(row.name, row.value, row.requirement, False, change)
        for row, change in zip(rows, changes, strict=True)
    ]
