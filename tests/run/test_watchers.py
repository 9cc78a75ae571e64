"""The watchers beside the engine: the certificate, the log of orders and windows, and halts."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from engine.config import load_settings
from engine.kill import KillSwitch
from engine.run.tls_file import ends_s
from engine.run.watchers import Watchers
from tests.core.builders import Core
from tests.run.test_alarm_post import Hook
from tests.snapshots import order, settlement, snapshot_of

LONG = """-----BEGIN CERTIFICATE-----
MIIBizCCATGgAwIBAgIUTQgaBuryiYnkRFDalHLQkMI7M48wCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPY29uc29sZS5leGFtcGxlMCAXDTI2MTEyOTA4MzMwMloYDzIx
MjYxMTA1MDgzMzAyWjAaMRgwFgYDVQQDDA9jb25zb2xlLmV4YW1wbGUwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAATT36IQ9uJwvzzrKzyv/bRAPhM4F3XTSTYa8rB2
1iQWZA6AV8TLW9W9oYEPhzFqBZMcVY86u0mwOubjphxvdqiwo1MwUTAdBgNVHQ4E
FgQUsKnghb6HIpYOiJD/tfpdjyUJ6wMwHwYDVR0jBBgwFoAUsKnghb6HIpYOiJD/
tfpdjyUJ6wMwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiB699+k
wl1jpqiRCFr/5x44btl6h9aJh1Eh68EWI7pA4wIhANccxEOzkRD/1Ei+zxHcNVUj
M9/IDiR5pRTKb0DktkwL
-----END CERTIFICATE-----
"""
"""Ends on 2126-11-05: a GeneralizedTime, as all from 2050 on."""

SHORT = """-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUVbhsz1Hr8HIygj3r2rahmNCGOWYwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPY29uc29sZS5leGFtcGxlMB4XDTI2MTEyOTA4MzMwMloXDTI2
MTEzMDA4MzMwMlowGjEYMBYGA1UEAwwPY29uc29sZS5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAE09+iEPbicL886ys8r/20QD4TOBd100k2GvKwdtYk
FmQOgFfEy1vVvaGBD4cxagWTHFWPOrtJsDrm46Ycb3aosKNTMFEwHQYDVR0OBBYE
FLCp4IW+hyKWDoiQ/7X6XY8lCesDMB8GA1UdIwQYMBaAFLCp4IW+hyKWDoiQ/7X6
XY8lCesDMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAKwXBy7J
VQ1WXPU0HeExXHOYI9ExCj0U7tNIip03Kg1XAiA+sNVrTX2EN5zMNkl4NuDtAapM
a3OzOBmjegf7gJmWYg==
-----END CERTIFICATE-----
"""
"""Ended on 2026-11-30: a UTCTime."""


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "engine")


def watchers(folder: Path, **settings: object) -> Watchers:
    return Watchers(load_settings(data_dir=folder, **settings), KillSwitch(folder))


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict]:
    return [vars(record) for record in caplog.records if record.getMessage() == name]


def test_the_end_of_a_certificate_is_read_in_both_forms(tmp_path: Path) -> None:
    """OpenSSL says of these: Nov 5 08:33:02 2126 GMT, Nov 30 08:33:02 2026 GMT."""
    (tmp_path / "long.pem").write_text("some text before\n" + LONG + SHORT)
    (tmp_path / "short.pem").write_text(SHORT + LONG)
    assert ends_s(tmp_path / "long.pem") == datetime(2126, 11, 5, 8, 33, 2, tzinfo=UTC).timestamp()
    assert ends_s(tmp_path / "short.pem") == datetime(2026, 11, 30, 8, 33, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["", "no certificate", LONG[:200], LONG.replace("MIIB", "AAAA")])
def test_what_is_no_certificate_is_said(tmp_path: Path, text: str) -> None:
    """One kind of error, whatever is in the file."""
    path = tmp_path / "odd.pem"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"certificate|padding|base64|PEM|time data"):
        ends_s(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SHORT, "renew it and reload the proxy"),
        (LONG, ""),
        ("nothing", "cannot be read"),
        (None, "No such file"),
    ],
)
def test_an_expired_certificate_is_one_line_that_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None, says: str
) -> None:
    """Browsers would say it first, to everybody at once."""
    path = tmp_path / "tls.pem"
    if text is not None:
        path.write_text(text)
    known = watchers(tmp_path, tls_cert_file=path)
    known.take(snapshot_of(Core()))
    known.take(snapshot_of(Core()))
    said = events(caplog, "alarm")
    assert len(said) == bool(says)
    assert not says or (says in said[0]["why"] and str(path) in said[0]["why"])
    assert (known.metrics.certificate_ends_s is not None) is (text in (SHORT, LONG))


def test_each_step_of_an_order_is_one_line_with_its_contract(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks what became of an order finds all of it under one name."""
    known = watchers(tmp_path)
    for state in ("intended", "sent", "sent", "filled", "filled"):
        known.take(snapshot_of(Core(), orders=[order("o7", state)]))
    said = events(caplog, "order")
    assert [one["state"] for one in said] == ["intended", "sent", "filled"]
    assert {(one["order"], one["slug"]) for one in said} == {("o7", "btc-updown-5m-1790000100")}


def test_each_verdict_of_a_window_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Waiting is no verdict; a later word is."""
    known = watchers(tmp_path)
    for verdict in ("waiting", "unknown", "unknown", "agrees"):
        known.take(snapshot_of(Core(), settlements=[settlement("w", verdict)]))
    assert [one["verdict"] for one in events(caplog, "settled")] == ["unknown", "agrees"]


def test_a_halt_is_an_alarm_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may be there any more to publish a snapshot."""
    watchers(tmp_path).halted("the journal failed")
    assert [one["why"] for one in events(caplog, "alarm")] == ["the journal failed"]


def test_a_cause_that_came_back_too_soon_reaches_the_webhook_when_the_pause_ends(tmp_path: Path) -> None:
    """It was counted as held back, and the last that anybody heard was of a cause that had gone."""
    hook = Hook()
    try:
        watched = watchers(tmp_path, alarm_url=hook.url, metrics_port=0)
        now = [100.0]
        watched._poster._now = lambda: now[0]
        calm = snapshot_of(Core())
        ill = msgspec.structs.replace(calm, orders=[order("o9", "unknown", reason="no answer")])
        with watched.at_work():
            for snapshot in (calm, ill, calm, ill):
                watched.take(snapshot)
            assert watched.metrics.posts is not None
            assert watched.metrics.posts()["held back"] == 1
            now[0] += 60.0
            watched.take(ill)
            hook.wait_for(2)
        assert [body["order"] for body in hook.bodies] == ["o9", "o9"]
    finally:
        hook.close()
