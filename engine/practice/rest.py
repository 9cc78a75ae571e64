"""The venue's REST calls: Gamma, the CLOB's public reads, the site's price to beat, the clock.

Orders are taken in ``engine.practice.private``. Answers and errors: protocol sheet, sections 4 and 5.1.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.contract import Outcome
from engine.decoded import from_json
from engine.errors import DecodingError
from engine.practice import clob_documents, frames, gamma
from engine.practice.market import Market
from engine.practice.venue import Venue
from engine.units import ONE_E4

MOST_BOOKS: Final = 500
"""Tokens in one ``POST /books``. Source: protocol sheet, section 5.1."""

NO_BOOK: Final = {"error": "No orderbook exists for the requested token id"}

Answer = Callable[[Request], Awaitable[Response]]
Described = Callable[[Market, Outcome], dict[str, Any]]


def routes(venue: Venue) -> list[BaseRoute]:
    """Return every REST route of the venue."""
    by_token: dict[str, Described] = {
        "/book": lambda market, outcome: frames.book_summary(
            market, outcome, market.stamp_ms(venue.clock.now_ms())
        ),
        "/midpoint": lambda market, outcome: {"mid": _midpoint(market, outcome)},
        "/spread": lambda market, outcome: {"spread": _spread(market, outcome)},
        "/last-trade-price": lambda market, _: _last_trade(market),
        "/tick-size": lambda market, _: {"minimum_tick_size": market.tick_e4 / ONE_E4},
        "/neg-risk": lambda *_: {"neg_risk": False},
        "/fee-rate": lambda *_: {"base_fee": clob_documents.LEGACY_FEE},
    }
    return [
        *(Route(path, _of_token(venue, describe)) for path, describe in by_token.items()),
        *_gamma_routes(venue),
        *_clob_routes(venue),
        Route("/site/api/crypto/crypto-price", _site_price(venue)),
        Route("/clock", _always(lambda: {"now_ms": venue.clock.now_ms(), "rate": venue.clock.rate})),
    ]


def _gamma_routes(venue: Venue) -> list[BaseRoute]:
    async def market(request: Request) -> Response:
        return described(request.path_params["slug"], gamma.gamma_market)

    async def event(request: Request) -> Response:
        return described(request.path_params["slug"], gamma.gamma_event)

    def described(slug: str, describe: Callable[..., dict[str, Any]]) -> Response:
        known = venue.markets.named(slug)
        if known is None:
            return _json({"type": "not found error", "error": "slug not found"}, 404)
        now_ms = venue.clock.now_ms()
        return _json(describe(known, venue.markets.truth(known, now_ms), now_ms))

    return [Route("/gamma/markets/slug/{slug}", market), Route("/gamma/events/slug/{slug}", event)]


def _clob_routes(venue: Venue) -> list[BaseRoute]:
    def of_condition(describe: Callable[[Market], dict[str, Any]]) -> Answer:
        async def answer(request: Request) -> Response:
            market = venue.markets.of_condition(request.path_params["condition_id"])
            return _json({"error": "market not found"}, 404) if market is None else _json(describe(market))

        return answer

    def short(market: Market) -> dict[str, Any]:
        return clob_documents.clob_market_info(market, venue.markets.truth(market, venue.clock.now_ms()))

    def long(market: Market) -> dict[str, Any]:
        now_ms = venue.clock.now_ms()
        return clob_documents.clob_market(market, venue.markets.truth(market, now_ms), now_ms)

    async def by_token(request: Request) -> Response:
        found = venue.markets.of_token(request.path_params["token_id"])
        if found is None:
            return _json({"error": "market not found"}, 404)
        condition_id = found[0].contract.condition_id
        return _json({"condition_id": condition_id, "primary_token_id": found[0].token("UP")})

    return [
        Route("/time", _always(lambda: venue.clock.now_ms() // 1000)),
        Route("/ok", _always(lambda: "OK")),
        Route("/version", _always(lambda: {"version": 2})),
        Route("/books", _books(venue), methods=["GET", "POST"]),
        Route("/clob-markets/{condition_id}", of_condition(short)),
        Route("/markets/{condition_id}", of_condition(long)),
        Route("/markets-by-token/{token_id}", by_token),
    ]


def _site_price(venue: Venue) -> Answer:
    async def answer(request: Request) -> Response:
        try:
            return _json(venue.site.crypto_price(request.query_params, venue.clock.now_ms()))
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return answer


def _of_token(venue: Venue, describe: Described) -> Answer:
    """Answer for the token of the query; a market that has resolved has no book any more."""

    async def answer(request: Request) -> Response:
        token = request.query_params.get("token_id", "")
        if not (token.isascii() and token.isdigit()):
            return _json({"error": "Invalid token id"}, 400)
        found = _tradable(venue, token)
        return _json(NO_BOOK, 404) if found is None else _json(describe(*found))

    return answer


def _books(venue: Venue) -> Answer:
    """Answer ``POST /books``: unknown tokens are left out, and the order is not that of the request."""

    async def answer(request: Request) -> Response:
        try:
            wanted = from_json(await request.body(), list[dict[str, Any]])
        except DecodingError:
            return _json({"error": "Invalid payload"}, 400)
        if len(wanted) > MOST_BOOKS:
            return _json({"error": "Payload exceeds the limit"}, 400)
        now_ms = venue.clock.now_ms()
        tokens = sorted({str(entry.get("token_id")) for entry in wanted})
        found = [_tradable(venue, token) for token in tokens]
        return _json(
            [
                frames.book_summary(market, outcome, market.stamp_ms(now_ms))
                for market, outcome in (entry for entry in found if entry is not None)
            ]
        )

    return answer


def _tradable(venue: Venue, token: str) -> tuple[Market, Outcome] | None:
    found = venue.markets.of_token(token)
    if found is None or venue.markets.truth(found[0], venue.clock.now_ms()) is not None:
        return None
    return found


def _midpoint(market: Market, outcome: Outcome) -> str:
    up, down = market.outcome_prices(None)
    return f"{(up if outcome == 'UP' else down).normalize():f}"


def _spread(market: Market, outcome: Outcome) -> str:
    sides = market.books[outcome]
    return frames.price_text(sides.best_ask - sides.best_bid)


def _last_trade(market: Market) -> dict[str, str]:
    """Return the last trade; a market that never traded says 0.5 and no side."""
    if market.last_trade is None:
        return {"price": "0.5", "side": ""}
    price, side = market.last_trade
    return {"price": frames.price_text(price), "side": side}


def _always(describe: Callable[[], Any]) -> Answer:
    async def answer(_: Request) -> Response:
        return _json(describe())

    return answer


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
