// Signs of life: the engine's pictures and its loop, the server's answers, each socket's pongs, order heartbeats.

const BEAT_WINDOW_MS = 5000;
const PONG_LATE_S = 10; // the engine pings every 5 s: one is missing; what counts as dead it says itself

class Heartbeats {
  constructor() {
    this.facts = facts("heartbeats", {
      engine: "engine beat",
      loop: "loop lag p50 / p99",
      server: "server beat",
      venue: "venue answers in",
      order: "order heartbeat",
    });
    this.table = table("pongs-table", [
      { label: "socket" },
      { label: "pong", numeric: true },
      { label: "round trip", numeric: true },
      { label: "keep-alive", numeric: true },
    ]);
    this.table.node.title =
      "pong: since the other end answered the protocol's ping; keep-alive: since it answered the venue's own PING";
    this.node = el("div", "signs-of-life", this.facts.node, this.table.node);
    this.seen = [];
  }

  paint(store, at) {
    const { cells } = this.facts;
    const life = store.head?.life ?? null;
    if (store.version && this.seen.at(-1)?.[0] !== store.version) this.seen.push([store.version, at]);
    while (this.seen.length > 1 && at - this.seen[0][1] > BEAT_WINDOW_MS) this.seen.shift();
    const since = store.sinceFrame(at);
    put(cells.engine, known(since) ? `${age(since)} ago` : DASH);
    hint(cells.engine, `${this.seen.length - 1} pictures drawn in the last ${BEAT_WINDOW_MS / 1000} s`);
    put(cells.loop, life ? `${number(life.loop_p50_ms, 0)} / ${milliseconds(life.loop_p99_ms)}` : DASH);
    hint(cells.loop, `how late the engine's own timer came in the last minute; at worst ${milliseconds(life?.loop_worst_ms)}`);
    const heard = at - killDesk.heardAt;
    put(cells.server, Number.isFinite(heard) ? `${age(heard / 1000)} ago` : DASH);
    put(cells.venue, milliseconds(store.head?.clock?.round_trip_ms));
    hint(cells.venue, "round trip of the last clock check, over REST");
    const [text, toneName] = orderBeat(store.slow.account, life, since ?? 0);
    put(cells.order, text);
    tone(cells.order, toneName);
    hint(cells.order, "beats only while an order's fate is unknown; the first one arms the venue's dead-man switch");
    this.paintPongs(life?.pulses ?? [], store.head?.feeds ?? [], since ?? 0);
  }

  paintPongs(pulses, feeds, since) {
    show(this.table.node, pulses.length > 0);
    fillTable(
      this.table,
      pulses,
      (pulse) => pulse.name,
      (cells, pulse) => {
        const open = feeds.find((feed) => feed.name === pulse.name)?.connected ?? false;
        const seconds = open && known(pulse.pong_age_s) ? pulse.pong_age_s + since : null;
        const late = known(seconds) && seconds > PONG_LATE_S;
        const state = !open ? ["cross", "alarm"] : late ? ["warning", "warn"] : known(seconds) ? ["disc", "ok"] : ["ring", "quiet"];
        putState(cells[0], `${pulse.name}${open ? (late ? " LATE" : "") : " DOWN"}`, state);
        put(cells[1], known(seconds) ? age(seconds) : DASH);
        put(cells[2], open ? milliseconds(pulse.pong_ms) : DASH);
        put(cells[3], open && known(pulse.word_age_s) ? age(pulse.word_age_s + since) : DASH);
      },
    );
  }
}

function orderBeat(account, life, since) {
  if (!account) return [DASH, "quiet"];
  if (!account.live) return ["not on paper", "quiet"];
  const taken = known(life?.order_beat_age_s) ? `taken ${age(life.order_beat_age_s + since)} ago` : "none taken yet";
  if (life?.order_beat_why || account.restriction === "heartbeat")
    return [`FAILED (${life?.order_beat_why || account.restriction_why}), ${taken}: no new orders`, "alarm"];
  return account.unknown > 0 ? [`needed every 5 s, ${taken}`, "warn"] : [`not needed now, ${taken}`, "quiet"];
}
