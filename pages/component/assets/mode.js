// What the engine is and may do, in a word, a sign and a sentence.

const MODE_SHAPES = {
  PRACTICE: ["ring", "practice"],
  PAPER: ["half", "paper"],
  LIVE: ["disc", "live"],
  HALTED: ["cross", "halted"],
};

// What the engine may do now, in one word: the snapshot's mode, and what the operator or the arming make of it.
function modeWord(mode, account) {
  if (mode.mode === "HALTED") return ["HALTED", "cross", "halted"];
  if (account?.paused_why) return ["PAUSED", "bars", "paused"];
  if (mode.mode === "LIVE" && account)
    return account.armed ? ["ARMED", "disc", "live"] : ["DISARMED", "ring", "paper"];
  const [shapeName, toneName] = MODE_SHAPES[mode.mode] ?? ["warning", "alarm"];
  return [mode.mode, shapeName, toneName];
}

// Why, by whom and until when the mode is what it is; the red banner says it where trading has stopped.
function modeReason(mode, account) {
  if (!mode || !account || mode.mode === "HALTED") return "";
  if (account.paused_why)
    return `paused${sinceWords(account.paused_since_ms)} by ${account.paused_why}; resume on the Mode page`;
  if (mode.mode !== "LIVE") return "";
  const why = `${account.armed_who ? `by ${account.armed_who}` : ""}${account.armed_why ? `: ${account.armed_why}` : ""}`;
  if (!account.armed) return `not armed${sinceWords(account.armed_since_ms)} ${why || ": no live order leaves"}`;
  const until = known(account.armed_until_ms) ? ` until ${clock(account.armed_until_ms)} UTC` : "";
  return `armed${until} ${why}`;
}

function putModeChip(target, mode, engine, unknown, account = null) {
  if (engine && !engine.alive) putChip(target, "cross", "ENGINE DOWN", "halted");
  else if (unknown || engine?.state === "silent") putChip(target, "warning", "UNKNOWN", "alarm");
  else if (!mode) putChip(target, "ring", "STARTING", "quiet");
  else {
    const [word, shapeName, toneName] = modeWord(mode, account);
    putChip(target, shapeName, word, toneName);
  }
}

const sinceWords = (ms) => (known(ms) ? ` since ${clock(ms)} UTC` : "");

// Who stopped it, since when, why, and what ends it: a halt ends with a restart, a breaker outlives it.
function haltWords(mode) {
  const breakers = Object.entries(mode.breakers ?? {});
  const isBreaker = breakers.length > 0 && mode.halted_why.startsWith("breaker ");
  if (!isBreaker)
    return `Halted by the engine${sinceWords(mode.halted_since_ms)}: ${mode.halted_why}. It will not trade again before a restart.`;
  const named = breakers.map(([name, why]) => {
    const at = mode.breakers_since?.[name];
    return `${name}${known(at) ? sinceWords(at) : " since an earlier session"}: ${why}`;
  });
  return `Stopped by breaker ${named.join("; ")}. It outlives a restart; the command clear-breakers ends it.`;
}
