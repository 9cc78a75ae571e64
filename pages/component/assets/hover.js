// Every time in UTC, on any page, in the reader's own time when it is pointed at.

const TIME =
  /(?<![\d:.])(?:(\d{4}-\d{2}-\d{2})[ T]|(\d{1,2} [A-Z][a-z]{2}) )?((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(?![\d:])/g;
const LONGEST_TEXT = 600;
const ownTitles = new WeakMap(); // what was written here, so that it can be written anew when the text has changed

// The times of a text as lines: "14:30:00 UTC is 16:30:00 here". One that says no date is of `day`.
function localTimes(text, day) {
  if (text.length > LONGEST_TEXT || !text.includes("UTC")) return "";
  const lines = [...text.matchAll(TIME)].map(([shown, date, short, time]) => {
    const on = short ? `${short} ${day.getUTCFullYear()}` : (date ?? day.toISOString().slice(0, 10));
    const at = new Date(short ? `${on} ${time} UTC` : `${on}T${time}Z`);
    if (Number.isNaN(at.getTime())) return "";
    const here = `${two(at.getHours())}:${two(at.getMinutes())}${time.length > 5 ? `:${two(at.getSeconds())}` : ""}`;
    const other = at.getDate() === at.getUTCDate() ? "" : ` on ${at.toLocaleDateString(undefined, { dateStyle: "medium" })}`;
    return `${shown} UTC is ${here}${other} here`;
  });
  return [...new Set(lines.filter(Boolean))].join("\n");
}

document.addEventListener(
  "mouseover",
  (event) => {
    const node = event.composedPath()[0];
    if (!(node instanceof Element) || node.tagName === "CANVAS") return;
    const written = ownTitles.get(node) ?? "";
    if (node.getAttribute("title") && node.getAttribute("title") !== written) return; // it explains itself
    const now = stream.store.head?.now_ms;
    const own = node.textContent ?? "";
    const text = own.includes("UTC") ? own : `${own} ${node.parentElement?.textContent.includes("UTC") ? "UTC" : ""}`;
    const title = localTimes(text, new Date(known(now) ? now : Date.now()));
    if (title === written) return;
    ownTitles.set(node, title);
    node.setAttribute("title", title);
  },
  { passive: true },
);
