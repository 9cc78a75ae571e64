// Numbers and times as people read them. Unknown is a dash, never 0; minus is a minus sign, so that columns align.

const DASH = "—";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const formatters = new Map();

function fixedDigits(digits) {
  if (!formatters.has(digits)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    formatters.set(digits, new Intl.NumberFormat("en-US", options));
  }
  return formatters.get(digits);
}

function number(value, digits = 2) {
  if (!known(value)) return DASH;
  const text = fixedDigits(digits).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

function signed(value, digits = 2, before = "") {
  if (!known(value)) return DASH;
  const text = fixedDigits(digits).format(Math.abs(value));
  const zero = !/[1-9]/.test(text);
  return `${zero ? "" : value < 0 ? "−" : "+"}${before}${text}`;
}

const dollars = (value, digits = 2) =>
  known(value) ? number(value, digits).replace(/^(−?)/, "$1$$") : DASH;
const signedDollars = (value, digits = 2) => signed(value, digits, "$");
const cents = (value, digits = 1) => (known(value) ? `${signed(value * 100, digits)}¢` : DASH);
const percent = (value, digits = 1) => (known(value) ? `${number(value * 100, digits)} %` : DASH);
// Rounding must not turn nearly sure into sure.
function probability(value) {
  if (known(value) && value > 0.999 && value < 1) return "> 99.9 %";
  if (known(value) && value < 0.001 && value > 0) return "< 0.1 %";
  return percent(value);
}

// A rate as its publisher writes it, without trailing zeros.
const plain = (value) => (known(value) ? number(value, 4).replace(/\.?0+$/, "") : DASH);

// Whole cents where that is what three decimals say too.
const sharePrice = (value) =>
  known(value) ? number(value, Math.abs(value * 100 - Math.round(value * 100)) >= 0.05 ? 3 : 2) : DASH;

function age(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 100) return `${number(Math.max(0, seconds), 1)} s`;
  return seconds < 6000 ? `${number(seconds / 60, 0)} min` : `${number(seconds / 3600, 1)} h`;
}

function milliseconds(value) {
  if (!known(value)) return DASH;
  return value < 10_000 ? `${number(value, 0)} ms` : age(value / 1000);
}

function two(value) {
  return String(value).padStart(2, "0");
}

function countdown(seconds) {
  if (!known(seconds)) return DASH;
  const left = Math.max(0, seconds);
  if (left < 60) return `00:${two(Math.floor(left))}.${Math.floor((left % 1) * 10)}`;
  return `${two(Math.floor(left / 60))}:${two(Math.floor(left % 60))}`;
}

function uptime(seconds) {
  if (!known(seconds)) return DASH;
  const whole = Math.floor(seconds);
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
}

// UTC first; the reader's own time is the hover text (localTime).
function clock(ms) {
  return known(ms) ? new Date(ms).toISOString().slice(11, 19) : DASH;
}

function minute(seconds) {
  return known(seconds) ? new Date(seconds * 1000).toISOString().slice(11, 16) : DASH;
}

const LOCAL_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function localTime(ms) {
  if (!known(ms)) return "";
  const text = LOCAL_TIME.format(ms);
  return `${new Date(ms).toISOString().replace("T", " ").slice(0, 19)} UTC\n${text} here`;
}

function words(text) {
  return String(text ?? "").replaceAll("_", " ");
}

function gain(value) {
  if (!known(value) || Math.abs(value) < 0.005) return "quiet";
  return value > 0 ? "up" : "down";
}
