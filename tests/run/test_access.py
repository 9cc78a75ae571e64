"""Who may do what: the one rule, for every way of asking."""

import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from engine import passes, passwords
from engine.config import load_settings
from engine.kill import KillSwitch
from engine.kill_token import open_token
from engine.passwords import hash_password, mark_of
from engine.run.access import (
    COOKIE,
    SHARE_MARK,
    Identity,
    Role,
    Rules,
    Signed,
    console_at,
    is_local,
    is_loopback,
    is_misnamed,
    may_kill,
    of_pass,
    role_of,
    same_name,
    same_site,
)
from engine.run.access_rules import (
    DENIED_A_MINUTE,
    Door,
    observe_only,
    rules_of,
    share,
    share_link,
    sign_out,
)
from engine.run.kill_door import refusal
from engine.run.throttle import FREE_TRIES, Origin
from engine.trail import Trail

HERE = {"host": "127.0.0.1:8501"}
SOMEWHERE = Origin("10.1.1.1", "10.1.1.1")
PASSWORDS = {Role.VIEWER: "a viewer's password", Role.OPERATOR: "an operator's one"}


@pytest.fixture(scope="module")
def hashes() -> dict[Role, str]:
    return {role: hash_password(word) for role, word in PASSWORDS.items()}


def rules(folder: Path, **changes: object) -> Rules:
    return Rules(folder=str(folder), local=True, **changes)  # type: ignore[arg-type]


def role(headers: dict[str, str], now: Rules, peer: str = "127.0.0.1") -> Role:
    return role_of(Headers(headers), peer, now).role


@pytest.mark.parametrize(
    ("address", "name"),
    [("127.0.0.1", "this machine"), ("::1", "this machine"), ("", "this machine"), (None, "this machine"),
     ("10.0.0.7", "10.0.0.7")],
)  # fmt: skip
def test_who_gave_no_name_has_one_name_whichever_way_he_comes(address: str | None, name: str) -> None:
    """Pages know no address for this machine, routes its number: it was two people in the trail."""
    assert console_at(address) == f"console at {name}"


# --- without any password ---


@pytest.mark.parametrize(
    ("headers", "peer", "is_operator"),
    [
        (HERE, "127.0.0.1", True),
        ({"host": "localhost"}, "127.0.0.1", True),
        ({"host": "[::1]:8501"}, "::1", True),
        (HERE, "::ffff:127.0.0.1", True),
        (HERE | {"origin": "http://127.0.0.1:8501"}, "127.0.0.1", True),
        (HERE, "192.168.1.7", False),
        (HERE, "", False),
        ({}, "127.0.0.1", False),
        (HERE | {"origin": "https://evil.example.net"}, "127.0.0.1", False),
        (HERE | {"origin": "null"}, "127.0.0.1", False),
    ],
)
def test_without_a_password_this_machine_alone_is_the_operator(
    tmp_path: Path, headers: dict[str, str], peer: str, is_operator: bool
) -> None:
    """A page of another site, and who comes from elsewhere, are none."""
    assert role(headers, rules(tmp_path), peer) == (Role.OPERATOR if is_operator else Role.VIEWER)


REBOUND = ["evil.example.net:8501", "127.0.0.1.evil.example.net", "localhost.evil.example.net", "0x7f000001",
           "192.168.1.7:8501", "[", "evil.example.net:99999"]  # fmt: skip


@pytest.mark.parametrize("host", REBOUND)
@pytest.mark.parametrize("more", [{}, {"x-forwarded-for": "203.0.113.9"}])
def test_a_name_that_was_made_to_mean_this_machine_is_nobodys(
    tmp_path: Path, host: str, more: dict[str, str]
) -> None:
    """Any page of the internet can do so: it read everything. Its script can write a proxy's header, too."""
    now = rules(tmp_path, kill_by="anyone")
    headers = {"host": host, "origin": f"http://{host}"} | more
    assert is_misnamed(Headers(headers), now)
    found = role_of(Headers(headers), "127.0.0.1", now)
    assert found.role == Role.NOBODY
    for is_ours in (same_site, same_name):
        refused = refusal(Headers(headers), found, now, is_ours)
        assert refused is not None
        assert refused.status == 421
    token = open_token(tmp_path)
    assert refusal(Headers(headers | {"x-kill-token": token}), found, now) is None, "no page has that"


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        (HERE, {}),
        ({"host": "LOCALHOST:8501"}, {}),
        ({"host": "console.localhost:8443"}, {}),
        ({"host": "[::1]:8501"}, {}),
        ({"host": "127.0.0.7"}, {}),
        ({}, {}),
        ({"host": "Console.example.com"}, {"names": ("console.example.com",)}),
        ({"host": "console.example.com", "x-forwarded-for": "203.0.113.9"}, {"operator_mark": "o"}),
        ({"host": "10.0.0.7:8501"}, {"local": False}),
    ],
)
def test_a_set_up_that_is_documented_has_its_names(
    tmp_path: Path, headers: dict[str, str], changes: dict[str, object]
) -> None:
    """This machine's, one that is named, a proxy's before passwords, and any where others may ask."""
    now = Rules(**({"folder": str(tmp_path), "local": True} | changes))  # type: ignore[arg-type]
    assert not is_misnamed(Headers(headers), now)
    assert role_of(Headers(headers), "127.0.0.1", now).role >= Role.VIEWER


def test_the_servers_names_are_this_machines_and_those_that_are_told(tmp_path: Path) -> None:
    """As Streamlit has them: a name, an address, an origin; what is none of these names nobody."""
    told = ["localhost", "Console.example.com", "https://name-8501.app.example.dev", "*", "", "http://["]
    now = rules_of(load_settings(tmp_path / "no.env", data_dir=tmp_path), "127.0.0.1", told)
    assert set(now.names) == {
        socket.gethostname().lower(), "localhost", "console.example.com", "name-8501.app.example.dev", "*",
    }  # fmt: skip


PROXIES_HEADERS = [
    "Forwarded", "Via", "X-Real-IP", "X-Forwarded", "X-Forwarded-For", "X_Forwarded_For", "X-ForwardedFor",
    "X-Client-IP", "Client-IP", "Client_IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For",
    "X-Original-Host", "X-ProxyUser-Ip", "Fastly-Client-IP", "True-Client-IP", "CF-Connecting-IP",
    "CF-Connecting-IPv6", "CF-Ray", "CDN-Loop", "X-Envoy-External-Address", "Fly-Client-IP",
    "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP", "X-Remote-Addr", "X-Remote-IP",
]  # fmt: skip
BROWSERS_HEADERS = [
    "Host", "Connection", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control",
    "Cookie", "DNT", "If-None-Match", "Origin", "Pragma", "Referer", "Sec-Fetch-Site", "Sec-CH-UA-Platform",
    "Sec-GPC", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "Upgrade", "Upgrade-Insecure-Requests",
    "X-Kill-Token", "Authorization", "Content-Type", "Content-Length", "X-Xsrftoken", "X-Streamlit-User",
]  # fmt: skip


@pytest.mark.parametrize("name", PROXIES_HEADERS)
def test_each_proxys_header_ends_the_local_operator(tmp_path: Path, name: str) -> None:
    """With one of these a request from loopback was still taken for the operator's own browser."""
    headers = HERE | {name: "203.0.113.9"}
    assert role(headers, rules(tmp_path)) == Role.VIEWER
    assert role({name_.lower(): value for name_, value in headers.items()}, rules(tmp_path)) == Role.VIEWER


def test_what_a_browser_sends_by_itself_does_not() -> None:
    """A rule that is too wide would take the console from its own operator."""
    sent = {name: "http://localhost:8501" if name == "Origin" else "x" for name in BROWSERS_HEADERS}
    assert is_local(Headers(sent | HERE | {"Host": HERE["host"]}), "127.0.0.1")


@given(
    st.sampled_from(PROXIES_HEADERS)
    | st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(lambda end: f"X-Forwarded-{end}"),
    st.sampled_from(["", "127.0.0.1", "for=127.0.0.1", "localhost"]),
)
@settings(max_examples=60)
def test_what_a_proxy_passed_on_is_never_local(name: str, value: str) -> None:
    """Whatever it says, even nothing: behind a proxy everybody comes from 127.0.0.1."""
    assert is_local(Headers(HERE), "127.0.0.1")
    for spelled in (name, name.lower(), name.upper(), name.replace("-", "_")):
        assert not is_local(Headers(HERE | {spelled: value}), "127.0.0.1")


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.168.1.5", "console.lan"])
def test_a_server_that_others_can_reach_has_no_local_operator(tmp_path: Path, address: str | None) -> None:
    """A container's neighbours, and whatever else shares its network, come from where they like."""
    now = rules_of(load_settings(tmp_path / "no.env", data_dir=tmp_path), address)
    assert role(HERE, now) == Role.VIEWER


def test_where_storage_is_lost_nobody_is_local(tmp_path: Path) -> None:
    """It is somebody else's machine."""
    forgets = load_settings(tmp_path / "no.env", data_dir=tmp_path, ephemeral_storage=True)
    assert not rules_of(forgets, "127.0.0.1").local
    keeps = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    assert rules_of(keeps, "127.0.0.1").local


# --- with passwords ---


def test_a_password_makes_this_machine_a_stranger_too(tmp_path: Path) -> None:
    """Whoever can start a program there could otherwise do everything."""
    assert role(HERE, rules(tmp_path, operator_mark="m")) == Role.VIEWER
    assert role(HERE, rules(tmp_path, operator_mark="m", viewer_mark="n")) == Role.NOBODY
    assert role(HERE, rules(tmp_path, viewers=("a@example.com",))) == Role.NOBODY
    assert role(HERE, rules(tmp_path, operators=("a@example.com",))) == Role.VIEWER


@pytest.mark.parametrize("wanted", [Role.VIEWER, Role.OPERATOR])
def test_a_pass_gives_the_role_it_was_given_for(tmp_path: Path, wanted: Role) -> None:
    """From anywhere, through any proxy: it is what was signed that counts."""
    now = rules(tmp_path, operator_mark="o", viewer_mark="v")
    text = passes.issue(tmp_path, int(wanted), "alice", "o" if wanted == Role.OPERATOR else "v", 60)
    for cookie in (f"{COOKIE}={text}", f'odd="{{; a b=c; _xsrf=2|1:2; {COOKIE}={text}'):
        found = role_of(Headers({"cookie": cookie, "x-forwarded-for": "8.8.8.8"}), "10.0.0.2", now)
        assert (found.role, found.named) == (wanted, f"alice ({wanted.name.lower()})")


@pytest.mark.parametrize(
    ("number", "mark"), [(2, "v"), (2, SHARE_MARK), (2, ""), (1, "o"), (1, ""), (0, "o"), (3, "o"), (-1, "o")]
)
def test_a_pass_for_something_else_is_none(tmp_path: Path, number: int, mark: str) -> None:
    """A changed password ends what the old one gave; a share link makes no operator."""
    for now in (rules(tmp_path, operator_mark="o", viewer_mark="v"), rules(tmp_path)):
        assert of_pass(passes.issue(tmp_path, number, "x", mark, 60), now) is None


@pytest.mark.parametrize(
    ("email", "age_s", "wanted"),
    [
        ("op@example.com", 10, Role.OPERATOR),
        (" OP@Example.com ", 10, Role.OPERATOR),
        ("view@example.com", 10, Role.VIEWER),
        ("other@example.com", 10, Role.NOBODY),
        ("", 10, Role.NOBODY),
        ("op@example.com", 13 * 3600, Role.NOBODY),
        ("op@example.com", -3600, Role.NOBODY),
    ],
)
def test_a_provider_says_who_and_the_list_what_he_may(
    tmp_path: Path, email: str, age_s: float, wanted: Role
) -> None:
    """Streamlit keeps its cookie for a month; a sign-in here grows old after SIGN_IN_HOURS."""
    now = rules(tmp_path, viewers=("view@example.com",), operators=("op@example.com",))
    found = role_of(Headers(HERE), "127.0.0.1", now, Signed(email, time.time() - age_s))
    assert found.role == wanted


@pytest.mark.parametrize(
    ("kill_by", "may"),
    [
        ("anyone", [Role.NOBODY, Role.VIEWER, Role.OPERATOR]),
        ("viewer", [Role.VIEWER, Role.OPERATOR]),
        ("operator", [Role.OPERATOR]),
        ("a typo", [Role.OPERATOR]),
    ],
)
def test_who_may_kill_is_a_setting(tmp_path: Path, kill_by: str, may: list[Role]) -> None:
    """Stopping is easy by default: whoever sees it go wrong may stop it."""
    now = rules(tmp_path, kill_by=kill_by)
    assert [one for one in Role if may_kill(Identity(one), now)] == may


PORTS = [
    ("http://host.lan:8501", "host.lan:8501", {}, True),
    ("http://host.lan:9000", "host.lan:8501", {}, False),
    ("http://host.lan", "host.lan:8501", {}, False),
    ("https://host.lan:9000", "host.lan", {}, False),
    ("https://host.lan", "host.lan", {}, True),
    ("https://host.lan", "host.lan:443", {}, True),
    ("https://host.lan:443", "host.lan", {}, True),
    ("http://host.lan", "host.lan:80", {}, True),
    ("https://HOST.lan:8443", "host.LAN:8443", {}, True),
    ("http://[::1]:8501", "[::1]:8501", {}, True),
    ("http://[::1]:8502", "[::1]:8501", {}, False),
    # A proxy on another port than the usual ones, which dropped it.
    ("https://host.lan:8443", "host.lan", {"x-forwarded-port": "8443"}, True),
    ("https://host.lan:8443", "host.lan", {"x-forwarded-host": "host.lan:8443"}, True),
    ("https://host.lan:9000", "host.lan", {"x-forwarded-port": "8443"}, False),
    ("https://host.lan:9000", "host.lan:8501", {"x-forwarded-port": "9000"}, False),
    ("https://evil.lan:8443", "host.lan", {"x-forwarded-port": "8443"}, False),
    ("http://host.lan:99999", "host.lan:99999", {}, False),
    ("null", "host.lan", {}, False),
    ("", "", {}, False),
]


@pytest.mark.parametrize(("origin", "host", "more", "is_ours"), PORTS)
def test_another_port_of_the_same_host_is_another_site(
    origin: str, host: str, more: dict[str, str], is_ours: bool
) -> None:
    """A browser sends a host's cookies to all its ports: a service there could use an operator's pass."""
    assert same_site(Headers({"origin": origin, "host": host} | more)) is is_ours


@given(st.text(max_size=30))
@settings(max_examples=60)
def test_odd_addresses_are_nobodys(text: str) -> None:
    """Headers hold anything; none of it may raise."""
    headers = Headers(
        {
            "host": text.encode("ascii", "replace").decode(),
            "origin": f"http://{text}".encode("ascii", "replace").decode(),
        }
    )
    assert is_loopback(text) in (True, False)
    assert is_local(headers, "127.0.0.1") in (True, False)
    assert same_site(headers) in (True, False)


# --- signing in ---


def door_and_settings(folder: Path, hashes: dict[Role, str]) -> tuple[Door, object, list[float]]:
    now = [0.0]
    settings_ = load_settings(
        folder / "no.env",
        data_dir=folder,
        viewer_password_hash=hashes[Role.VIEWER],
        operator_password_hash=hashes[Role.OPERATOR],
    )
    return Door(lambda: now[0]), settings_, now


@pytest.mark.parametrize("wanted", [Role.VIEWER, Role.OPERATOR])
def test_a_password_gives_its_role_and_a_line_in_the_trail(
    tmp_path: Path, hashes: dict[Role, str], wanted: Role
) -> None:
    """Name, time and place of each sign-in can be looked up."""
    door, given_, _ = door_and_settings(tmp_path, hashes)
    made = door.sign_in(given_, "  Alice\nB ", PASSWORDS[wanted], SOMEWHERE)  # type: ignore[arg-type]
    now = rules(
        tmp_path, operator_mark=mark_of(hashes[Role.OPERATOR]), viewer_mark=mark_of(hashes[Role.VIEWER])
    )
    found = of_pass(made.text, now)
    assert found is not None
    assert (found.role, found.name, made.role) == (wanted, "Alice B", wanted)
    (deed,) = Trail(tmp_path).read()[0]
    assert (deed.what, deed.who, deed.why) == (
        "signed in",
        "Alice B",
        f"as {wanted.name.lower()} from 10.1.1.1",
    )
    sign_out(tmp_path, found)
    assert of_pass(made.text, now) is None
    assert [deed.what for deed in Trail(tmp_path).read()[0]] == ["signed in", "signed out"]


def test_a_wrong_password_gives_nothing_and_is_noted_without_it(
    tmp_path: Path, hashes: dict[Role, str]
) -> None:
    """People type the password of something else."""
    door, given_, _ = door_and_settings(tmp_path, hashes)
    made = door.sign_in(given_, "alice", "my bank's password", SOMEWHERE)  # type: ignore[arg-type]
    assert (made.text, made.role) == ("", Role.NOBODY)
    (deed,) = Trail(tmp_path).read()[0]
    assert deed.what == "denied"
    assert "bank" not in (tmp_path / "audit.jsonl").read_text()


def test_a_viewers_password_buys_no_new_tries_at_the_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may look would otherwise guess for ever, signing in between."""
    monkeypatch.setattr(passwords, "COST", 10)
    door, given_, _ = door_and_settings(
        tmp_path, {one: hash_password(word) for one, word in PASSWORDS.items()}
    )
    for n in range(FREE_TRIES):
        assert not door.sign_in(given_, "eve", f"guess {n}", SOMEWHERE).wait_s  # type: ignore[arg-type]
        if n == 2:
            assert door.sign_in(given_, "eve", PASSWORDS[Role.VIEWER], SOMEWHERE).text  # type: ignore[arg-type]
    assert door.sign_in(given_, "eve", "guess", SOMEWHERE).wait_s > 0  # type: ignore[arg-type]


def test_denials_do_not_fill_the_disk(tmp_path: Path) -> None:
    """A page that sends refused commands in a loop writes so many lines a minute and no more."""
    now = [0.0]
    door = Door(lambda: now[0])
    for _ in range(DENIED_A_MINUTE * 3):
        door.deny(tmp_path, "bob (viewer)", "to pause")
    assert len(Trail(tmp_path).read()[0]) == DENIED_A_MINUTE
    now[0] += 61
    door.deny(tmp_path, "bob (viewer)", "to pause")
    assert len(Trail(tmp_path).read()[0]) == DENIED_A_MINUTE + 1


def test_a_share_link_is_a_viewers_and_ends(tmp_path: Path) -> None:
    """Somebody wants a friend to look, not to trade, and not for ever."""
    given_ = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    text = share(given_, "alice", 2.0)
    found = of_pass(text, rules(tmp_path, viewer_mark="v", operator_mark="o"))
    assert found is not None
    assert found.held is not None
    assert found.role == Role.VIEWER
    assert 7_190 < found.held.until_s - time.time() <= 7_200
    assert (
        share_link("https://c.example/mode?q=1", "/ops", text) == f"https://c.example/ops/share?pass={text}"
    )
    for hours in (0.0, -1.0, 10_000.0, float("nan")):
        with pytest.raises(ValueError, match="hours"):
            share(given_, "alice", hours)
    assert [deed.what for deed in Trail(tmp_path).read()[0]] == ["shared"]


# --- where storage is lost ---


def test_a_start_that_remembers_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch may have been tripped before: nobody knows, so it is."""
    given_ = load_settings(tmp_path / "no.env", data_dir=tmp_path)
    observe_only(given_)
    assert not KillSwitch(tmp_path).is_tripped()
    monkeypatch.setenv("HOSTNAME", "streamlit")
    observe_only(given_)
    latch = KillSwitch(tmp_path).read()
    assert latch is not None
    assert "observe" in latch.why
    KillSwitch(tmp_path).clear("CLEAR", "test", "looked")
    observe_only(load_settings(tmp_path / "no.env", data_dir=tmp_path, ephemeral_storage=False))
    assert not KillSwitch(tmp_path).is_tripped()
