"""The ``drill`` command: which seeds, how far, what to say. What it does not know: how a run works."""

from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.nouns import counted
from engine.sim.campaign import Campaign, run_campaign, told_of
from engine.sim.script import Script, script_of
from engine.sim.seed_ledger import SeedLedger, broken, hours_by_commit

CAMPAIGN_FROM: Final = 10_000
"""The first seed of a campaign: those below were looked at while the drill was made."""


MOST_HOURS: Final = 1_000_000.0
MOST_SEEDS: Final = 1_000_000
SEED_DIGITS: Final = 15

KEPT: Final = Path("reports/drill/seeds.jsonl")


class Asked(NamedTuple):
    """The command's options, as they were given. See ``python -m engine drill --help``."""

    seeds: str | None = None
    hours: float = 1.0
    jobs: int = 1
    more: float | None = None
    again: bool = False
    ledger: Path | None = None
    until_s: float | None = None
    only: str | None = None
    calm: bool = False
    uncut: bool = False

    def check(self) -> None:
        """Refuse what names no run, or would be noted as another than it is.

        Raises:
            ValueError: With the reason, in one line.
        """
        if (self.seeds is not None) + (self.more is not None) + self.again != 1:
            raise ValueError("give either --seeds A:B or --more HOURS, or --again")
        for name, value in (("--hours", self.hours), ("--more", self.more), ("--until", self.until_s)):
            if value is not None and not 0.0 < value <= MOST_HOURS:
                raise ValueError(f"{name} {value:g}: give a number above 0, up to {MOST_HOURS:,.0f}")
        is_kept = self.seeds is None or self.ledger is not None
        is_cut = self.calm or self.only is not None or self.until_s is not None or self.hours < 1.0
        if is_kept and is_cut:
            raise ValueError(
                "--calm, --only, --until and --hours below 1 make a run that is less than its seed: "
                "it is not kept as done (leave out --more, --again and --ledger)"
            )


class Wish(NamedTuple):
    """Scripts to run, and how; ``ledger`` where seeds are kept that are done."""

    scripts: tuple[Script, ...]
    campaign: Campaign
    ledger: SeedLedger | None

    @classmethod
    def read(cls, asked: Asked) -> "Wish":
        """Read the command's options; a ledger is then ours until the process ends.

        Raises:
            ValueError: They do not name seeds, or another drill uses the ledger.
        """
        asked.check()
        book = None
        if asked.seeds is None or asked.ledger is not None:
            book = SeedLedger(asked.ledger or KEPT)
            book.lock()
        seeds = _read_seeds(asked.seeds) if asked.seeds is not None else _next(asked, book)
        scripts = tuple(script_of(seed, asked.hours) for seed in seeds)
        wish = cls(scripts, Campaign(asked.hours, asked.jobs, not asked.uncut), book)
        return wish.shortened(asked.until_s, asked.only, calm=asked.calm)

    def shortened(self, until_s: float | None, only: str | None, *, calm: bool) -> "Wish":
        """Cut every script: until a time, to some of its actions, to a network that is well.

        Raises:
            ValueError: ``only`` is no list of numbers.
        """
        scripts = self.scripts
        if only is not None:
            words = [] if only == "none" else only.split(",")
            if not all(word.strip().isdecimal() for word in words):
                raise ValueError(f"--only {only!r}: write numbers such as 0,4,7, or none")
            places = tuple(int(word) for word in words)
            scripts = tuple(script.only(places) for script in scripts)
        return self._replace(scripts=tuple(script.cut(length_s=until_s, calm=calm) for script in scripts))


def _read_seeds(text: str) -> list[int]:
    """Read ``A:B``, from A up to, not including, B; or ``A,B,C``.

    Raises:
        ValueError: It names none.
    """
    first, is_range, last = text.partition(":")
    named = [word.strip() for word in ([first, last] if is_range else text.split(","))]
    if not all(word.isdecimal() and len(word) <= SEED_DIGITS for word in named):
        raise ValueError(
            f"--seeds {text[:60]!r}: write A:B, such as 0:1000, or A,B,C; up to {SEED_DIGITS} digits"
        )
    numbers = [int(word) for word in named]
    seeds = range(*numbers) if is_range else numbers
    if not seeds:
        raise ValueError(f"--seeds {text!r} names none")
    if len(seeds) > MOST_SEEDS:
        raise ValueError(f"--seeds {text!r} names more than {MOST_SEEDS:,}")
    return list(seeds)


def _next(asked: Asked, book: SeedLedger | None) -> list[int]:
    """Return the seeds to go on with: those that failed, or the first that were never run to their end.

    Raises:
        ValueError: None failed, or one of another length.
    """
    assert book is not None
    done = book.read()
    if asked.again:
        failed = [one for one in done if one.violations]
        if not failed:
            raise ValueError(f"no seed of {book.path} failed")
        other = next((one for one in failed if one.hours != asked.hours), None)
        if other is not None:  # another script altogether
            raise ValueError(f"seed {other.seed} failed with --hours {other.hours:g}: give the same")
        return sorted(one.seed for one in failed)
    assert asked.more is not None
    known = {one.seed for one in done}
    unknown = (seed for seed in count(CAMPAIGN_FROM) if seed not in known)
    return list(islice(unknown, max(1, round(asked.more / asked.hours))))


def hold(wish: Wish, say: Callable[[str], None]) -> dict[str, Any]:
    """Run it, and say how it went.

    Returns:
        Seeds, hours, figures and violations of this call; with a ledger also those of all calls before.
    """
    book = wish.ledger
    keep = (lambda _: None) if book is None else book.add
    result = run_campaign(list(wish.scripts), wish.campaign, say, keep)
    if book is not None:
        every = book.read()
        whole = told_of(every, sum(one.wall_s for one in every))
        names = ("simulated_hours", "digest", "orders", "fills", "crashes", "faults", "replayed_share")
        result["all"] = {"seeds": len(every), "violations": len(whole["violations"])}
        result["all"] |= {name: whole[name] for name in names}
        result["all"] |= {"hours_by_commit": hours_by_commit(every), "broken": broken(every)}
    say(
        f"{counted(len(result['seeds']), 'seed')}, {result['simulated_hours']:g} hours "
        f"in {result['wall_seconds']:g} s, {counted(result['orders'], 'order')}, "
        f"{counted(result['fills'], 'fill')}, {counted(result['crashes'], 'crash', 'crashes')}, "
        f"{counted(result['faults'], 'fault')}: {counted(len(result['violations']), 'violation')}"
    )
    return result
