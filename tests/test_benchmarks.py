"""The load benchmarks run, and what they count adds up. How fast it was is not asked here."""

import pytest

from tests.shared_data import needs_recordings


@needs_recordings
@pytest.mark.whole
def test_the_flood_reaches_the_core_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole engine, another process, a console: every frame sent is processed and recorded, none lost.

    A fifth of the benchmark's rate: whether the machine keeps up with ten thousand a second is its question.
    """
    from benchmarks import flood

    monkeypatch.setattr(flood, "RATE", 2_000)
    told = flood.measure(seconds=2)
    assert told["frames_sent"] == 2 * flood.RATE
    assert told["frames_processed"] == told["frames_sent"]
    # Besides the flood's frames the socket brings the quiet books and an answer to a ping.
    assert told["raw_frames"] >= told["frames_sent"]
    assert told["raw_lost"] == 0
    assert told["connections"] == 1
    assert told["slow_consumer_closes"] == 0
    assert told["console_frames"] > 0
    assert told["halted"] is None
    assert {"engine", "journal", "raw recorder", "console"} <= set(told["cpu_s"])
    assert told["baseline"]["frames"] == told["frames_sent"]


@needs_recordings
def test_the_recorder_is_measured_by_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both writers' shares are there and add up."""
    from benchmarks import recorder

    monkeypatch.setattr(recorder, "SECONDS", 1)
    told = recorder.measure()
    assert told["raw_lost"] == 0
    assert told["recorder_share"] == pytest.approx(told["journal_share"] + told["raw_share"], abs=1e-3)
    assert told["journal_share"] > 0
    assert told["raw_share"] > 0
    assert 0 < told["recorder_share"] < 1
    assert told["raw_mb"] > 0


@needs_recordings
def test_a_frame_of_the_flood_is_the_recorded_one_with_new_stamps() -> None:
    """Nothing else differs, or the flood would measure another market."""
    import json

    from benchmarks.recordings import burst_forms, burst_frames, sent_ns

    for frame, form in zip(burst_frames(), burst_forms(), strict=True):
        recorded, flooded = json.loads(frame), form.stamped(1_790_000_000_000, 123)
        assert sent_ns(flooded) == 123
        assert json.loads(flooded) == {**recorded, "timestamp": "1790000000000", "sent": 123}
    assert sent_ns("PONG") is None
