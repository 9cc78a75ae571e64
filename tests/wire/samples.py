"""Frames in the venue's own form, small enough to read; numbers and names are made up."""

import json
from typing import Any

UP = "1111111111111111111111111111111111111111111111111111111111111111111111111111"
DOWN = "2222222222222222222222222222222222222222222222222222222222222222222222222222"
MARKET = "0xabc0000000000000000000000000000000000000000000000000000000000001"


def _named(text: str) -> str:
    for name, value in (("@MARKET", MARKET), ("@UP", UP), ("@DOWN", DOWN)):
        text = text.replace(name, value)
    return text


BOOK = _named(
    '{"market":"@MARKET","asset_id":"@UP","timestamp":"1790000100000","hash":"aa",'
    '"bids":[{"price":"0.01","size":"900"},{"price":".48","size":"30.5"}],'
    '"asks":[{"price":"0.99","size":"700"},{"price":"0.52","size":"25"}],'
    '"tick_size":"0.01","event_type":"book","last_trade_price":""}'
)

REST_BOOK = BOOK.replace(',"event_type":"book"', ',"min_order_size":"5","neg_risk":false')

PRICE_CHANGE = _named(
    '{"market":"@MARKET","price_changes":['
    '{"asset_id":"@UP","price":"0.5","size":"200","side":"BUY","hash":"bb","best_bid":"0.5","best_ask":"1"},'
    '{"asset_id":"@DOWN","price":"0.5","size":"200","side":"SELL","hash":"cc","best_bid":"0","best_ask":"0.5"}],'
    '"timestamp":"1790000100500","event_type":"price_change"}'
)

OLD_PRICE_CHANGE = _named(
    '{"asset_id":"@UP","changes":[{"price":"0.4","side":"SELL","size":"3300"}],"event_type":"price_change",'
    '"market":"@MARKET","timestamp":"1729000000000","hash":"dd"}'
)

TICK_SIZE = _named(
    '{"event_type":"tick_size_change","asset_id":"@UP","market":"@MARKET","old_tick_size":"0.01",'
    '"new_tick_size":"0.001","timestamp":"1790000101000"}'
)

TRADE = _named(
    '{"market":"@MARKET","asset_id":"@UP","price":"0.456","size":"219.217767","fee_rate_bps":"1000","side":"BUY",'
    '"timestamp":"1790000102000","event_type":"last_trade_price","transaction_hash":"0xee"}'
)

BEST_BID_ASK = _named(
    '{"event_type":"best_bid_ask","market":"@MARKET","asset_id":"@UP","best_bid":"0.73","best_ask":"0.77",'
    '"spread":"0.04","timestamp":"1790000103000"}'
)

NEW_MARKET = _named(
    '{"id":"7","question":"BTC?","market":"@MARKET","slug":"btc-updown-5m-1790086500","assets_ids":["@UP","@DOWN"],'
    '"outcomes":["Up","Down"],"timestamp":"1790000104000","event_type":"new_market","line":""}'
)

RESOLVED = _named(
    '{"event_type":"market_resolved","id":"7","market":"@MARKET","assets_ids":["@UP","@DOWN"],'
    '"winning_asset_id":"@DOWN","winning_outcome":"Down","timestamp":"1790000405000","tags":[]}'
)

CHAINLINK = (
    '{"connection_id":"x=","payload":{"full_accuracy_value":"76211800165600190000000","symbol":"btc/usd",'
    '"timestamp":1790000100000,"value":76211.80016560019},"timestamp":1790000101612,'
    '"topic":"crypto_prices_chainlink","type":"update"}'
)
TWAP = (
    '{"payload":{"full_accuracy_value":"76199575317474428059648","symbol":"btc/usd",'
    '"timestamp":1790000100000,"value":76199.57531747443,"window_s":60},"timestamp":1790000101495,'
    '"topic":"crypto_prices_twap_sixty","type":"update"}'
)
BINANCE = (
    '{"topic":"crypto_prices","type":"update","timestamp":1790000100142,"payload":{"symbol":"btcusdt",'
    '"timestamp":1790000100000,"value":76210.73,"full_accuracy_value":"76210.73000000"}}'
)
SPOT_HISTORY = (
    '{"payload":{"data":[{"timestamp":1790000099000,"value":76201.5},'
    '{"timestamp":1790000098000,"value":76200.25}],"symbol":"btc/usd"},"timestamp":1790000100000,'
    '"topic":"crypto_prices","type":"subscribe"}'
)
TWAP_HISTORY = (
    '{"payload":{"data":[{"full_accuracy_value":"76196840994573453885440","timestamp":1790000099000,'
    '"value":76196.84099457346}],"symbol":"btc/usd","window_s":60},"timestamp":1790000100000,'
    '"topic":"crypto_prices_twap_sixty","type":"subscribe"}'
)
REFUSED = '{"body":{"message":"topic: nonsense and type: update not found"},"statusCode":401}'

TICKER = (
    '{"type":"ticker","sequence":5,"product_id":"BTC-USD","price":"76209.85","side":"buy",'
    '"time":"2026-09-21T14:15:00.659049Z","trade_id":9,"last_size":"0.1"}'
)
BINANCE_TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1790000100482,"s":"BTCUSDT","t":6,'
    '"p":"76210.00000000","q":"0.003","T":1790000100481,"m":true,"M":true}}'
)


def gamma_market(**changes: Any) -> dict[str, Any]:
    """Describe an open 5m market of the TWAP era as Gamma does; a change of None takes the field out."""
    market: dict[str, Any] = {
        "id": "1",
        "question": "Bitcoin Up or Down",
        "conditionId": "0x256a4256a2a6538c179b0e1573fd7745831c983ba302958e76d155fe7d45a034",
        "slug": "btc-updown-5m-1790000100",
        "resolutionSource": "https://data.chain.link/streams/btc-usd-twap-60s-streams",
        "startDate": "2026-09-20T14:18:43.932761Z",
        "eventStartTime": "2026-09-21T14:15:00Z",
        "endDate": "2026-09-21T14:20:00Z",
        "outcomes": '["Up", "Down"]',
        "outcomePrices": '["0.825", "0.175"]',
        "clobTokenIds": json.dumps([UP, DOWN]),
        "active": True,
        "closed": False,
        "acceptingOrders": True,
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "takerBaseFee": 1000,
        "feesEnabled": True,
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "cryptoMarketConfig": {
            "id": "btc-5m-twap-60",
            "asset": "btc",
            "duration": "5m",
            "twapEnabled": True,
            "twapLookbackSeconds": 60,
        },
        "version": "v1",
    }
    return {name: value for name, value in (market | changes).items() if value is not None}


def gamma_event(market: dict[str, Any], metadata: str = "{}") -> bytes:
    """Wrap a market in its event; ``metadata`` is JSON text, so that its digits stay what they are."""
    event = {"slug": market["slug"], "closed": market["closed"], "startTime": "2026-09-21T14:15:00Z"}
    text = json.dumps({**event, "markets": [market], "eventMetadata": "METADATA"})
    return text.replace('"METADATA"', metadata).encode()


def body(market: dict[str, Any]) -> bytes:
    """Write a market as Gamma answers it."""
    return json.dumps(market).encode()


POLYBOLT_TWAP = (
    '{"v":1,"channel":"price.crypto.twap","seq":3,"ts":1790000101495,"payload":{"symbol":"btcusd",'
    '"value":76199.57,"full_accuracy_value":"76199.57531747","timestamp":1790000100000,"window_seconds":60,'
    '"source":"chainlink","received_at":1790000101200,"is_carried_forward":false}}'
)
POLYBOLT_SPOT = (
    '{"v":1,"channel":"price.crypto","seq":2,"ts":1790000101612,"payload":{"symbol":"btcusd","value":76211.8,'
    '"full_accuracy_value":"76211.80016560","timestamp":1790000100000,"source":"chainlink"}}'
)
POLYBOLT_TWAP_HISTORY = (
    '{"v":1,"channel":"price.crypto.twap","seq":1,"ts":1790000100000,"snapshot":true,"payload":'
    '{"symbol":"btcusd","source":"chainlink","window_seconds":60,"data":['
    '{"timestamp":1790000099000,"value":76196.8,"full_accuracy_value":"76196.84099457"},'
    '{"timestamp":1790000098000,"value":76195.1,"full_accuracy_value":"76195.10000000"}]}}'
)
POLYBOLT_SPOT_HISTORY = (
    '{"v":1,"channel":"price.crypto","seq":1,"ts":1790000100000,"snapshot":true,"payload":{"symbol":"btcusd",'
    '"source":"chainlink","data":[{"timestamp":1790000099000,"value":76201.5}]}}'
)
POLYBOLT_ERROR = '{"op":"error","code":"auth_required","channel":"price.crypto","rid":"s1"}'

OUR_KEY = "00000000-1111-2222-3333-444444444444"
"""Our API key: made up, in the form of the venue's."""

ORDER_KILLED = _named(
    '{"id":"0x78","owner":"@KEY","market":"@MARKET","asset_id":"@UP","side":"BUY","order_owner":"@KEY",'
    '"original_size":"12","size_matched":"","price":"0.6","associate_trades":[],"outcome":"",'
    '"type":"CANCELLATION","created_at":"","expiration":"0","order_type":"FOK",'
    '"status":"CANCELED_order couldn\'t be fully filled. FOK orders are fully filled or killed.",'
    '"maker_address":"0xf39f","timestamp":"1790000100000","event_type":"order"}'
).replace("@KEY", OUR_KEY)

ORDER_PLACED = _named(
    '{"event_type":"order","id":"0x79","owner":"@KEY","market":"@MARKET","asset_id":"@UP","side":"BUY",'
    '"order_owner":"@KEY","original_size":"10","size_matched":"0","price":"0.52","associate_trades":null,'
    '"outcome":"Up","type":"PLACEMENT","created_at":"1790000100","expiration":"0","order_type":"GTC",'
    '"status":"LIVE","maker_address":"0xf39f","timestamp":"1790000100257"}'
).replace("@KEY", OUR_KEY)

TRADE_TAKEN = _named(
    '{"event_type":"trade","type":"TRADE","id":"t1","taker_order_id":"0x80","market":"@MARKET",'
    '"asset_id":"@UP","side":"BUY","size":"10","fee_rate_bps":"0","price":"0.52","status":"MATCHED",'
    '"match_time":"1790000100","last_update":"1790000100","outcome":"Up","owner":"@KEY","trade_owner":"@KEY",'
    '"maker_address":"0xf39f","transaction_hash":null,"bucket_index":0,"maker_orders":[{"order_id":"0x90",'
    '"owner":"another-key","maker_address":"0xaa","matched_amount":"10","price":"0.52","fee_rate_bps":"0",'
    '"asset_id":"@UP","outcome":"Up","outcome_index":0,"side":"SELL"}],"trader_side":"TAKER",'
    '"timestamp":"1790000100257"}'
).replace("@KEY", OUR_KEY)

TRADE_MADE = _named(
    '{"event_type":"trade","type":"TRADE","id":"t2","taker_order_id":"0x81","market":"@MARKET",'
    '"asset_id":"@UP","side":"BUY","size":"30","price":"0.53","status":"CONFIRMED","matchtime":"1790000200",'
    '"owner":"another-key","maker_orders":[{"order_id":"0x91","owner":"@KEY","matched_amount":"4.5",'
    '"price":"0.47","asset_id":"@DOWN","side":"BUY"},{"order_id":"0x92","owner":"third-key",'
    '"matched_amount":"25.5","price":"0.53","asset_id":"@UP","side":"SELL"}],"trader_side":"MAKER",'
    '"timestamp":""}'
).replace("@KEY", OUR_KEY)
