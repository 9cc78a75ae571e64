"""How each open contract settles: our reading beside the venue's own words."""

from typing import Final

import streamlit as st

from engine.snapshot import ContractView
from pages import access
from pages.widgets import plain, stream

REFRESH_S: Final = 2.0


@access.fragment(REFRESH_S)
def shown() -> None:
    """Show how each open contract settles: our reading, and the venue's own words."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    st.subheader("The rule of each open contract", anchor=False)
    contracts = [one for one in snapshot.contracts if one.phase in plain.RUNNING or _comes_changed(one)]
    if not contracts:
        st.info("Waiting for the venue to describe the next window.")
    for contract in contracts:
        with st.container(border=True):
            _rule(contract)


def _comes_changed(contract: ContractView) -> bool:
    return contract.phase == "upcoming" and contract.rule_before is not None


def _rule(contract: ContractView) -> None:
    st.markdown(f"**{plain.window(contract)}**: we read it as **{plain.marked_down(contract.rule)}**")
    if contract.observe_only is not None:
        st.warning(f"OBSERVE ONLY: {plain.marked_down(contract.observe_only)}")
    if contract.rule_before is None:
        st.caption("The venue's words")
        st.text(contract.rule_words)
        return
    before, now = st.columns(2)
    with before:
        st.caption("The venue's words, window before")
        st.text(contract.rule_before)
    with now:
        st.caption("The venue's words, CHANGED")
        st.text(contract.rule_words)
