// Windows that are over, money and the limits used.

const VERDICTS = {
  agrees: ["check", "good"],
  "within error": ["half", "quiet"],
  "outside error": ["warning", "warn"],
  drift: ["cross", "alarm"],
  breaker: ["cross", "alarm"],
  waiting: ["ring", "quiet"],
  unknown: ["ring", "quiet"],
};

class SettlementsPanel {
  constructor() {
    this.table = table("settlements", [
      { label: "ended" },
      { label: "window" },
      { label: "outcome" },
      { label: "strike", numeric: true },
      { label: "final", numeric: true },
      { label: "P&L", numeric: true },
      { label: "said by" },
      { label: "verdict" },
    ]);
    this.empty = el("p", "empty");
    this.panel = panel("Settlements", "settlements-panel", el("div", "scroll", this.table.node), this.empty);
    this.node = this.panel.node;
  }

  paint({ store }) {
    const items = [...(store.slow.settlements ?? [])].sort(
      (a, b) => b.end_s - a.end_s || (a.slug > b.slug ? 1 : -1),
    );
    const next = ["5m", "15m"]
      .map((name) => store.current(name))
      .filter((contract) => contract && contract.phase !== "upcoming")
      .sort((a, b) => a.end_s - b.end_s)[0];
    put(
      this.empty,
      `No window has settled yet.${next ? ` Next: the ${next.name} window, at ${clock(next.end_s * 1000)} UTC.` : ""}`,
    );
    show(this.empty, items.length === 0);
    show(this.table.node, items.length > 0);
    put(this.panel.extra, items.length ? number(items.length, 0) : "");
    fillTable(
      this.table,
      items,
      (item) => item.slug,
      (cells, item) => {
        put(cells[0], minute(item.end_s));
        hint(cells[0], localTime(item.end_s * 1000));
        put(cells[1], item.name);
        hint(cells[1], item.slug);
        putOutcome(cells[2], item.outcome);
        put(cells[3], number(item.strike));
        hint(cells[3], sourceText(item.strike_source, item.strike_error, item.strike_rung));
        put(cells[4], number(item.final));
        hint(cells[4], sourceText(item.final_source, item.final_error, item.final_rung));
        put(cells[5], item.traded ? signedDollars(item.pnl) : "no trade");
        tone(cells[5], item.traded ? gain(item.pnl) : "quiet");
        put(cells[6], words(item.outcome_source ?? DASH));
        putState(cells[7], verdictWords(item), VERDICTS[item.verdict]);
      },
    );
  }
}

// Of a verdict that waits, what for: the outcome may be served before the final price is.
// SettlementView.verdict_words in Python says the same.
function verdictWords(item) {
  if (item.verdict !== "waiting") return item.verdict;
  return `waiting for ${item.outcome_source === "served" ? "final price" : "outcome"}`;
}

// The bars are the gates' own count: what is used, and, striped, what one order more would add.
class MoneyPanel {
  constructor() {
    this.facts = facts("money", {
      today: "Realised today",
      session: "Realised, session",
      open: "Open cost",
      fees: "Fees, session",
    });
    this.todayLabel = this.facts.cells.today.previousSibling;
    this.limits = el("div", "gauges limits");
    this.rows = new Map();
    this.empty = el("p", "empty", "Limits are shown from the engine's first picture on.");
    this.panel = panel("Money and limits", "money-panel", this.facts.node, this.limits, this.empty);
    this.node = this.panel.node;
  }

  paint({ store }) {
    const { money, account } = store.slow;
    const { cells } = this.facts;
    put(this.todayLabel, store.rate === 1 ? "Realised today" : "Realised today (market's day)");
    put(cells.today, signedDollars(money?.realised_today));
    tone(cells.today, gain(money?.realised_today));
    put(cells.session, signedDollars(money?.realised));
    tone(cells.session, gain(money?.realised));
    put(cells.open, dollars(money?.open_cost));
    put(cells.fees, dollars(money?.fees));
    put(this.panel.extra, money ? `${number(money.trades, 0)} trade${money.trades === 1 ? "" : "s"}` : "");
    const limits = account?.used ?? [];
    show(this.empty, limits.length === 0);
    for (const limit of limits) this.paintLimit(limit);
  }

  paintLimit(limit) {
    let row = this.rows.get(limit.name);
    if (!row) {
      row = gauge(limit.name);
      row.next = el("u", "next");
      row.bar.before(row.next);
      row.full = shape("check");
      row.node.firstChild.prepend(row.full, " ");
      this.rows.set(limit.name, row);
      this.limits.append(row.node);
    }
    const inUnit = (value) => (limit.unit === "$" ? dollars(value) : number(value, 0));
    const share = known(limit.limit) && limit.limit > 0 ? limit.used / limit.limit : 0;
    const next = known(limit.limit) && limit.limit > 0 ? limit.after / limit.limit : 0;
    const free = limit.name === "balance";
    putGauge(
      row,
      share,
      free
        ? `order ${inUnit(limit.after)} of ${inUnit(limit.limit)}`
        : `${inUnit(limit.used)} of ${inUnit(limit.limit)}`,
    );
    width(row.next, next);
    putShape(row.full, limit.over ? "cross" : "check");
    tone(row.full, limit.over ? "warn" : "good");
    tone(row.value, limit.over ? "warn" : "");
    row.node.classList.toggle("over", limit.over);
    hint(
      row.node,
      `${inUnit(limit.used)} used, ${inUnit(limit.after)} with one order more, limit ${inUnit(limit.limit)}` +
        `${limit.over ? ": refuses another order" : ""}`,
    );
  }
}
