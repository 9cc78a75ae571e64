"""What a sweep found of the configuration that it chose, and how far that may be believed."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.nouns import counted
from engine.run.sweep import opening, words
from engine.run.sweep.kernel import ASSUMPTIONS
from engine.run.sweep.opening import Opened, Ways
from pages import access
from pages.widgets import plain, tables

LOOK_S: Final = 1.0


def verdict(report: dict[str, Any]) -> None:
    """Say what came of it, and of what data."""
    data = report["data"]
    if report["partial"]:
        st.warning(f"Partial: {plain.marked_down(report['why_partial'])}. Only what was done is shown.")
    st.markdown(f"**Verdict: {plain.marked_down(report['verdict'])}**")
    for noted in (*words.still_words(report), *words.looked_at_words(report)):
        st.info(plain.marked_down(noted))
    told = report["plan"]["hypothesis"]
    expected = words.expected_words(plain.marked_down(told))
    st.caption(
        f"{counted(report['tried'], 'configuration')} tried over {counted(data['windows'], 'window')}; "
        f"fingerprint {report['plan']['fingerprint'][:12]}. {expected}"
    )
    st.caption(
        f"Left out: {data['windows_without_outcome']:,} windows without an outcome, "
        f"{data['windows_told_twice']:,} told twice, {data['rows_refused']:,} rows refused. Not independent: "
        f"{data['windows_overlapping']:,} windows overlap. Without a known fee schedule: "
        f"{data['fee_unknown']:,}. {_misses(report)}"
    )
    if dropped := data.get("windows_dropped"):
        st.caption(plain.marked_down(f"{words.dropped_words(dropped)}."))
    for later in report["plan"].get("later_hypotheses", ()):
        st.caption(f"Said later, {plain.utc(later['said_ms'])}: {plain.marked_down(later['hypothesis'])}.")
    _left_out("Sessions that were left out", data.get("sources_left_out", []))
    _left_out("Rows that were refused", data["faults"])


def _left_out(what: str, lines: list[str]) -> None:
    if lines:
        with st.expander(what):
            st.text("\n".join(lines))


def _misses(report: dict[str, Any]) -> str:
    """Say which misses were assumed beside those that the book itself shows."""
    if any("miss_probability" in run["parameters"] for run in report["runs"]):
        return "Misses: as each row's miss probability says."
    share = report["plan"]["base"]["miss_probability"]
    if share:
        return f"Misses: {share:.1%} of the orders find nothing although the book shows it."
    return "Misses: none assumed beyond what the book shows; give a miss probability to try some."


def chosen(report: dict[str, Any], ways: Ways) -> None:
    """Show the chosen configuration on windows that it was not chosen on."""
    one = report["chosen"]
    if one is None:
        return
    st.subheader("Chosen on earlier windows, reported on later ones", anchor=False)
    values = ", ".join(f"{name} {value:g}" for name, value in one["parameters"].items())
    luck = words.luck_words(one["deflated_sharpe"].get("probability"), words.tries_of(report))
    st.markdown(
        f"Run {one['run']}: {plain.marked_down(values)}; fee: {plain.marked_down(one['fee'])}. "
        f"{plain.marked_down(luck)} {plain.marked_down(words.SHAPES[one['plateau']['shape']])}"
    )
    if won := words.wins_words(one):
        st.markdown(plain.marked_down(won))
    rows = [
        {"assumption": name, **_ends(one["held_out_interval"][name]), **one["figures"][name]["held_out"]}
        for name in ASSUMPTIONS
    ]
    tables.shown(rows, _held_out_columns(), "chosen")
    st.caption(
        "Held-out windows alone. Mean a window, low and high: 95 % of what windows drawn again would show; "
        "an interval that holds 0 is not told from not trading, and one above 0 may lack losses that are yet "
        "to come."
    )
    _walk_forward(report["walk_forward"])
    _robust(report["robust"])
    _trades(
        Opened(one["trades"], one["figures"]["arrival"]["all"]["trades"]), ways, "sweep-trades", one["run"]
    )


def _ends(told: list[float] | None) -> dict[str, float | None]:
    low, high = (None, None) if told is None else told
    return {"low": low, "high": high}


def _walk_forward(told: dict[str, Any]) -> None:
    """Show what trading each stretch with the best of the stretches before it came to."""
    total = told["total_pnl"]
    came = "nothing was traded" if total is None else f"{plain.marked_down(f'{total:+z,.2f}')} USD in all"
    st.caption(
        f"Walk forward, each stretch traded with what the stretches before it would have chosen: **{came}**."
    )
    tables.shown(
        told["stretches"],
        {
            "fold": tables.count("stretch", "a quarter of the windows, in order of time"),
            "run": tables.count("run", "chosen on the stretches before"),
            "trades": tables.count("trades", "in this stretch"),
            "total_pnl": tables.dollars("P&L", "dollars after fees; empty without a trade", signed=True),
        },
        "sweep-forward",
    )


def _robust(told: dict[str, Any]) -> None:
    """Show the ranges of the best fifth, and what those came to where they were not chosen."""
    held = told["held_out"]
    came = "on the held-out windows they traded nothing"
    if isinstance(held, dict):
        mean, worst, best = (
            plain.marked_down(f"{held[f'{name}_pnl']:+z,.2f}") for name in ("mean", "worst", "best")
        )
        came = (
            f"on the held-out windows {held['traded']:,} of {told['configurations']:,} traded and made "
            f"{mean} USD on average ({worst} to {best}), {held['above_zero']:.0%} of them more than nothing"
        )
    st.caption(f"Robust ranges (best fifth of those that traded, chosen on the earlier windows): **{came}**.")
    ranges = [{"parameter": name, "range": _range(ends)} for name, ends in told["ranges"].items()]
    headings = {name: tables.text(name) for name in ("parameter", "range")}
    tables.grid(ranges, headings, "sweep-ranges")


def _range(told: str | list[float]) -> str:
    if isinstance(told, str):
        return told
    least, most = told
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


# --- trades -------------------------------------------------------------------------------------------------


def run_opened(name: str, report: dict[str, Any], run: int, ways: Ways) -> None:
    """Show the trades of a configuration, or have them worked out."""
    counter = desk.current()
    if counter is None:
        return
    found = opening.opened(counter.settings, name, report, run)
    if found is not None:
        st.session_state.pop("sweep-opening", None)
        _trades(found, ways, f"sweep-trades-{name}-{run}", run, opened=True)
        return
    if opening.working(name) == run:
        _worked_out(name, report, run)
        return
    if problem := opening.failed(counter.settings, name, run):
        st.error(f"The trades of run {run} could not be worked out: {plain.marked_down(problem)}")
    if problem := st.session_state.pop("sweep-opening", None):
        st.warning(problem)
    st.button(
        f"Work out the trades of run {run}", key="sweep-open", on_click=_start, args=(name, report, run),
        disabled=access.locked(), help="the data is read once more: seconds for the sample, longer for more",
    )  # fmt: skip


@access.needs_operator("to work out the trades of a sweep")
def _start(name: str, report: dict[str, Any], run: int) -> None:
    counter = desk.current()
    if counter is not None:
        st.session_state["sweep-opening"] = opening.start(counter.settings, name, report, run)


@access.fragment(LOOK_S)
def _worked_out(name: str, report: dict[str, Any], run: int) -> None:
    """Say that trades are being worked out; run the page again once they are there."""
    counter = desk.current()
    if counter is None:
        return
    if opening.working(name) == run and opening.opened(counter.settings, name, report, run) is None:
        st.info(f"The trades of run {run} are being worked out: the data is read once more.")
        return
    st.rerun()


def _trades(found: Opened, ways: Ways, key: str, run: int, *, opened: bool = False) -> None:
    listed = len(found.trades)
    words = f"{listed:,}" if listed == found.traded else f"the first {listed:,} of {found.traded:,}"
    with st.expander(f"Trades of run {run} in all windows: {words}", expanded=opened):
        if found.problem:
            st.warning(plain.marked_down(found.problem))
        if ways.why_not:
            st.caption(plain.marked_down(ways.why_not))
        rows = [row | {"replay": link(ways, row["slug"], row["at_ms"])} for row in found.trades]
        tables.shown(rows, _trade_columns(), key)


def link(ways: Ways, slug: str, at_ms: int) -> str | None:
    """Write where a moment of a window is replayed; None where it cannot be."""
    session = ways.sessions.get(slug)
    return tables.replay_link(session, at_ms) if session else None


# --- columns ------------------------------------------------------------------------------------------------


def columns() -> dict[str, Any]:
    """Head the figures of a configuration."""
    return {
        "trades": tables.count("trades", "orders that filled"),
        "total_pnl": tables.dollars("P&L", "dollars after fees; empty without a trade", signed=True),
        "win_rate": tables.number("win rate", "share of trades whose side won", "%.3f"),
        "ev_error": tables.number("EV error", "claimed less realised, dollars a share", "%+.4f"),
        "drawdown": tables.dollars("drawdown", "dollars below the best so far"),
        "fill_rate": tables.number("fill rate", "trades of orders", "%.2f"),
        "trade_frequency": tables.number("frequency", "trades of windows", "%.3f"),
        "fees": tables.dollars("fees"),
        "turnover": tables.dollars("turnover", "dollars spent before fees"),
        "brier": tables.number("Brier", "of the claimed probabilities; lower is better", "%.4f"),
        "log_loss": tables.number("log-loss", "of the same", "%.4f"),
    }


def _held_out_columns() -> dict[str, Any]:
    figures = columns()
    return {
        "assumption": tables.text("fills", "what a fill is taken to be"),
        "trades": figures.pop("trades"),
        "total_pnl": figures.pop("total_pnl"),
        "low": tables.number("mean, low", "dollars a window, lower end of 95 %", "%+.3f"),
        "high": tables.number("mean, high", "dollars a window, upper end of 95 %", "%+.3f"),
    } | figures


def _trade_columns() -> dict[str, Any]:
    return {
        "at_ms": tables.time("decided"),
        "slug": tables.text("contract"),
        "outcome": tables.text("bought"),
        "settled": tables.text("settled"),
        "held_out": st.column_config.CheckboxColumn("held out", help="a window that nothing was chosen on"),
        "probability": tables.number("p", "claimed", "%.4f"),
        "claimed_ev": tables.number("EV", "claimed, dollars a share", "%+.4f"),
        "usd": tables.dollars("spent"),
        "profit": tables.dollars("profit", "dollars after fee", signed=True),
        "replay": st.column_config.LinkColumn("replay", display_text="open", help="that second, replayed"),
    }
