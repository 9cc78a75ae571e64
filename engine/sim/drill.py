"""The ``drill`` command: which seeds, how far, what to say. What it does not know: how a run works."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from engine.sim.campaign import Campaign, SeedLedger, run_campaign, told_of
from engine.sim.script import Script, script_of

CAMPAIGN_FROM: Final = 10_000
"""The first seed of a campaign: those below were looked at while the drill was made."""


class Wish(NamedTuple):
    """Scripts to run, and how; ``ledger`` where seeds are kept that are done."""

    scripts: tuple[Script, ...]
    campaign: Campaign
    ledger: SeedLedger | None

    @classmethod
    def read(cls, seeds: str | None, *, hours: float, jobs: int, more: float | None, ledger: Path) -> "Wish":
        """Read the command's options.

        Raises:
            ValueError: They do not name seeds.
        """
        campaign = Campaign(hours, jobs)
        if (seeds is None) == (more is None):
            raise ValueError("give either --seeds A:B or --more HOURS")
        if seeds is not None:
            return cls(tuple(script_of(seed, hours) for seed in _read_seeds(seeds)), campaign, None)
        assert more is not None
        book = SeedLedger(ledger)
        begin = max((one.seed + 1 for one in book.read()), default=CAMPAIGN_FROM)
        count = max(1, round(more / hours))
        scripts = tuple(script_of(seed, hours) for seed in range(begin, begin + count))
        return cls(scripts, campaign, book)

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
    named = [first, last] if is_range else text.split(",")
    if not all(word.strip().isdecimal() for word in named):
        raise ValueError(f"--seeds {text!r}: write A:B, such as 0:1000, or A,B,C")
    numbers = [int(word) for word in named]
    seeds = list(range(*numbers)) if is_range else numbers
    if not seeds:
        raise ValueError(f"--seeds {text!r} names none")
    return seeds


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
        whole = told_of(every, sum(one.wall_s for one in every), {})
        names = ("simulated_hours", "digest", "orders", "fills", "crashes", "faults")
        result["all"] = {"seeds": len(every), "violations": len(whole["violations"])}
        result["all"] |= {name: whole[name] for name in names}
    say(
        f"{len(result['seeds'])} seeds, {result['simulated_hours']:g} hours in {result['wall_seconds']:g} s, "
        f"{result['orders']} orders, {result['fills']} fills, {result['crashes']} crashes, "
        f"{result['faults']} faults: {len(result['violations'])} violations"
    )
    return result
