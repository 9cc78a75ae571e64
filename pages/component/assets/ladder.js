// Both tokens' books of the selected window, and what our order would sweep of each. The touch never moves under the mouse.

const LEVELS = 7;
const COLUMNS = ["price", "break-even", "shares", "Σ sh.", "Σ $", "average", "EV"];

class Ladder {
  constructor() {
    this.sides = { UP: new Side("UP"), DOWN: new Side("DOWN") };
    this.panel = panel("Depth", "ladder", el("div", "books", this.sides.UP.node, this.sides.DOWN.node));
    this.node = this.panel.node;
  }

  paint({ store, at, contract }) {
    put(this.panel.extra, contract ? `${contract.name} · shares` : "");
    const drift = store.drift(at);
    const levels = [contract?.up, contract?.down].flatMap((book) =>
      book ? [...book.bids, ...book.asks] : [],
    );
    const largest = Math.max(1, ...levels.map((level) => level[1]));
    const limit_s = store.slow.account?.params?.book_stale_s ?? null;
    this.sides.UP.paint(contract?.up, largest, drift, limit_s);
    this.sides.DOWN.paint(contract?.down, largest, drift, limit_s);
  }
}

class Side {
  constructor(outcome) {
    const name = el("span");
    putOutcome(name, outcome);
    this.age = el("span", "age");
    this.asks = rungs("ask").reverse();
    this.bids = rungs("bid");
    this.spread = el("div", "spread");
    this.state = chip("book-state");
    this.checks = new BookChecks();
    const rows = [...[...this.asks].reverse(), { node: this.spread }, ...this.bids];
    const titles = el("div", "rung titles", ...COLUMNS.map((word) => el("span", "", word)));
    titles.title =
      "break-even: the probability from which on a share bought there pays, fee included; " +
      "Σ: everything up to and with this ask; EV: of this level alone, after fee";
    this.rows = el("div", "rungs", titles, ...rows.map((row) => row.node));
    this.own = el("p", "own-sweep");
    this.node = el(
      "div",
      "book",
      el("h3", "", name, this.age),
      this.checks.node,
      this.state.node,
      this.rows,
      this.own,
    );
  }

  paint(book, largest, drift, limit_s) {
    const seconds = known(book?.age_s) ? book.age_s + drift : null;
    const old = known(limit_s) && known(seconds) && seconds > limit_s;
    const live = book?.state === "live" && !old;
    this.rows.classList.toggle("dim", !live);
    put(this.age, age(seconds));
    const state = old && book.state === "live" ? "stale" : book?.state;
    const [shapeName, toneName] = BOOK_STATES[state] ?? ["ring", "quiet"];
    putChip(this.state, shapeName, live ? "" : bookText(book && { ...book, state }), toneName);
    show(this.state.node, !live);
    this.checks.paint(book);
    for (let index = 0; index < LEVELS; index += 1) {
      putRung(this.asks[index], book?.asks[index], largest, book?.sweep?.[index]);
      putRung(this.bids[index], book?.bids[index], largest);
    }
    const wide = known(book?.ask) && known(book?.bid) ? book.ask - book.bid : null;
    put(
      this.spread,
      `${sharePrice(book?.bid)} / ${sharePrice(book?.ask)}${known(wide) ? `  ·  ${number(wide * 100, 1)}¢` : ""}`,
    );
    put(this.own, live ? ownText(book.own) : "My order would not be sent on this book.");
    tone(this.own, live && known(book.own?.ev) && book.own.ev > 0 ? "good" : "quiet");
  }
}

// What the order would do now, in words.
function ownText(own) {
  if (!own) return "My order would find no ask at or below the price cap.";
  const short = own.usd < own.wanted_usd - 0.01 ? ` of ${dollars(own.wanted_usd)} wanted` : "";
  return (
    `My order sweeps ${number(own.shares, 1)} shares for ${dollars(own.usd)}${short}: ${own.levels} level` +
    `${own.levels === 1 ? "" : "s"}, average ${number(own.average, 4)}, fee ${dollars(own.fee)}` +
    `${known(own.ev) ? `, EV ${cents(own.ev, 2)} a share` : ""}.`
  );
}

// Index 0 is the touch; asks are shown upside down.
function rungs(kind) {
  return Array.from({ length: LEVELS }, () => {
    const cells = ["price", "even", "size", "sum-shares", "sum-usd", "average", "ev"].map((name) =>
      el("span", name),
    );
    return { node: el("div", `rung ${kind}`, ...cells), cells };
  });
}

function putRung(rung, level, largest, swept = null) {
  const [price, even, size, shares, usd, average, ev] = rung.cells;
  put(price, level ? sharePrice(level[0]) : "");
  put(even, level && known(level[2]) ? percent(level[2]) : "");
  put(size, level ? number(level[1], level[1] < 100 ? 1 : 0) : "");
  const [sumShares, sumUsd, mean, worth, taken] = level && swept ? swept : [];
  put(shares, known(sumShares) ? number(sumShares, 0) : "");
  put(usd, known(sumUsd) ? number(sumUsd, sumUsd < 100 ? 1 : 0) : "");
  put(average, known(mean) ? number(mean, 3) : "");
  put(ev, known(worth) ? cents(worth) : "");
  tone(ev, known(worth) && worth > 0 ? "good" : "quiet");
  rung.node.classList.toggle("taken", taken > 0);
  hint(rung.node, taken > 0 ? `my order would take ${number(taken, 2)} shares here` : "");
  fill(rung.node, level ? level[1] / largest : 0);
}

// Two witnesses of a rebuilt book: the other token's, which mirrors it, and the venue's own answer over REST.
class BookChecks {
  constructor() {
    this.mirror = chip("check");
    this.rest = chip("check");
    this.resyncs = el("span", "resyncs");
    this.node = el("p", "checks", this.mirror.node, this.rest.node, this.resyncs);
    hint(this.mirror.node, "whether this token's bids are the other one's asks, at the touch");
    hint(this.rest.node, "whether the venue's book, asked for over REST, showed the touch rebuilt here");
    hint(this.resyncs, "how often this book was doubted and asked for again");
  }

  paint(book) {
    show(this.node, Boolean(book));
    if (!book) return;
    const { mirror, rest, resyncs } = book;
    putCheck(this.mirror, "mirror", mirror === "mirrors" ? "ok" : mirror, mirror === "mirrors");
    putCheck(this.rest, "REST", rest, rest === "agrees");
    put(this.resyncs, `${number(resyncs, 0)} resync${resyncs === 1 ? "" : "s"}`);
    show(this.resyncs, resyncs > 0);
  }
}

function putCheck(target, name, word, good) {
  if (word === "differs") putChip(target, "warning", `${name} DIFFERS`, "warn");
  else putChip(target, good ? "check" : "ring", `${name} ${word}`, good ? "ok" : "quiet");
}

const BOOK_STATES = {
  empty: ["ring", "quiet"],
  crossed: ["cross", "alarm"],
  stale: ["warning", "alarm"],
  "awaiting snapshot": ["half", "warn"],
};

// Beside the outcome in a row of the card: a book that is not used says so in words.
function putBookState(cell, book) {
  if (cell.dataset.book === book.state) return;
  cell.dataset.book = book.state;
  cell.querySelector(".book-state")?.remove();
  if (book.state === "live") return;
  const mark = chip("book-state");
  const [shapeName, toneName] = BOOK_STATES[book.state] ?? ["ring", "quiet"];
  putChip(mark, shapeName, book.state, toneName);
  cell.append(mark.node);
}

function bookText(book) {
  if (!book) return "No window yet.";
  const texts = {
    empty: "Nobody quotes this side.",
    crossed: "The book is crossed: not used.",
    stale: "The book is stale: not used.",
    "awaiting snapshot": "Waiting for a snapshot of the book: not used.",
  };
  return texts[book.state] ?? book.state;
}
