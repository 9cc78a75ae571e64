"""How the machine is: feeds, topics, recorder, process; and the doctor, when asked."""

from typing import Any, Final

import streamlit as st

from engine import desk
from engine.desk import STALE_S
from engine.run import table_text, worker
from engine.run.alarm_post import try_alarm
from engine.run.engine import PUBLISH_EVERY_S
from engine.run.health_view import measure
from engine.run.sessions.kept import last_verdict
from engine.snapshot import ClockView, PulseView, Snapshot
from pages import access
from pages.widgets import mode, plain, sessions, stream, tables

REFRESH_S: Final = 2.0
MEASURE_S: Final = 5.0
JOB_S: Final = 1.0
DASH: Final = "–"


def _number(value: float | None, pattern: str, unit: str = "") -> str:
    return DASH if value is None else f"{format(value, pattern)}{unit}"


@access.fragment(REFRESH_S)
def engine() -> None:
    """Show the figures of the engine's loop, clock and journal."""
    counter = desk.current()
    if counter is None:
        st.error(mode.NO_ENGINE)
        return
    health, snapshot = counter.health(), stream.newest_snapshot()
    st.subheader("Engine", anchor="engine")
    told = health.error and health.state != "elsewhere"
    state = f"{health.state}: {health.error}" if told else health.state
    with st.container(horizontal=True):
        st.metric(
            "Engine",
            state,
            help=f"running, silent (no snapshot for {STALE_S:g} s), starting, stopped, failed, elsewhere",
        )
        every = f"published each {PUBLISH_EVERY_S:g} s"
        st.metric("Snapshot age", _number(health.snapshot_age_s, ".1f", " s"), help=every)
        st.metric("Sessions", f"{health.sessions}", help="tabs that are fed by their own queue")
        if snapshot is not None:
            _figures(snapshot)
    if snapshot is not None:
        with st.container(horizontal=True):
            _lags(snapshot)
        if snapshot.life.order_beat_why:
            st.error(f"**Order heartbeat failed**: {plain.marked_down(snapshot.life.order_beat_why)}")
    if snapshot is not None and snapshot.mode.behind_why:
        st.error(f"**Behind its feeds**: {plain.marked_down(snapshot.mode.behind_why)}. No new order leaves.")


def _figures(snapshot: Snapshot) -> None:
    st.metric("Uptime", table_text.lasted(snapshot.uptime_s) or DASH)
    st.metric("Events", f"{snapshot.seq:,}", help="numbered since the session began")
    st.metric("Journal", f"{snapshot.journal_seq:,}", help="number of the newest event on the disk")
    st.metric("Clock", _clock(snapshot.clock), help="ours less the venue's; WRONG stops orders")
    st.metric("Backlog", "BEHIND" if snapshot.mode.behind_why else "keeps up")


def _clock(clock: ClockView) -> str:
    """Say how far the clock is off, and where it is not as it should be: a hover is not looked at."""
    if clock.skew_ms is None and clock.ok is None:
        return DASH
    doubt = {None: ", unchecked", False: ", WRONG", True: ""}[clock.ok]
    return f"{_number(clock.skew_ms, '+z,.0f', ' ms')}{doubt}"


def _lags(snapshot: Snapshot) -> None:
    """Show how late the engine's loop and its two recorders are, and the order heartbeat."""
    life = snapshot.life
    late = "how late the loop's own timer came, over the last minute"
    st.metric("Loop lag p50", _number(life.loop_p50_ms, ",.1f", " ms"), help=late)
    st.metric("Loop lag p99", _number(life.loop_p99_ms, ",.1f", " ms"), help=late)
    st.metric("Loop lag, worst", _number(life.loop_worst_ms, ",.0f", " ms"), help=late)
    st.metric(
        "Journal lag", _number(snapshot.journal_lag_ms, ",.0f", " ms"), help="age of the oldest unwritten"
    )
    words = "age of the oldest raw frame not on the disk; a dash where frames are not recorded"
    st.metric("Raw recorder lag", _number(life.raw_lag_ms, ",.0f", " ms"), help=words)
    words = "since the venue took one; they beat only while an order's fate is unknown"
    st.metric("Order heartbeat", _number(life.order_beat_age_s, ",.1f", " s"), help=words)


@access.fragment(MEASURE_S)
def process() -> None:
    """Show what the machine says of the process and of the data folder."""
    counter = desk.current()
    if counter is None:
        return
    now = measure(counter.settings.data_dir, counter.latest.session if counter.latest else "")
    st.subheader("Process and disk", anchor="process")
    with st.container(horizontal=True):
        st.metric("Memory", table_text.megabytes(now.memory_mb) or DASH)
        st.metric("Threads", f"{len(now.threads)}", help=", ".join(now.threads))
        st.metric("Open files", _number(now.open_files, ",d"))
        st.metric("Load", _number(now.load, ".2f"), help="of the machine, mean of one minute")
        st.metric("Journal size", table_text.megabytes(now.journal_mb) or DASH)
        st.metric("Raw frames", table_text.megabytes(now.raw_mb) or DASH, help=f"{now.raw_segments} segments")
        st.metric("Data folder", table_text.megabytes(now.data_mb) or DASH)
        st.metric("Disk free", table_text.megabytes(now.free_mb) or DASH)


@access.fragment(REFRESH_S)
def feeds() -> None:
    """Show the connections, the topics on them, and what was refused."""
    snapshot = stream.newest_snapshot()
    if snapshot is None:
        return
    st.subheader("Connections", anchor="feeds")
    pulses = {pulse.name: pulse for pulse in snapshot.life.pulses}
    connections = [
        {
            "name": feed.name,
            "state": "DOWN" if not feed.connected else "STALE" if feed.stale else "connected",
            "age_s": feed.age_s,
            **_pulse(pulses.get(feed.name) if feed.connected else None),
            "frames": feed.frames,
            "refused": feed.refused,
            "reconnects": feed.reconnects,
            "detail": feed.detail,
        }
        for feed in snapshot.feeds
    ]
    nothing = "Nothing is connected yet: each connection is listed once the engine opens it."
    tables.shown(connections, _connection_columns(), "health-feeds", nothing)
    tables.export(lambda: connections, "connections")
    st.subheader("Topics", anchor="topics")
    topics = [{name: getattr(topic, name) for name in topic.__struct_fields__} for topic in snapshot.topics]
    nothing = "No topic was heard yet: each is listed with its first value."
    tables.shown(topics, _topic_columns(), "health-topics", nothing)
    tables.export(lambda: topics, "topics")
    if snapshot.bad_prices:
        words = ", ".join(f"{name} {count:,}" for name, count in snapshot.bad_prices.items())
        st.caption(f"Prices refused or late: {plain.marked_down(words)}")


def _pulse(pulse: PulseView | None) -> dict[str, float | None]:
    """Return a socket's answers; all unknown while it is down, and for what is no socket."""
    if pulse is None:
        return {"pong_age_s": None, "pong_ms": None, "word_age_s": None}
    return {"pong_age_s": pulse.pong_age_s, "pong_ms": pulse.pong_ms, "word_age_s": pulse.word_age_s}


def _connection_columns() -> dict[str, Any]:
    return {
        "name": tables.text("connection"),
        "state": tables.text("state"),
        "age_s": tables.number("silence, s", "venue seconds since its last data", "%,.1f"),
        "pong_age_s": tables.number("pong, s", "seconds since the other end answered our ping", "%,.1f"),
        "pong_ms": tables.number("round trip, ms", "milliseconds that answer took", "%,.0f"),
        "word_age_s": tables.number(
            "keep-alive, s", "seconds since it answered the venue's own PING", "%,.1f"
        ),
        "frames": tables.count("frames", "received"),
        "refused": tables.count("refused", "frames that could not be read"),
        "reconnects": tables.count("reconnects", "since the session began"),
        "detail": tables.text("detail"),
    }


def _topic_columns() -> dict[str, Any]:
    return {
        "name": tables.text("topic"),
        "state": tables.text("state"),
        "age_s": tables.number("silence, s", "venue seconds", "%,.1f"),
        "lag_p50_s": tables.number("lag p50, s", "seconds", "%,.2f"),
        "lag_p95_s": tables.number("lag p95, s", "seconds", "%,.2f"),
        "lag_p99_s": tables.number("lag p99, s", "seconds", "%,.2f"),
        "missing": tables.count("missing, s", "seconds of the last 300 that never came"),
        "lost": tables.count("lost frames", "frames that a numbering feed skipped"),
    }


@access.fragment(MEASURE_S)
def proof() -> None:
    """Show what the last proof by replay came to, of the newest session that was verified."""
    counter = desk.current()
    if counter is None:
        return
    verdict = last_verdict(counter.settings.data_dir)
    st.subheader("Proof by replay", anchor="proof")
    if verdict is None:
        st.info("No session was verified yet: the page Sessions does it, and `python -m engine verify`.")
        return
    st.markdown(f"Session **{plain.marked_down(verdict.session)}**")
    sessions.outcome(verdict)


@access.fragment()
def alarms() -> None:
    """Show where alarms go, and the button that tries it."""
    counter = desk.current()
    if counter is None:
        return
    settings = counter.settings
    st.subheader("Alarms", anchor="alarms")
    st.caption("Halt, kill, unknown order, drift, stuck redeem and the day's summary: docs/alarms.md.")
    there = (
        f"posted to a webhook ({settings.alarm_shape})" if settings.alarm_url else "written to the log alone"
    )
    st.write(f"Alarms are {there}.")
    locked = access.locked() or settings.alarm_url is None
    why = access.why_locked(None if settings.alarm_url else "There is no webhook: set ALARM_URL.")
    st.button("Send a test alarm", key="try-alarm", on_click=_try_alarm, disabled=locked, help=why)
    if "alarm-tried" in st.session_state:
        st.info(st.session_state["alarm-tried"])


@access.needs_operator("to send a test alarm")
def _try_alarm() -> None:
    counter = desk.current()
    if counter is not None:
        st.session_state["alarm-tried"] = try_alarm(counter.settings)


@access.fragment(JOB_S)
def doctor() -> None:
    """Show the button that asks the doctor, and what he said last."""
    counter = desk.current()
    st.subheader("Doctor", anchor="doctor")
    st.caption("The check-up of `python -m engine doctor`: about five seconds, only reads and subscriptions.")
    if counter is None:
        return
    job = worker.last("doctor")
    busy = job is not None and job.runs
    locked = busy or access.locked()
    label, why = "Looking…" if busy else "Examine", access.why_locked()
    st.button(label, key="doctor", on_click=_examine, disabled=locked, help=why)
    if job is None or busy:
        return
    if job.error:
        st.error(plain.marked_down(job.error))
        return
    st.caption(f"Looked at {plain.utc(job.began_ms)}", help=plain.local(job.began_ms))
    mode.checks(job.result, "doctor-lines")


@access.needs_operator("to examine by the doctor")
def _examine() -> None:
    counter = desk.current()
    if counter is not None:
        worker.examine(counter.settings)
