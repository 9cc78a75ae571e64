"""The files of ``deploy/`` name each other, Dockerfile and nginx.conf rightly; their tools accept them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.config import Settings
from tests.clean_root import instructions

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "updown-console.service"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return told["services"]


def command_of_the_image() -> list[str]:
    (command,) = [rest for word, rest in instructions((ROOT / "Dockerfile").read_text()) if word == "CMD"]
    told: list[str] = json.loads(command)
    return told


def test_hadolint_has_nothing_to_say() -> None:
    """It knows what goes wrong in Dockerfiles; a package of the tests carries it."""
    hadolint = shutil.which("hadolint", path=str(Path(".venv/bin").absolute())) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: make lock, then make test installs it")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("where", ["compose", "systemd"])
def test_behind_a_proxy_the_console_listens_on_loopback_alone(services: dict[str, Any], where: str) -> None:
    """And is else started as the image starts it."""
    unit = re.search(r"^ExecStart=\S+/python (.*)$", UNIT.read_text(), re.MULTILINE)
    assert unit is not None
    command = services["console"]["command"] if where == "compose" else ["python", *unit[1].split()]
    mine = [
        word.replace("--server.address=0.0.0.0", "--server.address=127.0.0.1")
        for word in command_of_the_image()
    ]
    assert command == mine


def test_compose_opens_the_proxys_ports_and_no_other(services: dict[str, Any]) -> None:
    """A console or a Prometheus that is published beside nginx is a way round it."""
    assert {name: one["ports"] for name, one in services.items() if "ports" in one} == {
        "net": ["80:80", "443:443"]
    }
    assert {name: one.get("network_mode") for name, one in services.items()} == {
        "net": None, "console": "service:net", "nginx": "service:net", "prometheus": "service:net"
    }  # fmt: skip
    assert services["prometheus"]["profiles"] == ["metrics"]


def test_no_service_that_can_end_holds_the_network_of_another(services: dict[str, Any]) -> None:
    """Who shares a container's network keeps the dead one when that container is started again: no kill."""
    holder = services["net"]
    assert holder["entrypoint"] == ["sleep", "infinity"], "it does nothing that could fail"
    assert holder["init"] is True, "sleep as process 1 ends by no signal but a kill"
    assert holder["image"] == services["nginx"]["image"], "the console's would be made anew with each build"
    assert "depends_on" not in holder
    assert {one["restart"] for one in services.values()} == {"unless-stopped"}
    for name in ("console", "nginx", "prometheus"):
        waits = services[name]["depends_on"]["net"]
        assert waits == {"condition": "service_started", "restart": True}, "made anew, it takes all along"


def test_nobody_waits_for_an_engine_that_is_well(services: dict[str, Any]) -> None:
    """When a start fails the pages say why: behind a proxy that does not start they say it to nobody."""
    for name in ("nginx", "prometheus"):
        assert services[name]["depends_on"]["console"] == {"condition": "service_started"}
    assert "service_healthy" not in str(services)


def test_compose_does_not_start_without_passwords(services: dict[str, Any]) -> None:
    """Whoever reached 443 would see everything."""
    for name in ("VIEWER_PASSWORD_HASH", "OPERATOR_PASSWORD_HASH"):
        assert services["console"]["environment"][name].startswith(f"${{{name}:?")


def test_every_container_can_write_to_little_and_do_little(services: dict[str, Any]) -> None:
    """CIS Docker 5.3, 5.12, 5.14, 5.25."""
    for name, one in services.items():
        assert one["read_only"] is True, name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in one, name
    assert services["console"]["cap_drop"] == ["ALL"]
    grace = services["console"]["stop_grace_period"]
    assert grace == "30s"


def test_what_compose_mounts_is_where_it_is_read(services: dict[str, Any]) -> None:
    """A certificate one folder off is found on the day of deployment."""
    mounts = dict(line.split(":")[:2] for line in services["nginx"]["volumes"])
    conf = (ROOT / "nginx.conf").read_text()
    assert mounts.pop("../nginx.conf").startswith("/etc/nginx/conf.d/")
    assert set(mounts.values()) == set(re.findall(r"ssl_certificate(?:_key)?\s+(\S+);", conf))
    (volume,) = [rest for word, rest in instructions((ROOT / "Dockerfile").read_text()) if word == "VOLUME"]
    data, certificate = services["console"]["volumes"]
    assert data == f"data:{volume}"
    assert services["console"]["environment"]["DATA_DIR"] == volume
    mounted = dict(mounts_of(services["nginx"]))
    source, inside, how = certificate.split(":")
    assert mounted[source] == re.findall(r"ssl_certificate\s+(\S+);", conf)[0], "what nginx shows is watched"
    assert how == "ro"
    assert services["console"]["environment"]["TLS_CERT_FILE"] == inside
    assert "console.key" not in str(services["console"]), "the key is nginx's alone"


def mounts_of(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of a file here and its place inside."""
    return [(line.split(":")[0], line.split(":")[1]) for line in service["volumes"]]


def test_what_nginx_logs_in_compose_is_shown_and_does_not_fill_its_memory(services: dict[str, Any]) -> None:
    """The image links these two names to its output and error (its Dockerfile); a tmpfs there would hide that
    and grow without end within ``mem_limit``."""
    logs = set(re.findall(r"(?:access|error)_log (/\S+)", (ROOT / "nginx.conf").read_text()))
    assert logs == {"/var/log/nginx/access.log", "/var/log/nginx/error.log"}
    one = services["nginx"]
    hidden = [*one["tmpfs"], *(inside for _, inside in mounts_of(one))]
    assert not [place for place in hidden if "/var/log/nginx/".startswith(place.rstrip("/") + "/")]
    assert one["logging"]["options"].keys() == {"max-size", "max-file"}


def test_prometheus_scrapes_where_the_engine_serves(services: dict[str, Any]) -> None:
    """They share a network: loopback is enough, and nothing else is needed."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = [
        one
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for one in static["targets"]
    ]
    assert targets == [f"127.0.0.1:{Settings.model_fields['metrics_port'].default}"]
    assert services["console"]["environment"]["METRICS_HOST"] == "127.0.0.1"
    assert "./prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]


def test_everything_compose_reads_from_the_repository_is_there(services: dict[str, Any]) -> None:
    """But for what the operator brings: settings and the certificate."""
    brought = {"./tls/console.crt", "./tls/console.key"}
    for one in services.values():
        for line in one.get("volumes", []):
            source = line.split(":")[0]
            assert source[0] != "." or source in brought or (DEPLOY / source).exists(), source


def test_the_service_does_not_start_without_its_settings() -> None:
    """With a ``-`` before it systemd passes over a file that is not there: no passwords then, for nobody."""
    files = re.findall(r"^EnvironmentFile=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert files == ["/etc/updown-console.env"]


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """A word it does not know is ignored with a warning in a log that nobody reads."""
    here = tmp_path / UNIT.name
    # The program is at its place on the operator's machine, not on this one.
    here.write_text(
        UNIT.read_text().replace("/opt/updown-console/.venv/bin/python", shutil.which("true") or "")
    )
    command = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", here]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    here.write_text(here.read_text().replace("ProtectSystem=strict", "ProtectSytem=strict"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ProtectSytem" in done.stderr, "the check must be able to fail"


@needs_systemd
def test_systemd_calls_the_unit_well_protected() -> None:
    """Its own score: 0 is locked away, 10 is anything goes; without a line of protection it is 9.2."""
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-600:] + done.stderr


def test_traefiks_narrow_routers_come_before_the_wide_one() -> None:
    """By itself it takes the longest rule first: the sign-in's limit and the guard would never be reached."""
    (block,) = re.findall(r"```\n(.*?)```", (ROOT / "docs/deploy/traefik.md").read_text(), re.DOTALL)
    http = yaml.safe_load(block)["http"]
    routers = http["routers"]
    wide = routers.pop("console")
    assert set(routers) == {"console-sign-in", "console-guard"}
    for router in routers.values():
        assert router["priority"] > wide["priority"]
    for router in (wide, *routers.values()):
        assert router["service"] in http["services"]
        assert set(router.get("middlewares", [])) <= set(http["middlewares"])
    assert all(path in wide["rule"] for path in ("/metrics", "/_stcore/metrics", "/_stcore/agent"))
