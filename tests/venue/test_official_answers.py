"""What each refusal means: every text of the catalogues, as the official client's own transport reads it."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polymarket.clients._transport import _raise_for_response_status
from polymarket.errors import PolymarketError, TransportError, UnexpectedResponseError

from engine.practice.order_errors import CATALOGUE
from engine.venue.answers import CODES, failed, to_order, to_rejected
from engine.venue.exchange import Lost, Matched, Refused
from tests.shared_data import SHARED

LOST, NOTHING = "lost", "nothing"

MEANINGS = {
    "payload": "payload",
    "owner": "owner/banned",
    "signer": "signer/banned",
    "signature": "signature",
    "version": "version",
    "old-client": "version",
    "wallet": "wallet/banned",
    "tick": "tick",
    "size": "size",
    "minimum": "minimum",
    "lot": "amounts",
    "amounts": "amounts",
    "duplicate": LOST,
    "crosses": "crosses",
    "post-only-crosses": "crosses",
    "balance": "balance",
    "balance-short": "balance",
    "allowance": "allowance",
    "expiration": "expiration",
    "nonce": "nonce",
    "fok": NOTHING,
    "fak": NOTHING,
    "delayed": LOST,
    "not-ready": "not-ready",
    "canceled-on-chain": "cancelled",
    "no-book": "closed",
    "region": "region/region",
    "unauthorised": "unauthorised/unauthorised",
    "timed-out": "timed-out",
    "execution": LOST,
    "no-matching": LOST,
    "rounding": LOST,
    "discrepancy": LOST,
    "oom": LOST,
    "restarting": "restarting/restarting",
    "order-manager": "restarting/restarting",
    "post-only-mode": "post-only/post-only",
    "cancel-only": "cancel-only/cancel-only",
    "disabled": "disabled/disabled",
    "disabled-short": "disabled/disabled",
}
"""By the practice venue's names: what the order came to, and after the stroke what that restricts."""


def as_it_is(text):
    return text


def error_of(status, body, headers=None, path="/order"):
    """Let the client make an error of an answer's bytes."""
    kind = {"content-type": "application/json" if isinstance(body, dict) else "text/html"}
    content = json.dumps(body) if isinstance(body, dict) else body
    request = httpx.Request("POST", "https://clob.example/order")
    response = httpx.Response(status, headers={**kind, **(headers or {})}, content=content, request=request)
    try:
        _raise_for_response_status(response, path=path)
    except PolymarketError as error:
        return error
    raise AssertionError(f"{status} is no error")


def meaning(answer):
    if isinstance(answer, Refused):
        assert answer.code in CODES
        assert answer.reason
        return answer.code if answer.restriction is None else f"{answer.code}/{answer.restriction.kind}"
    return LOST if isinstance(answer, Lost) else NOTHING


def test_every_text_of_the_practice_venue_has_its_meaning_here():
    """A new one cannot be forgotten."""
    assert set(MEANINGS) == set(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_text_of_the_catalogue_means_what_the_sheet_says(name):
    """By status and words; with status 500 only what is proven never to have reached the book is clean."""
    line = CATALOGUE[name]
    body = {"error": line.text.replace("{id}", "0x" + "ab" * 32)}
    if line.code:
        body["code"] = line.code
    assert meaning(to_order(error_of(line.status, body), as_it_is)) == MEANINGS[name]


@pytest.mark.parametrize("name", [name for name, line in CATALOGUE.items() if line.status == 400])
def test_the_same_words_in_the_body_of_a_200_mean_the_same(name):
    """errorMsg beside ``success``."""
    assert meaning(to_rejected(CATALOGUE[name].text, as_it_is)) == MEANINGS[name]


OBSERVED = {
    "Size (2.49) lower than the minimum: 5": "size",
    "Trading restricted in your region": "region/region",
    "Request exception! (5 s client timeout; the order WAS matched/filled)": LOST,
    "order XXX crosses the book": "crosses",
    "Invalid Heartbeat ID": "unknown",
}


def test_every_text_that_others_observed_has_a_meaning():
    """The recorded list, with the statuses it has; only the heartbeat's is not about orders."""
    path = SHARED / "frames" / "current-2026-09" / "post_order_errors_observed.json" if SHARED else None
    if path is None or not path.exists():
        pytest.skip("no recordings here: set SHARED_DIR")
    told = json.loads(path.read_text())
    texts = {line.text.partition("{id}")[2] or line.text: name for name, line in CATALOGUE.items()}
    for row in told["observed"]:
        text = row.get("text") or row["body"]["error"]
        if row["http"] is None and text.startswith("Request exception"):
            answer = to_order(TransportError(text), as_it_is)
        else:
            answer = to_order(error_of(row["http"] or 400, {"error": text}), as_it_is)
        assert meaning(answer) == (OBSERVED.get(text) or MEANINGS[texts[text]]), text
    for text in told["official_sdk"]:
        words = text.replace("<contains> ", "")
        assert meaning(to_rejected(words, as_it_is)) not in (LOST, "unknown"), text


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (400, {"error": "'0xAb' address banned"}, {}, "banned/banned"),
        (400, {"error": "'0xAb' address in closed only mode"}, {}, "closed-only/closed-only"),
        (400, {"error": "words that nobody has heard"}, {}, "unknown"),
        (418, {"error": "words that nobody has heard"}, {}, "unknown"),
        (400, "<html>", {}, "unknown"),
        (403, "<html>", {"server": "cloudflare"}, "unknown"),
        (400, {"error": "context canceled"}, {}, LOST),
        (400, {"error": "Post: context canceled while matching"}, {}, LOST),
        (404, {"error": "order not found"}, {}, LOST),
        (404, {"error": "No orderbook exists for the requested token id"}, {}, "closed"),
        (400, {"error": "ORDER_DELAYED"}, {}, LOST),
        (400, {"error": "DELAYING_ORDER_ERROR"}, {}, LOST),
        (400, {"error": "EXECUTION_ERROR"}, {}, LOST),
        (400, {"error": "INVALID_ORDER_ERROR"}, {}, LOST),
        (408, {"error": "request timeout"}, {}, LOST),
        (302, "<html>", {}, LOST),
        (500, "<html>", {}, LOST),
        (502, "<html>", {"server": "cloudflare"}, LOST),
        (503, "<html>", {}, LOST),
        (503, {"error": "upstream connect error"}, {}, LOST),
        (524, "<html>", {"server": "cloudflare"}, LOST),
        (500, {"error": "fok orders are filled or killed"}, {}, LOST),
        (500, {"error": "FOK orders are fully filled or killed."}, {}, LOST),
        (429, {"error": "slow down"}, {}, "rate-limited/rate-limited"),
    ],
)
def test_what_stands_in_no_catalogue_is_refused_only_where_that_is_certain(status, body, headers, expected):
    """A 4xx was refused by somebody; a 5xx proves nothing."""
    assert meaning(to_order(error_of(status, body, headers), as_it_is)) == expected


POST_ONLY = "post-only mode: only post-only orders and cancels are allowed"
CANCEL_ONLY = "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed."


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (POST_ONLY, {"content-type": "text/plain; charset=utf-8"}, "post-only/post-only"),
        ({"error": POST_ONLY}, {}, "post-only/post-only"),
        (
            {"error": POST_ONLY, "code": "post_only_mode"},
            {"content-type": "text/plain"},
            "post-only/post-only",
        ),
        (CANCEL_ONLY, {"content-type": "text/plain"}, "cancel-only/cancel-only"),
        ("Trading is currently disabled.", {"content-type": "text/plain"}, "disabled/disabled"),
        ({"error": "'0xAb' address in closed only mode"}, {}, "closed-only/closed-only"),
        ({"error": "order crosses the book"}, {}, LOST),
        ({"error": f"order 0xab is invalid. Duplicated. {POST_ONLY}"}, {}, LOST),
        (POST_ONLY, {"content-type": "text/html"}, LOST),
        ("upstream connect error", {"content-type": "text/plain"}, LOST),
    ],
)
def test_a_503_is_read_by_its_words_where_it_has_no_code(body, headers, expected):
    """As a plain text, or without ``code``: two minutes after each restart every order was one of unknown
    fate. Only words that restrict end it cleanly; all else with a 503 proves nothing."""
    for status in (503, 502):
        wanted = expected if status == 503 else LOST
        assert meaning(to_order(error_of(status, body, headers), as_it_is)) == wanted


def test_the_venue_says_how_long_to_wait():
    """In a header, or in the body."""
    told = to_order(error_of(425, {"error": "service not ready"}, {"retry-after": "3"}), as_it_is)
    assert told.restriction.retry_s == 3.0
    limited = to_order(error_of(429, {}, {"retry-after": "7"}), as_it_is)
    assert limited.restriction.retry_s == 7.0
    post_only = {"error": "post-only mode: x", "code": "post_only_mode", "retry_after_seconds": 79}
    assert to_order(error_of(503, post_only), as_it_is).restriction.retry_s == 79.0


@given(st.integers(300, 599), st.text(max_size=60), st.booleans())
def test_no_words_and_no_status_ever_make_a_fill(status, text, in_body):
    """And no 5xx without a known name ever makes a clean end."""
    answer = (
        to_rejected(text, as_it_is)
        if in_body
        else to_order(error_of(status, {"error": f"({text})"}), as_it_is)
    )
    assert not isinstance(answer, Matched)
    if not in_body and status >= 500:
        assert isinstance(answer, Lost)


def test_an_error_of_the_client_leaves_only_hidden_words_behind():
    """Whatever it quotes."""
    error = UnexpectedResponseError("got swordfish\nfrom https://clob.example")
    failure = failed("balance", error, lambda text: text.replace("swordfish", "(hidden)").replace("\n", " "))
    assert str(failure) == "balance: UnexpectedResponseError: got (hidden) from https://clob.example"
    assert failure.restriction is None
