// Both tokens' books of the selected window. The touch sits in the middle and never moves under the mouse.

const LEVELS = 7;

class Ladder {
  constructor() {
    this.sides = { UP: new Side("UP"), DOWN: new Side("DOWN") };
    this.panel = panel("Depth", "ladder", el("div", "books", this.sides.UP.node, this.sides.DOWN.node));
    this.node = this.panel.node;
  }

  paint(store, at, contract) {
    put(this.panel.extra, contract ? `${contract.name} · shares` : "");
    const drift = store.drift(at);
    const levels = [contract?.up, contract?.down].flatMap((book) =>
      book ? [...book.bids, ...book.asks] : [],
    );
    const largest = Math.max(1, ...levels.map((level) => level[1]));
    this.sides.UP.paint(contract?.up, largest, drift);
    this.sides.DOWN.paint(contract?.down, largest, drift);
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
    this.state = el("p", "empty");
    const rows = [...[...this.asks].reverse(), { node: this.spread }, ...this.bids];
    const titles = el("div", "rung titles");
    titles.append(...["price", "break-even", "shares"].map((word) => el("span", "", word)));
    titles.title = "break-even: the probability from which on a share bought there pays, fee included";
    this.rows = el("div", "rungs", titles, ...rows.map((row) => row.node));
    this.node = el("div", "book", el("h3", "", name, this.age), this.rows, this.state);
  }

  paint(book, largest, drift) {
    const live = book?.state === "live";
    this.node.classList.toggle("dim", !live);
    put(this.age, known(book?.age_s) ? age(book.age_s + drift) : DASH);
    put(this.state, live ? "" : bookText(book));
    show(this.state, !live);
    for (let index = 0; index < LEVELS; index += 1) {
      putRung(this.asks[index], book?.asks[index], largest);
      putRung(this.bids[index], book?.bids[index], largest);
    }
    const wide = known(book?.ask) && known(book?.bid) ? book.ask - book.bid : null;
    put(
      this.spread,
      `${sharePrice(book?.bid)} / ${sharePrice(book?.ask)}${known(wide) ? `  ·  ${number(wide * 100, 1)}¢` : ""}`,
    );
  }
}

// Index 0 is the touch; asks are shown upside down.
function rungs(kind) {
  return Array.from({ length: LEVELS }, () => {
    const bar = el("i");
    const price = el("span", "price");
    const even = el("span", "even");
    const size = el("span", "size");
    const node = el("div", `rung ${kind}`, bar, price, even, size);
    return { node, bar, price, even, size };
  });
}

function putRung(rung, level, largest) {
  put(rung.price, level ? sharePrice(level[0]) : "");
  put(rung.even, level && known(level[2]) ? percent(level[2]) : "");
  put(rung.size, level ? number(level[1], level[1] < 100 ? 1 : 0) : "");
  width(rung.bar, level ? level[1] / largest : 0);
}

function bookText(book) {
  if (!book) return "No window yet.";
  const texts = {
    empty: "Nobody quotes this side.",
    crossed: "The book is crossed: not used.",
    stale: "The book is stale: not used.",
    "awaiting snapshot": "Waiting for the book's first snapshot.",
  };
  return texts[book.state] ?? book.state;
}
