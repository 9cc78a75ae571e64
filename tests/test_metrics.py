"""Metrics: what the engine does is counted once, named by convention, documented, and served."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from engine import events as e
from engine.kill import KillSwitch
from engine.metric_names import METRICS, PREFIX, PROCESS, markdown
from engine.metric_samples import ERRORS, REASONS, reason_of_close, samples
from engine.metrics import ENDED, VERDICTS, Histogram, Metrics
from engine.params import Limits
from engine.snapshot import AccountView, PulseView, Snapshot
from tests.core.builders import Core, contract
from tests.run.test_health_view import SIZES
from tests.snapshots import NOW_MS, order, settlement, snapshot_of
from tests.test_nginx import free_port

ROOT = Path(__file__).resolve().parent.parent
PROMTOOL = shutil.which("promtool")


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(KillSwitch(tmp_path), tmp_path)


@pytest.fixture
def core() -> Core:
    known = Core()
    known.feed(e.MarketDescribed(ts_recv_ms=NOW_MS, contract=contract()))
    known.feed(e.FeedOpened(ts_recv_ms=NOW_MS, feed="rtds", epoch=1))
    return known


def told(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample as a scraper reads it, by name and labels."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {(one.name, frozenset(one.labels.items())): one.value for f in families for one in f.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return told(metrics).get((PREFIX + name, frozenset(labels.items())))


def full(metrics: Metrics, core: Core) -> None:
    """Let every metric have something to say."""
    metrics.meter.decided(60_000)
    metrics.meter.closed("clob", "half-open: neither pong nor data for 12 s")
    metrics.sessions = lambda: 3
    metrics.posts = lambda: {"sent": 1}
    metrics.certificate_ends_s = 2e9
    metrics.take(told_snapshot(core))


def told_snapshot(core: Core) -> Snapshot:
    """Return a snapshot in which nothing is unknown."""
    known = snapshot_of(core, orders=[order()], settlements=[settlement("w", "agrees")], divergence_bp=1.5)
    replace = msgspec.structs.replace
    pulse = PulseView(name="rtds", pong_age_s=1.0, pong_ms=20.0, word_age_s=None)
    lags = {"age_s": 0.5, "lag_p50_s": 1.1, "lag_p95_s": 1.5, "lag_p99_s": 2.0}
    return replace(
        known,
        topics=[replace(topic, **lags) for topic in known.topics],
        feeds=[replace(feed, age_s=0.2) for feed in known.feeds],
        contracts=[replace(one, up=replace(one.up, age_s=0.1)) for one in known.contracts],
        life=replace(
            known.life, pulses=[pulse], order_beat_age_s=1.0, loop_p50_ms=0.1, loop_p99_ms=0.9,
            loop_worst_ms=4.0, raw_lag_ms=20.0,
        ),
        clock=replace(known.clock, skew_ms=12.0, ok=True),
        mode=replace(known.mode, breakers={"drawdown": "x"}),
        account=replace(known.account, armed=True, alarms={"ghost fills": "y"}),
        bad_prices={"twap: zero": 1},
    )  # fmt: skip


def test_every_name_is_known_and_what_is_known_can_be_told(metrics: Metrics, core: Core) -> None:
    """A sample of a name that nobody declared would stop every scrape."""
    full(metrics, core)
    names = {name for name, _ in told(metrics)}
    ours = {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in ours}
    assert bases == set(METRICS), "and none of them is left out of what the linter reads"
    assert set(PROCESS) <= names


def test_sizes_are_of_the_journal_and_its_raw_frames_alone(
    metrics: Metrics, core: Core, tmp_path: Path
) -> None:
    """An alert on a journal that grows must not fire because somebody exported it or looked at a replay."""
    metrics.take(snapshot_of(core, session="s1"))
    folder = tmp_path / "sessions"
    folder.mkdir(exist_ok=True)
    for name, size in SIZES.items():
        (folder / f"s1{name[1:]}").write_bytes(b"x" * size)
    found = told(metrics)
    assert found[f"{PREFIX}journal_size_bytes", frozenset()] == 111
    assert found[f"{PREFIX}raw_size_bytes", frozenset()] == 3_000
    metrics.take(snapshot_of(core, session=""))
    assert told(metrics)[f"{PREFIX}journal_size_bytes", frozenset()] == 0, "before there is a session"


def test_names_and_units_are_those_of_the_convention() -> None:
    """Counters end in _total and nothing else does; times are seconds, sizes bytes."""
    for name, metric in METRICS.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)
        assert name.endswith("_total") is (metric.kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|mb|s|usd|percent|bps?)(_|$)", name), name
        assert "le" not in metric.labels


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: on Debian, apt-get install prometheus")
def test_prometheus_own_linter_has_nothing_to_say(metrics: Metrics, core: Core) -> None:
    """promtool check metrics knows the conventions better than we do."""
    full(metrics, core)
    ours = [line for line in metrics.exposition().decode().splitlines() if "process_" not in line]
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"],
        input="\n".join(ours) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_what_is_unknown_is_absent(metrics: Metrics, core: Core) -> None:
    """A feed that never spoke has no age of 0; before the first snapshot only the kill switch is known."""
    assert value(metrics, "kill_latched") == 0.0
    assert value(metrics, "snapshot_age_seconds") is None
    metrics.take(snapshot_of(core))
    assert value(metrics, "feed_connected", feed="rtds") == 1.0
    assert value(metrics, "feed_age_seconds", feed="rtds") is None
    assert value(metrics, "clock_skew_seconds") is None
    assert value(metrics, "armed") is None
    assert value(metrics, "snapshot_age_seconds") < 5  # type: ignore[operator]


@pytest.mark.parametrize("most_usd", [40.0, 250.0])
def test_a_limit_is_told_beside_what_is_left_of_it(metrics: Metrics, most_usd: float) -> None:
    """What is left says nothing alone: 40 dollars are all of one limit and little of another."""
    metrics.take(snapshot_of(Core(limits=Limits(max_daily_loss_usd=most_usd))))
    assert value(metrics, "limit_dollars", limit="daily loss") == most_usd
    assert value(metrics, "limit_left_dollars", limit="daily loss") == most_usd
    hourly = value(metrics, "limit_trades", limit="trades an hour")
    assert hourly is not None
    assert hourly == value(metrics, "limit_left_trades", limit="trades an hour") > 0
    assert value(metrics, "limit_left_dollars", limit="balance") == value(
        metrics, "limit_dollars", limit="balance"
    )


def test_the_kill_switch_is_read_from_its_file(metrics: Metrics, core: Core, tmp_path: Path) -> None:
    """An engine whose loop is stuck publishes nothing, and that is when it matters."""
    metrics.take(snapshot_of(core))
    KillSwitch(tmp_path).trip("somebody", "test")
    assert value(metrics, "kill_latched") == 1.0


@given(st.lists(st.lists(st.sampled_from(["sent", *ENDED]), min_size=1, max_size=4), max_size=12))
def test_an_order_is_counted_once_for_each_end_however_often_it_is_shown(fates: list[list[str]]) -> None:
    """Snapshots come ten times a second and show the same fifty orders each time."""
    metrics = Metrics(KillSwitch(Path()), Path())
    core = Core()
    for moment in range(4):
        orders = [order(f"o{number}", fate[min(moment, len(fate) - 1)]) for number, fate in enumerate(fates)]
        for _ in range(2):
            metrics.take(snapshot_of(core, orders=orders))
    for name in ENDED:
        assert metrics.tally.orders[name] == sum(name in fate for fate in fates)


def test_claimed_and_realised_value_are_of_the_same_orders(metrics: Metrics, core: Core) -> None:
    """20 shares at 90 cents, believed at 95 %: 0.90 $ claimed after fee; one wins, one loses."""
    metrics.take(snapshot_of(core, orders=[order("a"), order("b"), order("c")]))
    assert metrics.tally.claimed_usd == 0.0, "nothing has settled"
    both = [order("a", settled_value=1.0), order("b", settled_value=0.0), order("c")]
    for _ in range(3):
        metrics.take(snapshot_of(core, orders=both))
    assert metrics.tally.claimed_usd == pytest.approx(2 * (0.05 * 20 - 0.1))
    assert metrics.tally.realised_usd == pytest.approx(0.1 * 20 - 0.9 * 20 - 0.2)


def test_stages_are_wall_seconds_of_orders_that_ended(metrics: Metrics, core: Core) -> None:
    """Once each; a stage that was never reached has no time."""
    metrics.take(snapshot_of(core, orders=[order("a"), order("b", "denied", send_ms=None, answer_ms=None)]))
    assert value(metrics, "order_latency_seconds_count", stage="sign") == 2
    assert value(metrics, "order_latency_seconds_count", stage="answer") == 1
    assert value(metrics, "order_latency_seconds_sum", stage="answer") == pytest.approx(0.09)


def test_verdicts_are_told_from_the_start(metrics: Metrics, core: Core) -> None:
    """An alert on an increase sees none where the series begins with its first drift."""
    metrics.take(snapshot_of(core, settlements=[settlement("w", "waiting")]))
    assert {name: value(metrics, "settlements_total", verdict=name) for name in VERDICTS} == dict.fromkeys(
        VERDICTS, 0.0
    )
    metrics.take(snapshot_of(core, settlements=[settlement("w", "drift")]))
    assert value(metrics, "settlements_total", verdict="drift") == 1.0


def test_alarms_are_counted_by_kind_and_not_by_window(metrics: Metrics, core: Core) -> None:
    """Each window's name would be a new series for ever."""
    account: AccountView = snapshot_of(core).account
    alarms = {"stuck redeem btc-updown-5m-1": "x", "stuck redeem btc-updown-5m-2": "x", "ghost fills": "y"}
    metrics.take(snapshot_of(core, account=msgspec.structs.replace(account, alarms=alarms)))
    assert value(metrics, "alarm_active", alarm="stuck redeem") == 2
    assert value(metrics, "alarm_active", alarm="ghost fills") == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("refused with HTTP 503", "refused with HTTP"),
        ("HTTP 500", "refused with HTTP"),
        ("closed by the venue: 1001 going away", "closed by the venue"),
        ("closed: no close frame received or sent", "connection lost"),
        ("half-open: neither pong nor data for 12 s", "half-open"),
        ("more than 5 frames in a minute were not understood", "not understood"),
        ("subscribed and heard nothing for 8 s (twap)", "silent"),
        ("twap, chainlink silent for 12 s", "silent"),
        (
            "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5)",
            "ConnectionRefusedError",
        ),
        ("TimeoutError: ", "TimeoutError"),
        ("stopped: wrong key (refused by the venue)", "other"),
        ("whatever else 17", "other"),
    ],
)
def test_reasons_of_reconnects_are_few(text: str, reason: str) -> None:
    """Texts with figures and addresses in them would be series without end."""
    assert reason_of_close(text) == reason


@given(st.text(max_size=60))
def test_no_reason_brings_a_figure_or_a_secret(text: str) -> None:
    """Whatever the venue says when it closes."""
    assert re.fullmatch(r"[A-Za-z_\- ]+", reason_of_close(f"closed by the venue: {text}"))
    assert reason_of_close(text) in {*REASONS, *ERRORS}


def test_what_may_happen_is_told_as_none_before_it_happens(metrics: Metrics, core: Core) -> None:
    """Prometheus takes the increase of a series that begins at 1 for none: the first of each was lost."""
    metrics.take(snapshot_of(core))
    before = told(metrics)
    metrics.meter.closed("clob", "half-open: neither pong nor data for 12 s")
    metrics.meter.closed("spot", "gaierror: [Errno -2] Name or service not known")
    decided = {"trade": 1, "halt": 2}
    bad = {"twap: zero": 1, "rtds: no such field": 1}
    metrics.take(snapshot_of(core, orders=[order()], settlements=[settlement("w", "drift")],
                             decisions=decided, bad_prices=bad))  # fmt: skip
    new = {key: value for key, value in told(metrics).items() if key[0].endswith("_total") and value}
    assert {tuple(labels) for _, labels in new.keys() - before.keys()} == {
        (("reason", "rtds: no such field"),)
    }, "a parser's own word alone begins at 1"
    begun = {name.removeprefix(PREFIX) for name, labels in new if before.get((name, labels)) == 0.0}
    assert {
        "feed_reconnects_total", "orders_total", "decisions_total", "bad_prices_total", "settlements_total"
    } <= begun  # fmt: skip


@given(st.lists(st.floats(0, 1), max_size=50))
def test_a_histogram_counts_as_prometheus_does(values: list[float]) -> None:
    """Each bucket holds what is at most its bound."""
    bounds = (0.1, 0.25, 0.5)
    histogram = Histogram(bounds)
    for one in values:
        histogram.note(one)
    found = {labels[-1] if labels else name: number for name, labels, number in histogram.samples("x", ())}
    assert [found[f"{bound:g}"] for bound in bounds] == [sum(v <= bound for v in values) for bound in bounds]
    assert found["+Inf"] == found["x_count"] == len(values)
    assert found["x_sum"] == pytest.approx(sum(values))


def test_samples_have_as_many_labels_as_their_metric(core: Core) -> None:
    """Else a scrape would fail, in production and at the worst moment."""
    for name, labels, _ in samples(snapshot_of(core)):
        assert len(labels) == len(METRICS[name].labels), name


def test_it_is_served_over_http_and_ends_with_the_engine(metrics: Metrics, core: Core) -> None:
    """On loopback, without a word in the log for each scrape."""
    port = free_port()
    full(metrics, core)
    with metrics.served("127.0.0.1", port):
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert "updown_orders_total" in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_taken_port_is_one_line_that_says_what_to_do(
    metrics: Metrics, taken_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """And the engine goes on: it must not stop trading because somebody looks at another one."""
    with metrics.served("127.0.0.1", taken_port):
        pass
    (record,) = [one for one in caplog.records if one.name == "engine.metrics"]
    said = vars(record)["why"]
    assert f"METRICS_PORT {taken_port} on METRICS_HOST 127.0.0.1 cannot be had" in said
    assert "set another METRICS_PORT, or 0 for none" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "host", ["a..b", "x" * 64, "0.0.0.0:9102", "[::1]", "localhost ", "192.0.2.1", "a\0b"]
)
def test_a_host_that_is_none_is_one_line_that_names_the_host(
    metrics: Metrics, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended the engine with a traceback, or sent the reader to another port."""
    with metrics.served(host, free_port()):
        pass
    (record,) = [one for one in caplog.records if one.name == "engine.metrics"]
    said = vars(record)["why"]
    assert said.startswith(f"METRICS_HOST {host} is no address of this machine (")
    assert "set another METRICS_PORT" not in said


def test_the_table_of_the_document_is_the_one_of_the_code() -> None:
    """A metric that nobody can look up is noise."""
    document = (ROOT / "docs/metrics.md").read_text()
    _, _, written = document.partition("<!-- engine.metric_names.markdown() -->\n")
    assert written.strip() == markdown().strip(), "write the table of docs/metrics.md anew"


def used_in(text: str) -> set[str]:
    """Return the metrics that some expressions name."""
    found = re.findall(r"\b((?:updown|process)_[a-z0-9_]+)", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def exprs_of_alerts() -> list[str]:
    return re.findall(r"expr: (.*)", (ROOT / "deploy/prometheus/alerts.yml").read_text())


def exprs_of_board() -> list[str]:
    board = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_alerts_and_dashboard_name_only_metrics_that_exist() -> None:
    """A rule on a name that was changed never fires, and nobody notices."""
    known = {PREFIX + name for name in METRICS} | set(PROCESS)
    alerts, shown = exprs_of_alerts(), exprs_of_board()
    assert len(alerts) > 15
    assert len(shown) > 25
    assert used_in("\n".join(alerts)) - known == set()
    assert used_in("\n".join(shown)) - known == set()
    assert used_in("rate(updown_planted_total[1m])") - known == {"updown_planted_total"}


def test_what_an_alert_looks_at_is_on_the_dashboard() -> None:
    """Whoever is woken opens it next. So is what tells of a console on spot, a breaker, an armed engine."""
    shown = used_in("\n".join(exprs_of_board()))
    assert used_in("\n".join(exprs_of_alerts())) - shown == set()
    assert {f"{PREFIX}{name}" for name in ("fallback_active", "breaker_tripped", "armed")} <= shown


def test_labels_in_alerts_and_dashboard_are_those_of_their_metrics() -> None:
    """A matcher on a label that does not exist selects nothing."""
    texts = [*exprs_of_alerts(), *exprs_of_board()]
    for metric, matchers in re.findall(r"updown_(\w+?)\{([^}]*)\}", "\n".join(texts)):
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= set(METRICS[metric].labels), metric
    board = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            (first, *_) = used_in(target["expr"])
            labels = METRICS.get(first.removeprefix(PREFIX))
            assert named <= set(labels.labels if labels else ()), panel["title"]
