"""Our keys stand in the frame that is sent, and nowhere else."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire import clob_user, polybolt
from engine.wire.credentials import HIDDEN, Credentials

KEY, SECRET, PASSPHRASE = "11111111-2222-3333-4444-555555555555", "c2VjcmV0/a+b/c==", "a passphrase"
OURS = Credentials(KEY, SECRET, PASSPHRASE)


def test_the_frames_that_prove_who_we_are_hold_all_three():
    """As the venue documents them (sheet, 2.1 and 3.7)."""
    wanted = {"apiKey": KEY, "secret": SECRET, "passphrase": PASSPHRASE}
    assert json.loads(polybolt.auth(OURS)) == {"op": "auth", "rid": "a1", "auth": wanted}
    assert json.loads(clob_user.subscribe(OURS)) == {"auth": wanted, "type": "user"}


def test_nothing_that_prints_them_tells_a_secret():
    """Logs, errors and debuggers print what they are given."""
    shown = f"{OURS} {OURS!r} {[OURS]} {vars(Credentials)}"
    for secret in (KEY, SECRET, PASSPHRASE):
        assert secret not in shown
    for copied in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            copied(OURS)


@pytest.mark.parametrize("secret", [KEY, SECRET, PASSPHRASE, SECRET.replace("/", "\\/")])
@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_what_the_venue_repeats_of_them_is_taken_out(secret, before, after):
    """Also where JSON escapes the slashes of base64."""
    assert secret not in OURS.hide(before + secret + after)


def test_our_orders_are_still_known_as_ours_after_that():
    """The key marks them in the venue's frames, and the mark takes its place."""
    assert OURS.hide(f'{{"owner":"{KEY}"}}') == f'{{"owner":"{OURS.owner}"}}'
    assert OURS.owner == HIDDEN


def test_a_text_too_short_to_be_told_from_a_number_is_left_alone():
    """A passphrase of ``1`` is nobody's secret, and every size of one share."""
    short = Credentials("k", "s", "1")
    frame = '{"owner":"k","size":"1"}'
    assert (short.hide(frame), short.owner) == (frame, "k")
