"""What happens in a run, and when: a script drawn from a seed, which can be cut down and written on a command
line. What it does not know: how any of it is done.
"""

import random
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from engine.practice.fault_terms import Value
from engine.practice.faults import KINDS
from engine.sim.net import CALM, Luck

What: TypeAlias = Literal["fault", "crash", "disk", "kill", "pause", "disarm", "exit", "restart"]

FIRST_S: Final = 20.0
"""Nothing goes wrong before an engine has started once."""

QUIET_SHARE: Final = 0.1
"""Nothing new begins in the last part of a run, so that faults at work come to their end."""

ACTIONS_AN_HOUR: Final = 10.0
"""On average; some hours have forty, some one."""

ORDER_FAULTS: Final[tuple[tuple[str, dict[str, Value]], ...]] = (
    ("lost-answer", {}),
    ("lost-answer", {"executed": "no"}),
    ("lost-answer", {"count": 1}),
    ("slow-order", {"ms": 3_000}),
    ("slow-order", {"ms": 1_500, "what": "order"}),
    ("slow-order", {"ms": 3_000, "what": "order"}),
    ("order-error", {}),
    ("order-error", {"executed": "yes"}),
    ("order-error", {"error": "fok"}),
    ("order-error", {"error": "balance"}),
    ("order-error", {"error": "duplicate", "executed": "yes"}),
    ("low-allowance", {}),
    ("425", {}),
    ("post-only", {"retry_after_s": 5}),
    ("cancel-only", {}),
    ("trading-disabled", {}),
    ("429", {"retry_after_s": 2}),
    ("429", {"retry_after_s": 1, "of": "both"}),
    ("closed-only", {}),
    ("401-clock", {}),
    ("ghost-fill", {}),
    ("ghost-fill", {"count": 1}),
    ("retrying-trade", {}),
    ("late-trades", {"s": 3}),
    ("late-trades", {"s": 40}),
    ("stuck-redeem", {}),
    ("duplicate-event", {}),
    ("duplicate-event", {"s": 5}),
)
"""Faults of orders and trades with their arguments; those of feeds are the registry's own ``soak`` ones."""

OTHER_FAULTS: Final[tuple[tuple[str, dict[str, Value]], ...]] = (
    ("frozen-value", {"topic": "chainlink"}),
    ("frozen-value", {}),
    ("changed-rule", {}),
    ("changed-rule", {"to": "spot"}),
    ("closed-accepting", {}),
    ("geo-403", {}),
)

RARE_FAULTS: Final[dict[str, tuple[dict[str, Value], ...]]] = {
    "bad-value": (
        {"as": "zero"},
        {"as": "negative"},
        {"as": "nan"},
        {"as": "infinite"},
        {"as": "tenfold"},
        {"as": "tenfold", "every": 3},
        {"as": "tenfold", "topic": "chainlink"},
        {"as": "tenfold", "topic": "twap"},
        {"as": "tenfold", "feed": "rtds", "topic": "chainlink"},
        {"as": "tenfold", "feed": "spot"},
    ),
    "price-apart": (
        {},
        {"bp": -60},
        {"bp": 200},
        {"feed": "rtds", "topic": "chainlink", "bp": -60},
        {"feed": "all", "topic": "twap", "bp": 60},
        {"feed": "all", "bp": 80},
    ),
    "other-window": ({},),
    "fee-unknown": ({},),
    "heartbeat-refused": ({},),
    "old-frames": ({},),
    "shuffled-levels": ({},),
}
"""Faults that neither of the above nor ``soak`` draws, with their arguments."""

RARE_LONGEST_S: Final = {"fee-unknown": 1_200.0, "other-window": 300.0, "heartbeat-refused": 300.0}
RARE_USUAL_S: Final = 120.0
"""Venue seconds that they last at most: a fee is good for ten minutes, a description for a window."""

TOUCHY_SHARE: Final = 0.5
"""Of the runs with wide limits, those whose breakers trip easily in their place."""

RARE_SHARE: Final = 0.5
RARE_AN_HOUR: Final = 3.0
"""Half of the runs have some of them, so many an hour on average, beside everything else."""

USUAL_USD: Final = 10.0
LARGE_USD: Final = 300.0
LARGE_SHARE: Final = 0.6
"""Dollars an order, and how many of the runs with wide limits have large ones: two of three that fill take
several levels of a book, at several prices and of several makers."""

POWER_SHARE: Final = 0.35
"""Of the crashes, those in which the machine's power fails, and not the process alone."""

NEAR_INTENT_SHARE: Final = 1 / 3
"""Of the crashes and power cuts, those that wait for the next order's intent: at any other moment there is
hardly ever an order under way."""

NO_INTENT_S: Final = 100.0
"""Venue seconds in which no engine has known enough to intend anything: deaths of that time stay in it."""

NEAR_INTENT_S: Final = 3.0
"""Wall seconds after that intent, or its signing, within which they fall: half in the first 12 ms, as most
orders are signed at once or within 60 ms, leave 2 to 5 ms later and are filled after 30 ms."""

POWER_NEAR_INTENT: Final = 0.5
"""Of those, power cuts: what was told since the order was synced is lost, and must not be called unsent."""

STRICT_SHARE: Final = 0.2
POOR_SHARE: Final = 0.15
"""Of the runs, those with a day's loss that one window uses up, and those with cash for a single order: in
the others neither of these limits is ever near."""

MIDNIGHT_SHARE: Final[dict[str, float]] = {"strict": 0.8}
OTHER_MIDNIGHT_SHARE: Final = 0.15
"""Of the runs with such limits, and of the others, those that begin before a UTC midnight and end after."""

KEPT_AT_MIDNIGHT: Final = 0.3
"""Of what ends a session, so much happens in runs with a midnight: one that opened the day before has to be
there still when something is lost on the new day."""
ENDS: Final = ("crash", "disk", "restart")

BOUNDARY_S: Final = 310
QUARTER_S: Final = 900
"""A run begins 10 s before a boundary that is five minutes, or so many quarters of an hour more, short of a
full quarter (``engine.practice.simulated.opening``)."""

CRASH_POINTS: Final = ("now", "record", "recorded", "output", "sync", "ledger", "ledgered")


class Action(NamedTuple):
    """One thing that happens, venue seconds after the beginning."""

    at_s: float
    what: What
    args: dict[str, Any]

    def told(self) -> str:
        """Describe it in one line."""
        return f"{self.at_s:.1f} s: {self.what} {self.args}"


class Terms(NamedTuple):
    """What the whole run is like."""

    is_live: bool
    order_kind: str
    rate: float
    limits: str
    luck: Luck
    has_holes: bool
    """Whether seconds of prices are missing as often as recorded, beside what faults take."""
    has_long_windows: bool
    """Whether windows of 15 minutes are listed too."""
    quarters_to_midnight: int | None = None
    """How many whole quarters of an hour, with five minutes more, there are to midnight UTC at the beginning;
    None where it begins at any time."""
    order_usd: float = USUAL_USD
    """Dollars of each order that buys."""


class Script(NamedTuple):
    """A run: its seed, its length in venue seconds, what it is like, what happens in it."""

    seed: int
    length_s: float
    terms: Terms
    actions: tuple[Action, ...]
    kept: tuple[int, ...]
    """The places of ``actions`` in the whole script of the seed."""

    def command(self, whole_hours: float) -> str:
        """Write the command that repeats this run."""
        words = [f"python -m engine drill --seeds {self.seed}:{self.seed + 1} --hours {whole_hours:g}"]
        if self.length_s < whole_hours * 3600:
            words.append(f"--until {self.length_s:g}")
        words.append(f"--only {','.join(map(str, self.kept)) or 'none'}")
        if self.terms.luck == CALM:
            words.append("--calm")
        return " ".join(words)

    def cut(
        self, *, length_s: float | None = None, without: int | None = None, calm: bool = False
    ) -> "Script":
        """Return a shorter one: until a time, without one of its actions, or on a network that is well."""
        length = self.length_s if length_s is None else min(length_s, self.length_s)
        pairs = [
            (place, action)
            for place, action in zip(self.kept, self.actions, strict=True)
            if action.at_s < length and place != without
        ]
        terms = self.terms._replace(luck=CALM) if calm else self.terms
        return Script(
            self.seed, length, terms, tuple(one for _, one in pairs), tuple(place for place, _ in pairs)
        )

    def only(self, places: tuple[int, ...]) -> "Script":
        """Return one with these actions alone."""
        dropped = [place for place in self.kept if place not in places]
        script = self
        for place in dropped:
            script = script.cut(without=place)
        return script


def script_of(seed: int, hours: float) -> Script:
    """Draw the script of a seed.

    Args:
        seed: Any whole number.
        hours: Venue hours.
    """
    rng = random.Random(f"script {seed}")
    length_s = hours * 3600
    terms = _less_usual(seed, length_s, _terms(rng))
    count = 1 + int(rng.expovariate(1.0 / (ACTIONS_AN_HOUR * hours)))
    last_s = max(FIRST_S, (1.0 - QUIET_SHARE) * length_s)
    moments = sorted(round(rng.uniform(FIRST_S, last_s), 1) for _ in range(count))
    actions = [_action(rng, at_s, terms) for at_s in moments]
    if terms.quarters_to_midnight is not None:
        luck = random.Random(f"midnight {seed}")
        actions = [one for one in actions if one.what not in ENDS or luck.random() < KEPT_AT_MIDNIGHT]
    actions += _rare_faults(seed, length_s, last_s, terms)
    # A place names an action for good, whatever else is drawn: by the order of drawing, not of time.
    placed = sorted(enumerate(actions), key=lambda one: one[1].at_s)
    return Script(seed, length_s, terms, tuple(one for _, one in placed), tuple(place for place, _ in placed))


def _rare_faults(seed: int, length_s: float, last_s: float, terms: Terms) -> list[Action]:
    """Draw those that nothing else does, by a luck of their own: the other actions stay as they were."""
    luck = random.Random(f"lies {seed}")
    if luck.random() >= RARE_SHARE:
        return []
    names = [name for name in RARE_FAULTS if terms.is_live or name != "heartbeat-refused"]
    count = int(luck.expovariate(3600 / (RARE_AN_HOUR * length_s)))
    found: list[Action] = []
    for _ in range(count):
        at_s, name = round(luck.uniform(FIRST_S, last_s), 1), luck.choice(names)
        longest_s = RARE_LONGEST_S.get(name, RARE_USUAL_S)
        found.append(_fault(luck, at_s, name, luck.choice(RARE_FAULTS[name]), longest_s=longest_s))
        if name == "heartbeat-refused":  # heartbeats are sent while an order's fate is unknown, and only then
            found.append(_fault(luck, at_s, "lost-answer", {"count": 1}, longest_s=longest_s))
    return found


def _terms(rng: random.Random) -> Terms:
    luck = rng.choice(
        (
            CALM,
            CALM,
            Luck(mean_delay_s=0.02, slow_share=0.01),
            Luck(mean_delay_s=0.01, slow_share=0.03, slow_s=0.8, break_after_s=40.0),
            Luck(mean_delay_s=0.01, lost_asked=0.02, lost_answer=0.02, break_after_s=90.0),
        )
    )
    return Terms(
        is_live=rng.random() < 0.6,
        order_kind=rng.choice(("FOK", "FOK", "FAK")),
        rate=rng.choice((40.0, 60.0, 60.0)),
        limits=rng.choice(("wide", "wide", "hourly", "tight")),
        luck=luck,
        has_holes=rng.random() < 0.5,
        has_long_windows=rng.random() < 0.5,
    )


def _less_usual(seed: int, length_s: float, terms: Terms) -> Terms:
    """Give some runs narrow limits or a midnight, by a luck of its own: the others stay as they were."""
    rng = random.Random(f"limits {seed}")
    draw = rng.random()
    if draw < STRICT_SHARE + POOR_SHARE:
        terms = terms._replace(limits="strict" if draw < STRICT_SHARE else "poor")
    if terms.limits == "wide" and random.Random(f"breaker limits {seed}").random() < TOUCHY_SHARE:
        terms = terms._replace(limits="touchy")
    if terms.limits == "wide" and random.Random(f"order size {seed}").random() < LARGE_SHARE:
        terms = terms._replace(order_usd=LARGE_USD)
    last = int((1.0 - QUIET_SHARE) * length_s - BOUNDARY_S) // QUARTER_S
    if last < 0 or rng.random() >= MIDNIGHT_SHARE.get(terms.limits, OTHER_MIDNIGHT_SHARE):
        return terms
    return terms._replace(quarters_to_midnight=min(rng.randint(0, last), rng.randint(0, last)))


def _action(rng: random.Random, at_s: float, terms: Terms) -> Action:
    draw = rng.random()
    if draw < 0.25:
        args = {
            "point": rng.choice(CRASH_POINTS),
            "count": rng.choice((1, 1, 2, 5, 30)),
            "down_s": rng.uniform(1, 60),
        }
        # By a luck of its own, so that scripts are what they were before there were power cuts.
        args["power"] = random.Random(f"power {at_s} {args['down_s']}").random() < POWER_SHARE
        luck = random.Random(f"intent {at_s} {args['down_s']}")
        if luck.random() < NEAR_INTENT_SHARE and at_s > NO_INTENT_S:
            args["after_s"] = round(NEAR_INTENT_S * luck.random() ** 8, 5)
            args["after"] = luck.choice(("intended", "signed"))
            args["power"] = luck.random() < POWER_NEAR_INTENT
        return Action(at_s, "crash", args)
    if draw < 0.30:
        where = rng.choice(("journal", "ledger", "sync"))
        return Action(at_s, "disk", {"where": where, "down_s": rng.uniform(5, 60)})
    if draw < 0.34:
        return Action(at_s, "kill", {"for_s": rng.uniform(20, 200)})
    if draw < 0.37:
        return Action(at_s, "pause", {"for_s": rng.uniform(20, 200)})
    if draw < 0.43:
        return Action(at_s, "exit", {"least_e4": rng.choice((100, 2_000, 5_000))})
    if draw < 0.46:
        return Action(at_s, "restart", {"down_s": rng.uniform(1, 60)})
    if draw < 0.48 and terms.is_live:
        return Action(at_s, "disarm", {"for_s": rng.uniform(20, 200)})
    if draw < 0.78 and terms.is_live:
        return _fault(rng, at_s, *rng.choice(ORDER_FAULTS), longest_s=240)
    if draw < 0.82:
        return _fault(rng, at_s, *rng.choice(OTHER_FAULTS), longest_s=60)
    kinds = [kind for kind in KINDS.values() if kind.soak]
    kind = rng.choice(kinds)
    args = dict(rng.choice(kind.soak))
    feeds = [one for argument in kind.arguments if argument.name == "feed" for one in argument.choices]
    if feeds and "feed" not in args:
        args["feed"] = rng.choice(feeds)
    return _fault(rng, at_s, kind.name, args, longest_s=90)


def _fault(rng: random.Random, at_s: float, name: str, args: dict[str, Value], *, longest_s: float) -> Action:
    for_s = round(rng.uniform(5, longest_s), 1)
    return Action(at_s, "fault", {"name": name, "args": args, "for_s": for_s})
