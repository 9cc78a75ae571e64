"""Posting alarms: real webhooks on loopback, that take, refuse, hang; and nobody ever waits for them."""

import html
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.config import Settings, load_settings
from engine.errors import SettingsError
from engine.run import alarm_post
from engine.run.alarm_post import CLOSE_WAIT_S, QUEUE_LIMIT, Alarm, Poster, body_of, try_alarm
from engine.run.alarm_text import for_json, for_slack, for_telegram

SECRET_PATH = "/services/T0/s3cr3t-of-the-hook"


class Hook:
    """A webhook: answers with the next of its statuses, or never while ``hangs``."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.hangs = threading.Event()
        self.go_on = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.bodies.append(json.loads(body))
                if hook.hangs.is_set():
                    hook.go_on.wait(20)
                self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{SECRET_PATH}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 10
        while len(self.bodies) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.bodies


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm_post, "PAUSE_S", 0.02)
    monkeypatch.setattr(alarm_post, "TIMEOUT_S", 0.5)


def alarm(about: str = "", text: str = "it failed") -> Alarm:
    return Alarm("halt", text, 1_790_000_000_000, about, "btc-updown-5m-1", "o1")


def settings_for(hook: Hook, **more: Any) -> Settings:
    return load_settings(alarm_url=hook.url, **more)


def until(holds: Any) -> None:
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_an_alarm_reaches_the_webhook_in_its_shape(hook: Hook) -> None:
    """Generic JSON has all of it."""
    poster = Poster(settings_for(hook))
    poster.open()
    poster.tell(alarm())
    assert hook.wait_for(1) == [
        {"kind": "halt", "text": "it failed", "at_ms": 1_790_000_000_000, "contract": "btc-updown-5m-1",
         "order": "o1", "mode": "practice"}
    ]  # fmt: skip
    poster.close()
    assert poster.counts["sent"] == 1


def test_slack_and_telegram_have_shapes_of_their_own(hook: Hook) -> None:
    """As their documents on incoming webhooks and sendMessage have it."""
    slack = settings_for(hook, alarm_shape="slack")
    assert body_of(alarm(), slack) == {"text": "[practice] halt: it failed"}
    telegram = settings_for(hook, alarm_shape="telegram", alarm_telegram_chat="-100123")
    assert body_of(alarm(), telegram) == {
        "chat_id": "-100123",
        "text": "[practice] halt: it failed",
        "disable_web_page_preview": True,
    }


def test_a_webhook_that_hangs_costs_whoever_tells_nothing(hook: Hook) -> None:
    """The engine's loop tells; a thousand alarms take it less than a look at the clock each, and the end
    does not wait for the webhook."""
    hook.hangs.set()
    poster = Poster(settings_for(hook))
    poster.open()
    poster.tell(alarm("first"))
    hook.wait_for(1)
    began = time.perf_counter()
    for number in range(1_000):
        poster.tell(alarm(str(number)))
    assert time.perf_counter() - began < 1.0
    assert poster.counts["dropped"] == 1_000 - QUEUE_LIMIT
    began = time.perf_counter()
    poster.close()
    assert time.perf_counter() - began < CLOSE_WAIT_S + 1.0


def test_a_webhook_that_fails_is_tried_three_times_and_then_left(
    hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the next alarm has its turn; the log says why, and the address nowhere."""
    hook.statuses = [500, 502, 503, 200]
    poster = Poster(settings_for(hook))
    poster.open()
    poster.tell(alarm("a"))
    poster.tell(alarm("b"))
    until(lambda: poster.counts["sent"] == 1)
    assert poster.counts["failed"] == 1
    assert len(hook.bodies) == 4
    poster.close()
    said = [vars(record) for record in caplog.records if record.name == "engine.alarms"]
    assert [one["why"] for one in said] == ["HTTP 503"]
    assert "s3cr3t" not in caplog.text + str(said)


def test_one_failure_is_no_loss(hook: Hook) -> None:
    """A proxy that restarts answers 502 for a moment."""
    hook.statuses = [502]
    poster = Poster(settings_for(hook))
    poster.open()
    poster.tell(alarm())
    until(lambda: poster.counts["sent"] == 1)
    poster.close()


def test_the_same_alarm_is_held_back_for_a_while_and_another_is_not(hook: Hook) -> None:
    """What flickers calls once; ALARM_PAUSE_S says for how long."""
    now = [100.0]
    poster = Poster(settings_for(hook, alarm_pause_s=60.0), lambda: now[0])
    poster.open()
    for _ in range(5):
        poster.tell(alarm("a"))
    poster.tell(alarm("b"))
    now[0] += 59.9
    poster.tell(alarm("a"))
    now[0] += 0.1
    poster.tell(alarm("a"))
    until(lambda: poster.counts["sent"] == 3)
    poster.close()
    assert poster.counts["held back"] == 5


def test_a_kill_is_told_however_soon_after_the_last(hook: Hook) -> None:
    """Ann trips it, clears it, Bob trips it: "cleared" must not be the last word on it."""
    poster = Poster(settings_for(hook), lambda: 100.0)
    poster.open()
    texts = ["tripped by ann: x", "cleared", "tripped by bob: y", "cleared", "tripped by bob: z"]
    for text in texts:
        poster.tell(Alarm("kill", text, 1, text.partition(" ")[0]))
    hook.wait_for(5)
    poster.close()
    assert [body["text"] for body in hook.bodies] == texts
    assert poster.counts["held back"] == 0


def test_what_was_held_back_is_told_when_its_pause_ends_if_it_still_stands(hook: Hook) -> None:
    """The newest of it, once; what went meanwhile is forgotten, and is news when it comes back."""
    now = [100.0]
    poster = Poster(settings_for(hook, alarm_pause_s=60.0), lambda: now[0])
    poster.open()
    for text in ("first", "second", "third"):
        poster.tell(alarm("a", text))
    poster.tell(alarm("b", "only"))
    poster.tell(alarm("b", "gone"))
    now[0] += 59.9
    poster.tell_held({("halt", "a"): None})
    now[0] += 0.1
    for _ in range(3):
        poster.tell_held({("halt", "a"): None, ("halt", "b"): None})
    until(lambda: poster.counts["sent"] == 3)
    now[0] += 600.0
    poster.tell_held({("halt", "a"): None})
    poster.close()
    assert [body["text"] for body in hook.bodies] == ["first", "only", "third"]


def test_no_more_leave_in_a_minute_than_a_chat_takes(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest waits; at the end nothing waits."""
    poster = Poster(settings_for(hook))
    poster._recent = type(poster._recent)(maxlen=3)
    poster.open()
    for number in range(5):
        poster.tell(alarm(str(number)))
    hook.wait_for(3)
    time.sleep(0.2)
    assert len(hook.bodies) == 3
    poster.close()
    assert len(hook.bodies) == 5


NOWHERE = "https://" + "s3cr3t" * 12 + ".com/x"
"""A label of 72 letters: looking it up is refused by a UnicodeError (RFC 1035 allows 63)."""


def to_nowhere() -> Settings:
    """Return settings with an address that was not asked about when they were read."""
    return load_settings(alarm_url="http://127.0.0.1/").model_copy(update={"alarm_url": SecretStr(NOWHERE)})


def test_a_host_that_cannot_be_looked_up_is_refused_when_it_is_read() -> None:
    """Not at the first alarm; and without the address."""
    with pytest.raises(SettingsError) as caught:
        load_settings(alarm_url=NOWHERE)
    assert "ALARM_URL" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_address_that_nobody_can_ask_is_a_failed_post_and_no_dead_thread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The thread died of it, and the counts said nothing for a hundred alarms."""
    poster = Poster(to_nowhere())
    poster.open()
    for number in (1, 2):
        poster.tell(alarm(str(number)))
        until(lambda number=number: poster.counts["failed"] == number)
    poster.close()
    said = [vars(record) for record in caplog.records if record.name == "engine.alarms"]
    assert [one["why"] for one in said] == ["no answer (UnicodeError)"] * 2
    assert "s3cr3t" not in caplog.text + str(said)
    assert try_alarm(to_nowhere()) == ("The webhook did not take the test alarm: no answer (UnicodeError).")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_whatever_one_post_raises_the_next_alarm_has_its_turn(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that ended would take alarms for ever and post none; what nobody foresaw is counted too."""
    really = alarm_post.post

    def broken(client: Any, told: Alarm, settings: Settings) -> None:
        if told.about == "odd":
            raise RuntimeError("nobody foresaw this")
        really(client, told, settings)

    monkeypatch.setattr(alarm_post, "post", broken)
    poster = Poster(settings_for(hook))
    poster.open()
    poster.tell(alarm("odd"))
    poster.tell(alarm("even"))
    until(lambda: poster.counts["sent"] == 1)
    poster.close()
    assert poster.counts["failed"] == 1


STRANGE = "<!channel> <http://x|the console>\n[live] kill: cleared & @channel ann@example.com \u202egp"


def test_words_of_strangers_call_nobody_and_fake_no_second_alarm(hook: Hook) -> None:
    """Whoever may trip the kill switch writes its reason. Telegram reads no marks without a parse mode."""
    told = alarm(text=STRANGE)
    slack = body_of(told, settings_for(hook, alarm_shape="slack"))["text"]
    assert slack == (
        "[practice] halt: &lt;!channel&gt; &lt;http://x|the console&gt; [live] kill: cleared &amp; "
        "@\u200bchannel ann@example.com gp"
    )
    telegram = body_of(told, settings_for(hook, alarm_shape="telegram", alarm_telegram_chat="-1"))
    assert "parse_mode" not in telegram
    assert telegram["text"].startswith("[practice] halt: <!channel> <http://x|the console> [live]")
    assert "@\u200bchannel ann@example.com" in telegram["text"]
    assert body_of(told, settings_for(hook))["text"] == " ".join(STRANGE.replace("\u202e", "").split())


@given(st.text(st.sampled_from("a&<>@ \n\U0001f600é"), max_size=60), st.integers(1, 200))
def test_no_text_is_longer_than_what_takes_it(text: str, times: int) -> None:
    """The webhook refused it, and the alarm was lost. What is cut off is seen, and no sign is cut in two."""
    for shape, most in ((for_json, 4_000), (for_slack, 3_000), (for_telegram, 4_096)):
        written = shape(text * times)
        assert len(written.encode("utf-16-le")) // 2 <= most
        plain = html.unescape(written) if shape is for_slack else written
        plain = plain.replace("\u200b", "")
        assert plain == text * times or (plain[-1] == "…" and (text * times).startswith(plain[:-1]))
        assert shape is not for_slack or not re.search(r"[<>]|&(?!amp;|lt;|gt;)", written)


@pytest.mark.parametrize("shape", ["json", "slack"])
def test_half_a_character_in_a_text_does_not_keep_the_alarm(hook: Hook, shape: str) -> None:
    """A file's name with broken bytes stands in a reason with half of a surrogate pair: no UTF-8 has it."""
    poster = Poster(settings_for(hook, alarm_shape=shape))
    poster.open()
    poster.tell(alarm("a", "no room for \udc80 here")._replace(contract="\ud800"))
    until(lambda: poster.counts["sent"] == 1)
    poster.close()
    assert "no room for ? here" in hook.bodies[0]["text"]


def test_a_proxy_that_is_no_address_is_said_by_the_button(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client can be made then; the page must not show a traceback."""
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    said = try_alarm(load_settings(alarm_url="https://hooks.example.com/s3cr3t"))
    assert said == "The webhook did not take the test alarm: no client (ValueError)."


def test_without_an_address_there_is_no_thread() -> None:
    """Alarms are in the log all the same."""
    poster = Poster(load_settings())
    poster.open()
    poster.tell(alarm())
    assert poster._thread is None
    assert not [thread for thread in threading.enumerate() if thread.name == "alarms"]
    poster.close()
    assert poster.counts["dropped"] == 0


def test_the_button_says_what_came_of_it_and_never_where(hook: Hook) -> None:
    """Taken, refused, not there, not set."""
    assert try_alarm(settings_for(hook)) == "The webhook took the test alarm."
    assert hook.bodies[0]["kind"] == "test"
    hook.statuses = [404]
    assert try_alarm(settings_for(hook)) == "The webhook did not take the test alarm: HTTP 404."
    hook.close()
    gone = try_alarm(settings_for(hook))
    assert gone == "The webhook did not take the test alarm: no answer (ConnectError)."
    assert "ALARM_URL is not set" in try_alarm(load_settings())
