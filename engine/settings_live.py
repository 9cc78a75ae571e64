"""What settings lack that ask for live trading. Live is what ``DRY_RUN=false`` asks for, nothing else does.

Limits need no look: each has a default, and one that is not positive is no ``Settings``. The keys are not
tried here, only looked for (``engine doctor`` tries them).
"""

from typing import Any, Final

from engine.ephemeral import is_ephemeral
from engine.settings_secrets import is_given

LIVE_NEEDS: Final = ("private_key", "api_key", "api_secret", "api_passphrase", "wallet_address")
"""What an order has to be signed and sent with."""


def faults_of_live(settings: Any, venue_urls: tuple[str, ...]) -> list[str]:
    """Say what settings lack for live trading, in one line each; nothing where they ask for paper.

    Args:
        settings: ``engine.config.Settings``.
        venue_urls: The names of the addresses that a venue needs.
    """
    if settings.dry_run:
        return []
    faults = [
        f"{name.upper()} is missing: DRY_RUN=false needs it"
        for name in LIVE_NEEDS
        if not is_given(getattr(settings, name))
    ]
    if not settings.is_external:
        faults.append(
            f"DRY_RUN=false and the venue is practice: set the venue's addresses ({', '.join(venue_urls)}), "
            "or DRY_RUN=true"
        )
    if is_ephemeral(settings.ephemeral_storage):
        faults.append(
            "DRY_RUN=false where storage is lost with the process (EPHEMERAL_STORAGE, or Streamlit Cloud): "
            "paper alone runs here, set DRY_RUN=true"
        )
    return faults
