"""Post alarms to a webhook from a thread of its own: bounded, rate-limited, and nobody waits for it.

The engine only puts an alarm into a queue. What is full is dropped and counted, what hangs hangs here, and
what goes wrong with one alarm, whatever it is, is counted and costs the next one nothing. The address is a
secret: it is in no log and no error. What it does not know: what is worth an alarm (``engine.run.alarms``).
"""

import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Container
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import httpx

from engine.config import Settings
from engine.feeds.address import is_loopback
from engine.run.alarm_text import for_json, for_slack, for_telegram, one_line, short_name

QUEUE_LIMIT: Final = 100
TIMEOUT_S: Final = 5.0
TRIES: Final = 3
PAUSE_S: Final = 1.0
"""Before the second try; twice that before the third."""

MOST_A_MINUTE: Final = 20
"""Slack and Telegram take about one message a second and a chat 20 a minute (their documents on limits)."""

NEVER_HELD: Final = frozenset(("kill",))
"""Told however soon after the last: "cleared" must not be the last word on a switch that is tripped. Each is
somebody's doing, so they do not flicker."""

CLOSE_WAIT_S: Final = 1.5
"""How long the engine's end waits for alarms not posted yet: the whole stop may take three seconds."""

log = logging.getLogger("engine.alarms")


class Alarm(NamedTuple):
    """Something that somebody should hear of.

    ``kind`` is a word of docs/alarms.md, ``about`` what tells it from another of its kind; ``at_ms`` is Unix
    time of the wall.
    """

    kind: str
    text: str
    at_ms: int
    about: str = ""
    contract: str = ""
    order: str = ""


class PostFailed(Exception):
    """A webhook did not take an alarm; the text names no address."""


def body_of(alarm: Alarm, settings: Settings) -> dict[str, Any]:
    """Write an alarm as the webhook wants it, ``ALARM_SHAPE``: texts in one line, harmless, and not long."""
    mode = "practice" if not settings.is_external else "paper" if settings.dry_run else "live"
    said = one_line(alarm.text)
    text = f"[{mode}] {alarm.kind}: {said}"
    if settings.alarm_shape == "slack":
        return {"text": for_slack(text)}
    if settings.alarm_shape == "telegram":
        chat = settings.alarm_telegram_chat
        return {"chat_id": chat, "text": for_telegram(text), "disable_web_page_preview": True}
    names = {"contract": short_name(alarm.contract), "order": short_name(alarm.order)}
    return {"kind": alarm.kind, "text": for_json(said), "at_ms": alarm.at_ms, **names, "mode": mode}


def post(client: httpx.Client, alarm: Alarm, settings: Settings) -> None:
    """Post one alarm once.

    Raises:
        PostFailed: It was not taken.
    """
    assert settings.alarm_url is not None
    try:
        answer = client.post(settings.alarm_url.get_secret_value(), json=body_of(alarm, settings))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        # A host that cannot be looked up is a UnicodeError, so a ValueError; its text may be the address.
        raise PostFailed(f"no answer ({type(error).__name__})") from None
    if not answer.is_success:
        raise PostFailed(f"HTTP {answer.status_code}")


def new_client(settings: Settings) -> httpx.Client:
    """Return a client for the webhook.

    Raises:
        PostFailed: There can be none: the environment names a proxy that is no address, or needs more.
    """
    assert settings.alarm_url is not None
    try:
        direct = is_loopback(settings.alarm_url.get_secret_value())
        return httpx.Client(timeout=TIMEOUT_S, trust_env=not direct)
    except (httpx.InvalidURL, ValueError, OSError, ImportError) as error:
        raise PostFailed(f"no client ({type(error).__name__})") from None


class Poster:
    """The queue and its thread; without ``ALARM_URL`` there is none, and alarms are logged alone."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(("sent", "failed", "dropped", "held back"), 0))
        self._settings = settings
        self._now = now
        self._queue: queue.Queue[Alarm] = queue.Queue(QUEUE_LIMIT)
        self._told_at: dict[tuple[str, str], float] = {}
        self._held: dict[tuple[str, str], Alarm] = {}
        self._recent: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._stop = threading.Event()
        self._left_behind = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start the thread, if there is an address."""
        if self._settings.alarm_url is not None:
            self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread finish what is waiting, but not for long; one that hangs is left behind."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_WAIT_S)
        self._left_behind.set()

    def tell(self, alarm: Alarm) -> None:
        """Take an alarm over; return at once, whatever the webhook does."""
        if self._thread is None:
            return
        key, now_s = (alarm.kind, alarm.about), self._now()
        if alarm.kind not in NEVER_HELD and self._is_told(key, now_s):
            self.counts["held back"] += 1
            self._held[key] = alarm
            return
        try:
            self._queue.put_nowait(alarm)
        except queue.Full:
            self.counts["dropped"] += 1
            return
        self._told_at = {
            known: at for known, at in self._told_at.items() if now_s - at < self._settings.alarm_pause_s
        }
        self._told_at[key] = now_s

    def tell_held(self, standing: Container[tuple[str, str]]) -> None:
        """Take over what was held back, once its pause is over, if it still stands; forget it if it does not.

        Args:
            standing: Kind and ``about`` of each alarm whose cause is there now.
        """
        now_s = self._now()
        for key, alarm in list(self._held.items()):
            if key not in standing:
                del self._held[key]
            elif not self._is_told(key, now_s):
                del self._held[key]
                self.tell(alarm)

    def _is_told(self, key: tuple[str, str], now_s: float) -> bool:
        """Say whether such an alarm was told within ALARM_PAUSE_S."""
        told_at = self._told_at.get(key)
        return told_at is not None and now_s - told_at < self._settings.alarm_pause_s

    def _run(self) -> None:
        client: httpx.Client | None = None
        with ExitStack() as until_the_end:
            while not self._left_behind.is_set():
                try:
                    alarm = self._queue.get(timeout=0.2)
                except queue.Empty:
                    if self._stop.is_set():
                        return
                    continue
                self._keep_pace()
                try:
                    client = client or until_the_end.enter_context(new_client(self._settings))
                    self._post(client, alarm)
                except PostFailed as error:
                    self._failed(alarm, str(error))
                except Exception as error:  # noqa: BLE001 (a thread that ended would take no alarm any more)
                    self._failed(alarm, type(error).__name__)

    def _keep_pace(self) -> None:
        """Wait while the last minute had its fill; the end does not wait."""
        if len(self._recent) == self._recent.maxlen:
            self._stop.wait(max(0.0, self._recent[0] + 60.0 - time.monotonic()))
        self._recent.append(time.monotonic())

    def _post(self, client: httpx.Client, alarm: Alarm) -> None:
        """Try a few times.

        Raises:
            PostFailed: The last try failed too.
        """
        for attempt in range(1, TRIES + 1):
            try:
                post(client, alarm, self._settings)
            except PostFailed:
                if attempt == TRIES or self._stop.wait(PAUSE_S * attempt):
                    raise
                continue
            self.counts["sent"] += 1
            return

    def _failed(self, alarm: Alarm, why: str) -> None:
        self.counts["failed"] += 1
        log.warning("alarm not posted", extra={"alarm": alarm.kind, "why": why})


def try_alarm(settings: Settings) -> str:
    """Post a test alarm now; return what came of it, in words for the operator. It takes up to 5 s."""
    if settings.alarm_url is None:
        return "ALARM_URL is not set: alarms go to the log alone."
    alarm = Alarm("test", "This is a test; nothing is wrong.", time.time_ns() // 1_000_000)
    try:
        with new_client(settings) as client:
            post(client, alarm, settings)
    except PostFailed as error:
        return f"The webhook did not take the test alarm: {error}."
    return "The webhook took the test alarm."
