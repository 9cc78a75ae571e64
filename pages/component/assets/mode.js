// What the engine is and may do, in a word, a sign and a sentence.

const MODE_SHAPES = {
  PRACTICE: ["ring", "practice"],
  PAPER: ["half", "paper"],
  LIVE: ["disc", "live"],
  HALTED: ["cross", "halted"],
  KILLED: ["square", "halted"],
};
const STOPPED = ["KILLED", "HALTED"];

// What the engine may do now, in one word: the snapshot's mode, and what the operator or the arming make of it.
// What must be known first wins: KILLED before HALTED before PAUSED. Snapshot.word in Python says the same.
function modeWord(mode, account) {
  if (STOPPED.includes(mode.mode)) return [mode.mode, ...MODE_SHAPES[mode.mode]];
  if (account?.paused_why) return ["PAUSED", "bars", "paused"];
  if (mode.mode === "LIVE" && account)
    return account.armed ? ["ARMED", "disc", "live"] : ["DISARMED", "ring", "paper"];
  const [shapeName, toneName] = MODE_SHAPES[mode.mode] ?? ["warning", "alarm"];
  return [mode.mode, shapeName, toneName];
}

// The word of a tab's title: with the latch that the engine has not confirmed, and with reduced confidence.
// title_word in Python says the same.
function titleWord(mode, account, latched) {
  const word = mode ? modeWord(mode, account)[0] : "STARTING";
  if (word === "KILLED") return word;
  if (latched) return "LATCHED";
  if (word === "HALTED") return word;
  return mode?.reduced_trading_confidence ? "REDUCED CONFIDENCE" : word;
}

// Why, by whom and until when the mode is what it is; the red banner says it where trading has stopped.
function modeReason(mode, account) {
  if (!mode || !account || STOPPED.includes(mode.mode)) return "";
  const rate = mode.clock_rate;
  if (account.paused_why)
    return `paused${sinceWords(account.paused_since_ms, rate)} by ${account.paused_why}; resume on the Mode page`;
  if (mode.mode !== "LIVE") return "";
  const why = `${account.armed_who ? `by ${account.armed_who}` : ""}${account.armed_why ? `: ${account.armed_why}` : ""}`;
  if (!account.armed) return `not armed${sinceWords(account.armed_since_ms, rate)} ${why || ": no live order leaves"}`;
  const until = known(account.armed_until_ms) ? ` until ${wallTime(account.armed_until_ms, rate)}` : "";
  return `armed${until} ${why}`;
}

function putModeChip(target, mode, engine, unknown, account = null) {
  if (engine?.state === "elsewhere") putChip(target, "ring", "ELSEWHERE", "quiet");
  else if (engine && !engine.alive) putChip(target, "cross", "ENGINE DOWN", "halted");
  else if (unknown || engine?.state === "silent") putChip(target, "warning", "UNKNOWN", "alarm");
  else if (engine?.killed && mode?.mode !== "KILLED") putChip(target, "square", "LATCHED", "halted");
  else if (!mode) putChip(target, "ring", "STARTING", "quiet");
  else {
    const [word, shapeName, toneName] = modeWord(mode, account);
    putChip(target, shapeName, word, toneName);
  }
}

// Operators act by the wall, and so do the times of stops: the day is said where it is not today, and which
// clock it is where the engine's runs faster.
function wallTime(ms, rate = 1) {
  if (!known(ms)) return DASH;
  const day = new Date(ms).toISOString().slice(0, 10);
  const before = day === new Date().toISOString().slice(0, 10) ? "" : `${day} `;
  return `${before}${clock(ms)} UTC${rate === 1 ? "" : " (wall time)"}`;
}

const sinceWords = (ms, rate) => (known(ms) ? ` since ${wallTime(ms, rate)}` : "");

// The red line: what stops everything, first what the operator must know first. Empty while nothing does.
function alarmWords(engine, mode, seen) {
  if (engine.state === "elsewhere")
    return `The engine ${engine.error}. This console only looks on, and KILL stops that one from here too.`;
  if (!engine.alive) {
    const last = seen ? " What you see below is its last word." : "";
    return `The engine does not run: ${engine.error || "it was stopped"}. This console trades nothing.${last}`;
  }
  const halt = mode?.halted_why ? haltWords(mode) : "";
  if (!mode?.kill_latched) return halt;
  const since = sinceWords(mode.kill_since_ms, mode.clock_rate);
  const killed = `Killed${since} by ${mode.kill_who}: ${mode.kill_why}. No order leaves. An operator clears it: "Clear it…" in the sidebar.`;
  return halt ? `${killed} And besides: ${halt}` : killed;
}

// Who stopped it, since when, why, and what ends it.
function haltWords(mode) {
  const breakers = Object.entries(mode.breakers ?? {});
  const isBreaker = breakers.length > 0 && mode.halted_why.startsWith("breaker ");
  if (!isBreaker)
    return `Halted by the engine${sinceWords(mode.halted_since_ms, mode.clock_rate)}: ${mode.halted_why}. ${wayOut(mode)}`;
  const named = breakers.map(([name, why]) => {
    const at = mode.breakers_since?.[name];
    return `${name}${known(at) ? sinceWords(at, mode.clock_rate) : " since an earlier session"}: ${why}`;
  });
  return `Stopped by breaker ${named.join("; ")}. ${wayOut(mode)}`;
}

// What ends a halt: a restart; a breaker outlives that, but for practice's, whose ledger begins anew.
// plain.way_out in Python says the same.
function wayOut(mode) {
  const isBreaker = Object.keys(mode.breakers ?? {}).length > 0 && mode.halted_why.startsWith("breaker ");
  if (!isBreaker) return "It will not trade again before a restart.";
  if (mode.venue === "practice") return "A restart of practice ends it: practice begins anew.";
  return "It outlives a restart: stop the engine, then the command clear-breakers ends it.";
}
