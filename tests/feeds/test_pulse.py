"""Signs of life that the console shows: from a real socket's pongs, and the venue's own."""

from websockets.asyncio.server import ServerConnection

from engine.feeds import socket
from engine.feeds.pulse import Pulse
from engine.feeds.socket import NO_TOPICS, Habits
from tests.feeds.scripted import reading
from tests.feeds.test_socket import answer_pings


async def test_pongs_and_the_venues_own_answers_are_measured_on_the_open_connection(monkeypatch):
    """What the page calls a heartbeat is one: a ping that left and came back, not the last data."""
    monkeypatch.setattr(socket, "LIFE_PING_S", 0.02)
    async with reading(answer_pings, Habits("PING", 0.02, NO_TOPICS)) as reader:
        pulse = reader.feed.pulse
        await reader.until(lambda: reader.frames.count("PONG") >= 2)
        while pulse.pong_at_s is None:
            await reader.until(lambda: reader.frames.count("PONG") >= 5 or pulse.pong_at_s is not None)
        assert pulse.pong_s is not None
        assert 0.0 < pulse.pong_s < 5.0
        assert pulse.word_at_s is not None
        assert 0.0 <= reader.feed.wall() - pulse.word_at_s < 5.0


async def test_a_new_connection_has_not_answered_yet(monkeypatch):
    """An answer of the connection before would make a mute one look alive."""
    monkeypatch.setattr(socket, "LIFE_PING_S", 0.02)
    connections = 0

    async def on_client(client: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await answer_pings(client)
        await client.wait_closed()

    async with reading(on_client, Habits("PING", 0.02, NO_TOPICS)) as reader:
        await reader.until(lambda: "PONG" in reader.frames)
        reader.feed.begin_again("for the test")
        await reader.until(lambda: len(reader.epochs) == 2)
        assert reader.feed.pulse.word_at_s is None


def test_a_keep_alive_that_nobody_asked_for_is_no_answer():
    """RTDS sends an empty text on connecting, before any PING."""
    pulse = Pulse()
    pulse.hear("", 1.0)
    assert pulse.word_at_s is None
    pulse.ask()
    pulse.hear('{"topic":"x"}', 2.0)
    assert pulse.word_at_s is None
    pulse.hear("", 3.0)
    assert pulse.word_at_s == 3.0
