"""What each word, state, colour and key means; searchable, and each search has an address."""

from typing import Final, NamedTuple

import streamlit as st

from pages import access
from pages.widgets import plain, tables


class Entry(NamedTuple):
    """One word of the console, and what it means."""

    group: str
    word: str
    meaning: str


ENTRIES: Final = tuple(
    Entry(group, word, meaning)
    for group, words in {
        "Mode": {
            "PRACTICE": "The embedded venue: a simulated market on this machine. Its profit proves nothing.",
            "PAPER": "A real market, and orders that are only imagined: none leaves.",
            "LIVE": "Set up for real orders. They leave only while armed.",
            "armed": "Real orders may leave, for the minutes that were given. Kill, halt and time end it.",
            "disarmed": "No real order leaves. Holdings stay and settle.",
            "KILLED": (
                "Somebody tripped the kill switch. It outlives a restart and is cleared with phrase and "
                "reason. It stands before every other word: a halt or a pause besides is said beside it."
            ),
            "HALTED": (
                "The engine stopped trading by itself, or a breaker tripped; the reason stands beside it. A "
                "restart ends a halt, and on practice a breaker too; elsewhere a breaker ends by the command "
                "clear-breakers, with the engine stopped."
            ),
            "LATCHED, NOT CONFIRMED": "The switch is written; the engine's own snapshot has not said so yet.",
            "wall time": (
                "Kills, halts, pauses, arming and the audit trail are told by this machine's own clock. "
                "Practice's market runs faster: its windows, trades and charts have a clock of their own."
            ),
            "paused": "No new orders until somebody resumes. Exits go on.",
            "breaker": (
                "A result that stopped buying: losing streak, drawdown, edge, surprise, refused orders."
            ),
            "observe only": "This window is watched and not traded; the reason stands on its card.",
            "REDUCED TRADING CONFIDENCE": (
                "The settlement feed is stale and the engine lives on the spot price."
            ),
        },
        "Contract": {
            "window, contract": "One Up/Down market: strike, start, end, and two tokens, Up and Down.",
            "strike": "The price to beat, set when the window starts.",
            "exact, estimate, served": (
                "How a price is known: reported for that very second; our own mean with an error; the "
                "venue's word."
            ),
            "idle, watch, hammer": (
                "Waiting; BTC has moved enough to look closely; the last seconds, in which the engine may "
                "strike."
            ),
            "settling, settled": "Over and waiting for the final price; the outcome is known.",
            "lock gauge, fixed": "The share of the settlement average that later prices cannot change.",
            "flip": "What BTC must average over the rest for the other outcome.",
            "TWAP": "The mean of the settlement feed over the seconds that the rule names.",
        },
        "Decision": {
            "p(Up), p_hat": "The engine's probability that the window settles Up.",
            "z": "The expected distance to the strike in deviations of what may still happen.",
            "EV": "Expected value a share, dollars, after the fee. An order needs more than nothing.",
            "break-even": "The probability from which on a share bought at this ask pays, fee included.",
            "gate": (
                "One condition of a trade. All of them have to hold; the first that does not is the reason."
            ),
            "denied, rejected, unknown": (
                "Our own last look said no; the venue said no; nobody knows, and the window is left alone."
            ),
            "killed (order)": "The venue took a fill-or-kill order and nothing filled. Not the kill switch.",
            "FOK, FAK": "Fill whole or not at all; fill what there is and cancel the rest.",
        },
        "Feeds": {
            "fresh, late": "On time; silent for over three seconds and not yet stale.",
            "stale": "Silent for longer than PRICE_STALENESS_THRESHOLD: no order rests on it.",
            "frozen": "The feed is alive and repeats one value while the others move.",
            "waiting": "It has not spoken yet.",
            "lag p50, p95, p99": (
                "From the second a value is of to its arrival: half, 95 and 99 of 100 are faster."
            ),
            "skew": "Our clock less the venue's. Over one second is OFF; WRONG stops orders.",
            "rung": "A source of the price that settles. The best that is fresh is in use.",
            "behind": "The engine does not keep up with its feeds: nothing new is ordered until it does.",
            "pong, keep-alive": (
                "Seconds since the other end of a socket answered our ping, and the venue's own PING."
            ),
            "loop lag": "How late the engine's own timer came in the last minute: 0 is a free loop.",
            "order heartbeat": (
                "While an order's fate is unknown the venue is told every 5 s that we live; else it cancels."
            ),
            "NO DATA": "Two seconds without a snapshot. What is on the screen is old; KILL still works.",
        },
        "Money": {
            "realised, P&L": (
                "Profit of settled windows, with what was sold of them, after fees, in dollars. A sale "
                "counts once its window has settled: P&L today is of the windows that settled today."
            ),
            "at stake": "Dollars that open positions and orders under way may lose.",
            "markout": "Value a share some seconds after a fill, less what was paid.",
            "paper honesty": (
                "Paper profit under three assumptions about fills. If they differ much, believe the worst."
            ),
            "drift": "A price that was called exact was not what the venue served. Trading stops.",
        },
        "Signs and colours": {
            "blue, orange": (
                "The two sides everywhere: the engine and the spot formula, Up and Down. Never red and "
                "green alone."
            ),
            "✓ ! ✗": "Well; look at it; wrong. Every colour has a sign or a word beside it.",
            "■": "Stopped, or stops.",
            "grey": "Old: it may not be trusted.",
            "stripes": (
                "Yellow with black stripes: trading on less certain prices. Grey stripes in the strip of "
                "seconds: frozen."
            ),
            "–": "Unknown. It is never shown as nought.",
        },
        "Keys": {
            "Tab, Enter, Space": (
                "Every control can be reached and pressed. The sidebar's KILL is reached from the navigation."
            ),
            "Ctrl+Shift+K": "KILL at once, on every page, as the button does.",
            "K": "Go to the kill button, on every page; Enter presses it.",
            "L, P": "The pages Live and Panic.",
            "[, ]": "The page before, the next page.",
            "?": "The keys of the page that is open.",
            "1, 2, 0, S": "On the page Live: the 5m window, the 15m window, reset the zoom, sound.",
            "→, Esc": "Next step of the tour; end of the tour.",
            "R": "Draw the page anew.",
        },
    }.items()
    for word, meaning in words.items()
)


def found(word: str) -> list[Entry]:
    """Return the entries that have a word, be it in their name or their meaning; all for none."""
    wanted = word.strip().lower()
    return [one for one in ENTRIES if wanted in f"{one.group} {one.word} {one.meaning}".lower()]


@access.fragment()
def words() -> None:
    """Show the words, by group."""
    word = st.text_input("Search", key=tables.begin("help-q", tables.asked("q")))
    tables.keep(q=word)
    entries = found(word)
    if not entries:
        st.info("No word, state, colour or key has this in it.")
    for group in dict.fromkeys(one.group for one in entries):
        st.subheader(group, anchor=False)
        for one in entries:
            if one.group == group:
                st.markdown(f"**{plain.marked_down(one.word)}**: {plain.marked_down(one.meaning)}")
    tables.export(lambda: [one._asdict() for one in entries], "help", of=word)
