// Keys of every page with their help, and sound on the live page.

// What a key does: on every page, and on the page that is open. None acts while somebody types.
const keyboard = {
  common: [
    ["k", "go to the kill button (Enter presses it)", () => focusKill()],
    ["Ctrl+Shift+K", "KILL at once, as the button does"],
    ["l", "the page Live", () => openPage("")],
    ["p", "the page Panic", () => openPage("panic")],
    ["[", "the page before", () => turnPage(-1)],
    ["]", "the next page", () => turnPage(1)],
    ["?", "these keys", () => keyboard.explain()],
  ],
  own: [],
  help: null,
  held: false, // the kill key, since it killed

  get rows() {
    return [...this.own, ...this.common];
  },

  press(event) {
    if (event.code === "KeyK" && !event.repeat) this.held = false;
    if (event.ctrlKey && event.shiftKey && event.code === "KeyK") {
      event.preventDefault();
      // It repeats: the first with both modifiers counts, even where the key was down before them.
      if (!this.held) killDesk.trip();
      this.held = true;
      return;
    }
    // A button of the page may have Escape as its shortcut and keep it from the browser (the tour's has).
    if (event.key === "Escape" && this.help?.open) this.help.close();
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.composedPath()[0];
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT|CANVAS)$/.test(target.tagName)) return;
    const act = this.rows.find(([key]) => key === event.key)?.[2];
    if (!act || (this.help?.open && event.key !== "?")) return;
    event.preventDefault();
    act();
  },

  explain() {
    if (this.help?.open) {
      this.help.close();
      return;
    }
    this.help = helpDialog(this.rows);
    this.help.showModal();
  },
};

document.addEventListener("keydown", (event) => keyboard.press(event));

const THEME_VARIABLES = ["text-color", "secondary-background-color", "background-color", "border-color", "font"];

// The help lies over every page, so it is no part of one; it takes its colours from the kill control's element.
function helpDialog(rows) {
  const lines = rows.map(([key, what]) => el("div", "", el("kbd", "", key), el("span", "", what)));
  const shut = el("button", "habit", "Close");
  const dialog = el("dialog", "keys", el("h2", "", "Keys"), ...lines, shut);
  const room = el("div", "control", dialog);
  const root = el("div");
  root.attachShadow({ mode: "open" }).append(el("style", "", STYLES), room);
  const like = [...killDesk.views].find((view) => view instanceof KillControl)?.node;
  if (like) {
    const style = getComputedStyle(like);
    for (const name of THEME_VARIABLES) root.style.setProperty(`--st-${name}`, style.getPropertyValue(`--st-${name}`));
    room.dataset.theme = like.dataset.theme;
  }
  dialog.setAttribute("aria-label", "Keys");
  shut.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => root.remove());
  document.body.append(root);
  return dialog;
}

// The kill button that this width shows; nothing is tripped by going there.
function focusKill() {
  const boxes = [...killDesk.views].filter((view) => view instanceof KillButton);
  const seen = boxes.find((view) => view.button.offsetParent !== null);
  seen?.button.scrollIntoView({ block: "nearest" });
  seen?.button.focus({ focusVisible: true });
}

// Streamlit's own links change the page without a reload, so that the session and its queue stay.
const pageLinks = () => [...document.querySelectorAll("[data-testid='stSidebarNavLink']")];
const lastPart = (address) => new URL(address, location.href).pathname.split("/").pop();

function openPage(name) {
  pageLinks()
    .find((link) => lastPart(link.href) === name)
    ?.click();
}

function turnPage(step) {
  const links = pageLinks();
  const here = links.findIndex((link) => lastPart(link.href) === lastPart(location.href));
  links[(here + step + links.length) % links.length]?.click();
}

const SOUND_KEY = "updown-sound";

// Sound is off until somebody wants it: browsers want a click before they play any.
class Habits {
  constructor() {
    this.on = readSound();
    this.sound = el("button", "habit sound");
    this.sound.type = "button";
    this.sound.addEventListener("click", () => this.toggle());
    this.help = el("button", "habit", "?");
    this.help.type = "button";
    this.help.title = "Keys";
    this.help.setAttribute("aria-label", "Keys");
    this.help.addEventListener("click", () => keyboard.explain());
    this.node = el("span", "habits", this.sound, this.help);
    this.said();
  }

  // Gives the page's keys to the keyboard for as long as the page is open.
  keys(rows) {
    this.rows = [...rows, ["s", "sound on fill and halt, on or off", () => this.toggle()]];
    keyboard.own = this.rows;
  }

  toggle() {
    this.on = !this.on;
    try {
      localStorage.setItem(SOUND_KEY, this.on ? "on" : "off");
    } catch {
      // A browser that keeps nothing still sounds until the page is left.
    }
    if (this.on) this.play([660]);
    this.said();
  }

  said() {
    put(this.sound, this.on ? "♪ sound on" : "sound off");
    this.sound.setAttribute("aria-pressed", String(this.on));
  }

  // Sounds what is new since the page was opened, never what was there.
  hear({ slow }) {
    if (!slow.mode) return;
    const fills = (slow.orders ?? []).filter((order) => order.filled_shares > 0).length;
    const halted = STOPPED.includes(slow.mode.mode);
    if (this.heard && halted && !this.heard.halted) this.play([440, 330, 220]);
    else if (this.heard && fills > this.heard.fills) this.play([660, 880]);
    this.heard = { fills, halted };
  }

  play(tones) {
    if (!this.on) return;
    this.audio ??= new AudioContext();
    this.node.dataset.played = tones.join(" ");
    tones.forEach((hertz, index) => {
      const at = this.audio.currentTime + index * 0.16;
      const [voice, level] = [this.audio.createOscillator(), this.audio.createGain()];
      voice.frequency.value = hertz;
      level.gain.setValueAtTime(0.12, at);
      level.gain.exponentialRampToValueAtTime(0.001, at + 0.15);
      voice.connect(level).connect(this.audio.destination);
      voice.start(at);
      voice.stop(at + 0.16);
    });
  }

  close() {
    if (keyboard.own === this.rows) keyboard.own = []; // a live page mounted meanwhile keeps its own
    keyboard.help?.close();
    this.audio?.close();
  }
}

function readSound() {
  try {
    return localStorage.getItem(SOUND_KEY) === "on";
  } catch {
    return false;
  }
}
