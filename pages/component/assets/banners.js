// What stands in the way, each with what to do about it: restrictions, alarms, reduced confidence, a backlog.

// What to do about it: docs/orders.md, "Restrictions" and "Alarms".
const ALARM_ADVICE = {
  "order of unknown fate": "wait; nothing is traded in its window",
  "orders do not fill": "look at the execution, or stop",
  "ghost fill": "the fill was undone; look at the account's approvals and balance",
  "fill after the end": "it is booked; look at the account",
  "shares differ": "fewer: the engine halts; more: somebody else traded",
  "stuck redeem": "redeem on the venue's page",
  "not settled": "look its window up on the venue's page",
  "cancel-all": "it is tried again; cancel by hand if it stays",
};
const RESTRICTION_ADVICE = {
  "closed-only": "exits go on; ask the venue about the account",
  unauthorised: "check the API key",
  heartbeat: "ends with the next beat that is taken",
  region: "the kill switch is tripped: this region may not trade",
};

// Balance, and what stands between us and the venue: each chip says what to do.
class LeaveChips {
  constructor() {
    this.balance = chip("balance");
    this.node = el("ul", "leave");
    this.node.setAttribute("aria-label", "Restrictions and alarms");
    this.node.setAttribute("aria-live", "polite");
  }

  paint(account, rate) {
    const free = account?.free_usd ?? null;
    putChip(this.balance, known(free) ? "disc" : "ring", `free ${dollars(free)}`, known(free) ? "ok" : "quiet");
    hint(this.balance.node, "dollars that no order under way may still take");
    const items = account ? leaveItems(account, rate) : [];
    const key = JSON.stringify(items);
    show(this.node, items.length > 0);
    if (key === this.key) return;
    this.key = key;
    this.node.replaceChildren(
      ...items.map(([shapeName, toneName, name, why, advice]) => {
        const mark = chip("leave-chip");
        putChip(mark, shapeName, name, toneName);
        return el("li", "", mark.node, el("span", "", why), advice ? el("b", "", advice) : "");
      }),
    );
  }
}

function leaveItems(account, rate) {
  const items = [];
  if (account.restriction !== "none") {
    const until = known(account.restriction_until_ms)
      ? `ends by itself at ${wallTime(account.restriction_until_ms, rate)}`
      : "does not end by itself";
    const advice = RESTRICTION_ADVICE[account.restriction] ?? "nothing to do: the next order tries";
    items.push(["bars", "warn", `venue: ${account.restriction}`, `${account.restriction_why}; ${until}`, advice]);
  }
  for (const [name, why] of Object.entries(account.alarms))
    items.push(["warning", "alarm", name, why, ALARM_ADVICE[name.split(" btc-")[0]] ?? "look at the Health page"]);
  if (account.unknown > 0 && !account.alarms["order of unknown fate"])
    items.push(["warning", "warn", `${account.unknown} unknown`, "an order is looked for", ALARM_ADVICE["order of unknown fate"]]);
  if (account.ghost_fills > 0 && !Object.keys(account.alarms).some((name) => name.startsWith("ghost fill")))
    items.push(["warning", "warn", `${account.ghost_fills} ghost fill${account.ghost_fills === 1 ? "" : "s"}`, "matches that failed later", ALARM_ADVICE["ghost fill"]]);
  return items;
}

// The settlement feed is silent and the engine lives on another price: nobody may overlook that.
class ReducedBanner {
  constructor() {
    this.since = el("span");
    this.orders = el("strong");
    this.node = el(
      "p",
      "reduced",
      shape("warning"),
      el("span", "", el("strong", "", "REDUCED TRADING CONFIDENCE: "), this.since, this.orders),
    );
    this.node.setAttribute("role", "alert");
    show(this.node, false);
  }

  paint(mode) {
    const reduced = mode?.reduced_trading_confidence ?? false;
    if (reduced) {
      const since = `living on spot since ${wallTime(mode.fallback_since_ms, mode.clock_rate)}`;
      put(this.since, `${since}; spot is not what these contracts settle on. `);
      put(
        this.orders,
        mode.orders_in_fallback
          ? "ORDERS ARE ALLOWED (ALLOW_ORDERS_WHILE_FALLBACK_ACTIVE)."
          : "Orders are gated.",
      );
    }
    show(this.node, reduced);
  }
}

class BehindBanner {
  constructor() {
    this.text = el("span");
    this.node = el("p", "behind", shape("half"), this.text);
    this.node.setAttribute("role", "status");
    show(this.node, false);
  }

  paint(mode) {
    const why = mode?.behind_why ?? "";
    if (why) put(this.text, `The engine is behind its feeds: ${why}; no new orders.`);
    show(this.node, why !== "");
  }
}
