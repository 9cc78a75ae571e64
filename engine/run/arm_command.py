"""Whether live trading may be armed: every condition is looked at and listed, and one that fails refuses.

What it does not know: how long a permission lasts and what ends it (``engine.run.arming``).
"""

import asyncio
import time
from typing import Final, NamedTuple

from pydantic import SecretStr

from engine.config import LIVE_NEEDS, Settings, is_given
from engine.feeds.address import without_secrets
from engine.kill import KillSwitch
from engine.run.arming import LEAST_MINUTES, MOST_MINUTES, Arm, ArmState
from engine.run.checks import Line, failed, is_green, passed
from engine.run.doctor.checkup import examine_with
from engine.run.truth_of_day import truth_of_last_day
from engine.trail import Trail, refusal_words

ARM_PHRASE: Final = "TRADE LIVE"
LEAST_TRUTH: Final = 20
"""Windows of the last day whose settlement has to be proven: the card's number."""

LEAST_SECRET: Final = 8
"""Characters; what is shorter is found in ordinary words, and keeps no door."""


class Wish(NamedTuple):
    """What an operator asked for."""

    phrase: str
    minutes: int
    reason: str
    who: str


class Armament(NamedTuple):
    """What came of it: every check, and the state at the end."""

    state: ArmState
    checks: list[Line]


async def try_to_arm(settings: Settings, wish: Wish) -> Armament:
    """Look at every condition; arm where all of them hold.

    Returns:
        All checks in order. A refusal is in the audit trail too, with the names of the checks that failed.
    Raises:
        OSError: The trail or the permission could not be written; nobody is armed then.
    """
    doctor = await examine_with(settings)
    if _holds_secret(settings, wish.reason):
        wish = wish._replace(reason="")
    checks = [
        *wish_lines(wish),
        *settings_lines(settings),
        _kill_line(settings),
        *_doctor_lines(doctor),
        await asyncio.to_thread(_truth_line, settings),
    ]
    if not is_green(checks):
        names = ", ".join(line.check for line in checks if line.state == "fail")
        Trail(settings.data_dir).add(
            "refused", wish.who, refusal_words("armed", wish.reason, f"these checks failed: {names}")
        )
        return Armament(ArmState(False, f"refused: {names}"), checks)
    return Armament(Arm(settings.data_dir).arm(wish.who, wish.reason.strip(), wish.minutes), checks)


def wish_lines(wish: Wish) -> list[Line]:
    """See whether the operator means it."""
    phrase = (
        passed("phrase", "as asked for")
        if wish.phrase == ARM_PHRASE
        else failed("phrase", "another one", f"type {ARM_PHRASE} in capitals")
    )
    reason = (
        passed("reason", wish.reason.strip())
        if wish.reason.strip()
        else failed("reason", "none", "say why: it goes into the audit trail")
    )
    minutes = (
        passed("minutes", str(wish.minutes))
        if LEAST_MINUTES <= wish.minutes <= MOST_MINUTES
        else failed("minutes", str(wish.minutes), f"give {LEAST_MINUTES} to {MOST_MINUTES}")
    )
    return [phrase, reason, minutes]


def settings_lines(settings: Settings) -> list[Line]:
    """See whether the settings ask for live trading at all."""
    dry = (
        failed("DRY_RUN", "true: orders stay on paper", "set DRY_RUN=false")
        if settings.dry_run
        else passed("DRY_RUN", "false")
    )
    missing = [name.upper() for name in LIVE_NEEDS if not is_given(getattr(settings, name))]
    keys = (
        failed("keys", f"{', '.join(missing)} missing", "set what is missing")
        if missing
        else passed("keys", "all set")
    )
    venue = (
        passed("venue", "external")
        if settings.is_external
        else failed("venue", "practice", "set the venue's addresses: practice has nothing to arm")
    )
    return [dry, keys, venue]


def _holds_secret(settings: Settings, text: str) -> bool:
    """Say whether somebody pasted a key where a reason belongs."""
    values = (getattr(settings, name) for name in LIVE_NEEDS)
    secrets = (
        value.get_secret_value().removeprefix("0x") for value in values if isinstance(value, SecretStr)
    )
    return any(len(secret) >= LEAST_SECRET and secret.lower() in text.lower() for secret in secrets)


def _kill_line(settings: Settings) -> Line:
    latch = KillSwitch(settings.data_dir).read()
    if latch is None:
        return passed("kill switch", "not tripped")
    return failed("kill switch", f"tripped by {latch.who}: {latch.why}", "clear it first")


def _doctor_lines(doctor: list[Line]) -> list[Line]:
    """Sum the check-up up, and repeat what failed; the region has to be known to be clear."""
    wrong = [line for line in doctor if line.state == "fail"]
    summary = (
        failed("doctor", f"{len(wrong)} of {len(doctor)} checks fail", "python -m engine doctor")
        if wrong
        else passed("doctor", f"{len(doctor)} checks, none fails")
    )
    region = next((line for line in doctor if line.check == "geoblock"), None)
    if region is None or region.state != "pass":
        what = "not asked" if region is None else region.what
        clear = failed("region", what, "only a clear answer of the venue's site will do")
    else:
        clear = passed("region", region.what)
    return [*(line for line in wrong if line.check != "geoblock"), summary, clear]


def _truth_line(settings: Settings) -> Line:
    rtds = without_secrets(settings.rtds_ws_url) if settings.rtds_ws_url else None
    now_ms = time.time_ns() // 1_000_000
    agree, total = truth_of_last_day(settings.data_dir, now_ms, rtds)
    what = f"{agree} of {total} windows of the last 24 h agree with the venue's"
    if agree < LEAST_TRUTH:
        return failed("truth", f"{what}; {LEAST_TRUTH} needed", "let it run on paper, or record")
    if agree < total:
        return failed("truth", what, "find out why the others differ: the page Settlement truth")
    return passed("truth", what)
