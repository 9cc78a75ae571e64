"""The files for Prometheus, with Debian's own: it accepts them, every alert fires, and it scrapes us."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import psutil
import pytest
import yaml

from engine.kill import KillSwitch
from engine.metrics import Metrics
from tests.core.builders import Core
from tests.snapshots import order, snapshot_of
from tests.test_nginx import free_port

FOLDER = Path(__file__).resolve().parent.parent / "deploy/prometheus"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

pytestmark = pytest.mark.skipif(
    None in (PROMETHEUS, PROMTOOL), reason="no prometheus: on Debian, apt-get install prometheus"
)


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], capture_output=True, text=True, cwd=FOLDER, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_files_are_accepted_as_they_are() -> None:
    """Configuration and rules, together."""
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_the_way_to_an_alertmanager_is_accepted_once_its_comment_signs_are_gone(tmp_path: Path) -> None:
    """Without one nobody is called; whoever needs it should not have to write it at night."""
    text = (FOLDER / "prometheus.yml").read_text()
    stub = re.sub(r"^# (alerting:|  +[a-z-].*)$", r"\1", text, flags=re.MULTILINE)
    assert yaml.safe_load(stub)["alerting"]["alertmanagers"]
    (tmp_path / "prometheus.yml").write_text(stub)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_every_alert_fires_when_it_should_and_not_else() -> None:
    """promtool plays series against the rules; each alert has both cases."""
    promtool("test", "rules", "alerts_test.yml")
    alerts = re.findall(r"- alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    tests = (FOLDER / "alerts_test.yml").read_text()
    cases = re.findall(r"alertname: (\w+)\n\s+exp_alerts:(.*)", tests)
    assert sorted(cases) == sorted((name, kind) for name in alerts for kind in ("", " []"))


def test_an_alert_that_is_broken_is_noticed(tmp_path: Path) -> None:
    """A check that cannot fail proves nothing."""
    shutil.copy(FOLDER / "alerts_test.yml", tmp_path)
    rules = (FOLDER / "alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(
        rules.replace("updown_orders_unknown > 0", "updown_orders_unknown > 9")
    )
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", str(tmp_path / "alerts_test.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "OrderUnknown" in done.stdout + done.stderr


BY = '{job="updown",instance="a"}'


@pytest.mark.parametrize(
    ("up", "age", "silent_at", "quiet_at"),
    [
        pytest.param("1x30", None, ("1m", "2m"), ("30s", "55s"), id="it hangs before its first snapshot"),
        pytest.param("1x30", "_x4 0.1x26", (), ("25s", "1m", "2m"), id="it takes 20 s to its first"),
        pytest.param(
            "1x11 0x2 1x16",
            "0.1x11 stale _x17",
            ("3m30s", "4m"),
            ("2m", "2m30s", "3m25s"),
            id="it hangs as it comes back",
        ),
        pytest.param(
            "1x11 0x2 1x16", "0.1x11 stale _x3 0.1x14", (), ("2m20s", "2m40s", "3m"), id="it comes back"
        ),
        pytest.param("0x30", None, (), ("1m", "2m"), id="it is not there: that is EngineGone's"),
        pytest.param("1x30", "0.1x6 3.1+10x23", ("1m30s",), ("1m20s",), id="it stands still after 70 s"),
    ],
)
def test_an_engine_that_never_spoke_is_silent_as_well(
    tmp_path: Path, up: str, age: str | None, silent_at: tuple[str, ...], quiet_at: tuple[str, ...]
) -> None:
    """Before the first snapshot there is no age of one: a rule on a series that is not there never fires."""
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    (rule,) = [one for one in group["rules"] if one["alert"] == "EngineSilent"]
    told = {
        "exp_labels": {"job": "updown", "instance": "a", **rule["labels"]},
        "exp_annotations": rule["annotations"],
    }
    series = [{"series": f"up{BY}", "values": up}]
    series += [{"series": f"updown_snapshot_age_seconds{BY}", "values": age}] if age else []
    cases = [{"eval_time": at, "alertname": rule["alert"], "exp_alerts": [told]} for at in silent_at]
    cases += [{"eval_time": at, "alertname": rule["alert"], "exp_alerts": []} for at in quiet_at]
    played = {"interval": "10s", "input_series": series, "alert_rule_test": cases}
    document = {
        "rule_files": [str(FOLDER / "alerts.yml")], "evaluation_interval": "5s", "tests": [played]
    }  # fmt: skip
    (tmp_path / "silent.yml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", str(tmp_path / "silent.yml"))


def asked(port: int, question: str) -> list[dict[str, Any]]:
    """Ask Prometheus, once it answers."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": question}, timeout=2)
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
    except (httpx.HTTPError, ValueError, KeyError):
        return []
    return found


def test_debians_prometheus_scrapes_the_engine(tmp_path: Path) -> None:
    """As docs/metrics.md has it, with our ports: the target is up, and a sample is what we told. Nobody else
    is answered, and nothing is written into the folder where it is started: `data/` there is ours."""
    ours, theirs = free_port(), free_port()
    text = (FOLDER / "prometheus.yml").read_text()
    assert "127.0.0.1:9102" in text
    text = text.replace("127.0.0.1:9102", f"127.0.0.1:{ours}").replace("5s", "1s")
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    metrics = Metrics(KillSwitch(tmp_path), tmp_path)
    metrics.take(snapshot_of(Core(), orders=[order()]))
    metrics.meter.closed("rtds", "twap silent for 12 s")
    document = (FOLDER.parent.parent / "docs/metrics.md").read_text()
    (line,) = re.findall(r"^(prometheus (?:.*\\\n)*.*?) +#", document, re.MULTILINE)
    assert "127.0.0.1:9090" in line
    line = line.replace("deploy/prometheus", str(tmp_path)).replace("127.0.0.1:9090", f"127.0.0.1:{theirs}")
    home, started_in = tmp_path / "home", tmp_path / "started"
    started_in.mkdir()
    own, command = os.environ | {"HOME": str(home)}, ["bash", "-c", f"exec {line} --log.level=error"]
    with metrics.served("127.0.0.1", ours), (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=started_in, env=own)
        try:
            until = monotonic() + 30
            while not asked(theirs, 'up{job="updown"} == 1') and monotonic() < until:
                sleep(0.2)
            said = (tmp_path / "log").read_text()
            assert asked(theirs, 'up{job="updown"}')[0]["value"][1] == "1", said
            (filled,) = asked(theirs, 'updown_orders_total{outcome="filled"}')
            assert filled["value"][1] == "1"
            (closed,) = asked(theirs, "updown_feed_reconnects_total > 0")
            assert (closed["metric"]["feed"], closed["metric"]["reason"]) == ("rtds", "silent")
            assert asked(theirs, "updown_order_latency_seconds_bucket{le='+Inf',stage='answer'}")
            assert (home / ".local/state/updown-prometheus/wal").is_dir()
            assert list(started_in.iterdir()) == []
            (listener,) = [
                one for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"
            ]
            assert listener.laddr == ("127.0.0.1", theirs)
        finally:
            process.terminate()
            process.wait(10)
