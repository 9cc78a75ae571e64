"""The faults of what is said: prices, books, markets. ``engine.practice.faults`` holds the others."""

from typing import Final

from engine.practice import fault_answers as answers
from engine.practice import fault_books as books
from engine.practice import fault_connections as connections
from engine.practice import fault_frames as frames
from engine.practice.fault_terms import (
    EVERY,
    INSTEAD,
    PRICE_FEEDS,
    YES_NO,
    Argument,
    Kind,
    on_feed,
    on_topic,
)

SLUG: Final = Argument("slug", "", "only markets whose slug contains this")
PRICE_FEED, PRICE_TOPIC = on_feed("all", PRICE_FEEDS), on_topic("all", "twap", "chainlink", "binance", "spot")

PRICES: Final = (
    Kind(
        "wrong-symbol",
        "Prices of another coin come under topics of BTC, in place of BTC's or beside them.",
        "No such price is ever taken for BTC's; where BTC's are missing the topic goes stale.",
        (PRICE_FEED, PRICE_TOPIC, EVERY, Argument("instead", "yes", INSTEAD.what, YES_NO)),
        frame=frames.misnamed,
        soak=({"instead": "no"}, {}),
    ),
    Kind(
        "duplicate-ticks",
        "Prices are sent twice.",
        "The second one changes nothing; it is counted.",
        (PRICE_FEED, PRICE_TOPIC, EVERY),
        frame=frames.doubled,
        soak=({},),
    ),
    Kind(
        "reorder-ticks",
        "Two prices that follow each other change places.",
        "Each counts for its own second; the newest value does not run backwards.",
        (PRICE_FEED, PRICE_TOPIC),
        frame=frames.swapped,
        end=connections.release_held,
        soak=({},),
    ),
    Kind(
        "late-ticks",
        "Prices are sent venue seconds late.",
        "Counted as late and used for their own second alone; a strike may come of it by its own stamp only.",
        (
            PRICE_FEED,
            PRICE_TOPIC,
            Argument("every", 3, EVERY.what, least=1),
            Argument("s", 8, "venue seconds"),
        ),
        frame=frames.delayed,
        soak=({},),
    ),
    Kind(
        "missing-boundary",
        "Prices of the seconds at which windows start and end are not sent, nor are they in snapshots.",
        "The strike is an estimate and marked as one, not traded on, until the venue serves it.",
        (
            PRICE_FEED,
            on_topic("twap", "twap", "chainlink", "binance"),
            Argument("seconds", 300, "multiples of this are missing", least=1),
        ),
        frame=frames.without_boundaries,
        soak=({},),
    ),
    Kind(
        "frozen-value",
        "Stamps go on and the value stands still.",
        "The topic is shown frozen once the others have moved, and no order rests on it.",
        (PRICE_FEED, PRICE_TOPIC),
        frame=frames.frozen,
    ),
    Kind(
        "bad-value",
        "Prices are ten times the true ones, zero, negative, NaN or infinite.",
        "Refused where it comes in and counted; a jump is believed once three reports in a row agree.",
        (
            PRICE_FEED,
            PRICE_TOPIC,
            EVERY,
            Argument("as", "tenfold", "what comes in its place", tuple(frames.BAD_VALUES)),
        ),
        frame=frames.worthless,
    ),
    Kind(
        "price-apart",
        "Prices of a source are off by so many basis points.",
        "Beyond a band that allows for their lag the sources' difference is shown and nothing is bought.",
        (
            on_feed("spot", PRICE_FEEDS),
            PRICE_TOPIC,
            Argument("bp", 60, "basis points", least=-5000, most=5000),
        ),
        frame=frames.apart,
    ),
    Kind(
        "carried-forward",
        "PolyBolt repeats the value before for want of a new one, and says so.",
        "Such a value is never a report of its second: no strike comes of it.",
        (on_topic("all", "twap", "chainlink"), Argument("every", 3, EVERY.what, least=1)),
        frame=frames.carried_by_polybolt,
        soak=({},),
    ),
    Kind(
        "clock-skew",
        "GET /time, own stamps and the check of signed times are off; /clock and seconds of prices are not.",
        "The skew is measured and shown; beyond the limit nothing is traded.",
        (
            Argument("ms", 5000, "milliseconds, ahead of the venue's clock", least=-1e9, most=1e9),
            Argument("of", "all", "what is off", ("all", "time", "stamps")),
            on_feed(),
        ),
        frame=frames.skewed,
        answer=answers.skewed_time,
        asked=answers.skewed_signature,
        soak=({"of": "time"},),
    ),
)

BOOKS: Final = (
    Kind(
        "unknown-asset",
        "Books and changes of tokens that nobody subscribed to come beside the known ones.",
        "Counted; no book is made of them and no known one changes.",
        (),
        frame=books.strangers,
        soak=({},),
    ),
    Kind(
        "crossed-book",
        "A bid of 0.99 stands in every book, at or above the best ask.",
        "The book is shown crossed, nothing is bought, the book is asked for again until it is right.",
        (),
        frame=books.crossed,
        soak=({},),
    ),
    Kind(
        "tick-change",
        "The price grid of every open market changes, for good; the whole books may stay away.",
        "Books are void until the next whole one, which is asked for; orders keep to the new grid.",
        (
            Argument("tick", "0.001", "the new grid", tuple(books.GRIDS_E4)),
            Argument("books", "follow", "whether whole books follow by themselves", ("follow", "missing")),
        ),
        frame=books.without_books,
        begin=books.change_grids,
        soak=({}, {"books": "missing"}),
    ),
    Kind(
        "lost-delta",
        "Changes of levels are not sent, so that the client's book differs and nothing says so.",
        "Noticed by the next stated touch or by GET /book; the book is not trusted and is asked for again.",
        (
            Argument("count", 1, "changes lost on each connection", least=1),
            Argument("of", "touch", "changes that move the touch, or any", ("touch", "any")),
        ),
        frame=books.forgotten,
        soak=({"count": 3}, {"count": 3, "of": "any"}),
    ),
    Kind(
        "shuffled-levels",
        "Whole books come with their levels in no order.",
        "The best price is looked for, never taken by its place.",
        (),
        frame=books.shuffled,
    ),
    Kind(
        "old-frames",
        "The last frames of markets that have ended come again and again beside those of the others.",
        "Counted as unknown once the window is over; no book is made of them, and no other one changes.",
        (),
        frame=books.of_the_past,
    ),
    Kind(
        "rest-stale",
        "GET /book answers with an old shell of 0.01 and 0.99.",
        "A cross-check that disagrees with a live book is shown; the live book stays the source.",
        (),
        answer=answers.stale,
        soak=({},),
    ),
)

MARKETS: Final = (
    Kind(
        "slow-gamma",
        "Gamma answers late.",
        "Feeds and decisions go on meanwhile; the next window is known in time or shown as missing.",
        (Argument("ms", 3000, "wall milliseconds"), SLUG),
        answer=answers.late,
        soak=({"ms": 2000},),
    ),
    Kind(
        "gamma-404",
        "Gamma does not know a market.",
        "A missing market is a state with retries, never a crash; other windows go on.",
        (SLUG,),
        answer=answers.missing,
        soak=({},),
    ),
    Kind(
        "gamma-500",
        "Gamma fails, in words that are no JSON.",
        "As with gamma-404; what is known of a market already stays known.",
        (SLUG,),
        answer=answers.broken,
        soak=({},),
    ),
    Kind(
        "swapped-outcomes",
        "Gamma lists Down first: labels, tokens and prices in the other order.",
        "Tokens are taken by label: the same books, the same side as before.",
        (SLUG,),
        answer=answers.turned,
        soak=({},),
    ),
    Kind(
        "changed-rule",
        "Gamma describes another settlement rule; markets settle as before.",
        "The window and its followers are only watched, until a whole one came out as the new rule says.",
        (Argument("to", "twap-30", "the rule described", ("twap-30", "twap-90", "spot", "unknown")), SLUG),
        answer=answers.changed,
    ),
    Kind(
        "other-window",
        "Gamma answers about another window than the one that was asked for.",
        "Refused: slug, start and end have to agree; what is known of the market stays known.",
        (SLUG,),
        answer=answers.of_another,
    ),
    Kind(
        "fee-unknown",
        "Gamma says that a market has fees, and not which.",
        "The description is refused; the fee known before holds for a while, then nothing is bought.",
        (SLUG,),
        answer=answers.without_fee,
    ),
    Kind(
        "closed-accepting",
        "A market is called closed and accepting orders, on Gamma and on the CLOB.",
        "Closed wins: it is not traded.",
        (SLUG,),
        answer=answers.closed,
    ),
)
