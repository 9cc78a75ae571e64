"""How often passwords may be tried, and by which address a try is counted."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.run.throttle import (
    ADDRESSES_MOST,
    AGAIN_A_MINUTE,
    FREE_TRIES,
    KNOWN_A_MINUTE,
    PEER_A_MINUTE,
    TRIES_A_MINUTE,
    WAIT_S,
    Origin,
    Throttle,
    origin_of,
)

A, B = Origin("192.0.2.1", "192.0.2.1"), Origin("192.0.2.2", "192.0.2.2")


def nth(n: int, peer: str = "") -> Origin:
    """Return one of many addresses, straight or by a peer."""
    address = f"198.51.{n // 256}.{n % 256}"
    return Origin(address, peer or address)


def clocked() -> tuple[Throttle, list[float]]:
    now = [0.0]
    return Throttle(lambda: now[0]), now


def test_one_address_has_some_free_tries_and_then_waits_longer_and_longer() -> None:
    """A thousand words an hour become a handful; the operator next door is not kept out."""
    throttle, now = clocked()
    for _ in range(FREE_TRIES):
        assert throttle.wait_s(A) == 0
        throttle.note(A, right=False)
    waits = []
    for _ in range(4):
        waits.append(throttle.wait_s(A))
        assert throttle.wait_s(B) == 0
        now[0] += waits[-1]
        assert throttle.wait_s(A) == 0
        throttle.note(A, right=False)
    assert waits == [15.0, 30.0, 60.0, 120.0]
    now[0] += 4_000
    assert throttle.wait_s(A) == 0
    throttle.note(A, right=True)
    assert throttle.wait_s(A) == 0


def test_all_addresses_together_have_a_limit_too() -> None:
    """A botnet has an address for each try, and each costs a tenth of a second of a core."""
    throttle, now = clocked()
    assert all(throttle.wait_s(nth(n)) == 0 for n in range(TRIES_A_MINUTE))
    assert throttle.wait_s(B) > 0
    now[0] += 61
    assert throttle.wait_s(B) == 0


def test_one_peer_that_makes_up_addresses_uses_up_nobody_elses_share() -> None:
    """Each made-up address is new and so has free tries; the way they come by is always the same."""
    throttle, _ = clocked()
    made = [throttle.wait_s(nth(n, peer="127.0.0.1")) for n in range(100)]
    assert made.count(0.0) == PEER_A_MINUTE
    assert throttle.wait_s(B) == 0, "who is elsewhere"


def test_those_who_fail_again_leave_a_share_for_those_who_have_not_failed() -> None:
    """Else a few addresses that guess all the time keep everybody out."""
    throttle, now = clocked()
    for n in range(30):
        if throttle.wait_s(nth(n)) == 0:
            throttle.note(nth(n), right=False)
    now[0] += 61
    again = [throttle.wait_s(nth(n)) for n in range(30) for _ in range(3)]
    assert again.count(0.0) == AGAIN_A_MINUTE
    assert throttle.wait_s(B) == 0


def test_who_signed_in_before_is_kept_out_by_no_flood() -> None:
    """An operator behind the same proxy as a botnet has to get in while it lasts."""
    throttle, now = clocked()
    operator = Origin(B.address, "127.0.0.1")
    assert throttle.wait_s(operator) == 0
    throttle.note(operator, right=True)
    for n in range(3 * ADDRESSES_MOST):
        now[0] += 1
        if throttle.wait_s(nth(n, peer="127.0.0.1")) == 0:
            throttle.note(nth(n, peer="127.0.0.1"), right=False)
    assert throttle.wait_s(nth(60_000, peer="127.0.0.1")) > 0
    for _ in range(KNOWN_A_MINUTE):
        assert throttle.wait_s(operator) == 0
        throttle.note(operator, right=True)
    assert throttle.wait_s(operator) > 0, "that share has an end too"


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("address", "every_s"), [("192.0.2.9", 0.5), (B.address, 5.0)])
def test_no_viewer_who_signs_in_all_the_time_keeps_an_operator_out(
    known: bool, address: str, every_s: float
) -> None:
    """A monitor does, by the operator's own proxy or from his address, and its password is right."""
    throttle, now = clocked()
    operator, viewer = Origin(B.address, "127.0.0.1"), Origin(address, "127.0.0.1")
    if known:
        assert throttle.wait_s(operator) == 0
        throttle.note(operator, right=True)
    waits = []
    for n in range(int(3_600 / every_s)):
        now[0] += every_s
        if throttle.wait_s(viewer) == 0:
            throttle.note(viewer, right=True, forgiven=False)
        if n % int(30 / every_s) == 5:
            waits.append(throttle.wait_s(operator))
            if not waits[-1]:
                throttle.note(operator, right=True)
    assert len(waits) == 120
    assert waits == [0.0] * 120


def test_one_known_address_uses_up_no_other_ones_share() -> None:
    """Each operator's address has its own, also while strangers use up what is for all."""
    throttle, _ = clocked()
    for one in (A, B):
        assert throttle.wait_s(one) == 0
        throttle.note(one, right=True)
    for n in range(TRIES_A_MINUTE):
        throttle.wait_s(nth(n))
    assert [throttle.wait_s(A) for _ in range(4)] == [0.0] * 4
    for _ in range(FREE_TRIES):
        throttle.note(A, right=True)
    while throttle.wait_s(A) == 0:
        throttle.note(A, right=True)
    assert throttle.wait_s(B) == 0


def test_an_operator_who_mistypes_keeps_his_share() -> None:
    """Else one slip while strangers try would shut him out for as long as they do."""
    throttle, _ = clocked()
    assert throttle.wait_s(B) == 0
    throttle.note(B, right=True)
    for n in range(TRIES_A_MINUTE):
        throttle.wait_s(nth(n))
    for _ in range(FREE_TRIES):
        assert throttle.wait_s(B) == 0
        throttle.note(B, right=False)
    assert throttle.wait_s(B) > 0, "and no more free tries than others"


def test_only_the_operators_password_makes_an_address_known() -> None:
    """A viewer's loop would take of the share that is kept for operators."""
    throttle, _ = clocked()
    assert throttle.wait_s(A) == 0
    throttle.note(A, right=True, forgiven=False)
    for n in range(TRIES_A_MINUTE):
        throttle.wait_s(nth(n))
    assert throttle.wait_s(A) > 0


def test_tries_made_at_once_are_as_many_as_made_one_by_one() -> None:
    """Each is counted as it begins: thirty at once were all checked before the first was found wrong."""
    throttle, now = clocked()
    with ThreadPoolExecutor(30) as pool:
        waits = list(pool.map(lambda _: throttle.wait_s(A), range(30)))
    assert waits.count(0.0) == FREE_TRIES
    for _ in range(FREE_TRIES):
        throttle.note(A, right=False)
    now[0] += WAIT_S
    assert [throttle.wait_s(A) == 0 for _ in range(3)] == [True, False, False]
    throttle.note(A, right=False)
    assert throttle.wait_s(A) == 2 * WAIT_S


def test_tries_that_nobody_told_the_end_of_are_forgotten() -> None:
    """A check that breaks off must not shut an address out."""
    throttle, now = clocked()
    assert [throttle.wait_s(A) for _ in range(FREE_TRIES)] == [0.0] * FREE_TRIES
    assert throttle.wait_s(A) > 0
    now[0] += 61
    assert throttle.wait_s(A) == 0


def test_a_viewers_right_password_forgives_no_wrong_ones() -> None:
    """It is no sign that the operator's was only mistyped."""
    throttle, _ = clocked()
    for _ in range(FREE_TRIES):
        throttle.note(A, right=False)
        throttle.note(A, right=True, forgiven=False)
    assert throttle.wait_s(A) > 0


def test_one_customers_network_of_ipv6_counts_as_one_address() -> None:
    """It has 18 trillion million of them."""
    throttle, _ = clocked()
    for n in range(FREE_TRIES):
        throttle.note(Origin(f"2001:db8:1:2::{n}", "::1"), right=False)
    assert throttle.wait_s(Origin("2001:db8:1:2:ffff::9", "::1")) > 0
    assert throttle.wait_s(Origin("2001:db8:1:3::1", "::1")) == 0


LAN = "172.18.0.2"


@pytest.mark.parametrize(
    ("told", "peer", "trusted", "address"),
    [
        ([], "10.0.0.1", "", "10.0.0.1"),
        (["1.2.3.4"], "127.0.0.1", "", "1.2.3.4"),
        (["1.2.3.4"], "::1", "", "1.2.3.4"),
        (["1.2.3.4"], "::ffff:127.0.0.1", "", "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], "127.0.0.1", "", "1.2.3.4"),
        (["6.6.6.6", "1.2.3.4"], "127.0.0.1", "", "1.2.3.4"),
        (["6.6.6.6, [2001:db8::7]:443"], "127.0.0.1", "", "2001:db8::7"),
        (["6.6.6.6, 1.2.3.4:5555"], "127.0.0.1", "", "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], "1.2.3.4", "", "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], LAN, "", LAN),
        (["6.6.6.6, 1.2.3.4"], LAN, "192.168.0.0/16", LAN),
        (["6.6.6.6, 1.2.3.4"], LAN, "172.18.0.2", "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], LAN, "10.1.1.1, 172.18.0.0/16", "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], f"::ffff:{LAN}", "172.18.0.0/16", "1.2.3.4"),
        (["6.6.6.6"], "8.8.8.8", "", "8.8.8.8"),
        (["unknown"], "127.0.0.1", "", "127.0.0.1"),
        ([""], LAN, "", LAN),
        ([], "", "", "an unknown address"),
        (["1.2.3.4"], "", "", "an unknown address"),
    ],
)
def test_tries_are_counted_by_what_a_trusted_proxy_wrote(
    told: list[str], peer: str, trusted: str, address: str
) -> None:
    """A visitor who makes up the header gets no free tries; the last entry is the proxy's own."""
    assert origin_of(told, peer, trusted).address == address


@given(st.lists(st.text(max_size=30), max_size=3), st.sampled_from(["8.8.8.8", "10.0.0.1", "fe80::1%eth0"]))
def test_whatever_a_stranger_writes_he_is_counted_by_his_own_address(told: list[str], peer: str) -> None:
    """And nothing that he writes raises."""
    assert origin_of(told, peer).address == peer
