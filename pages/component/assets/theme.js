// The theme arrives as variables on the element; a canvas needs colours.

function luminance(colour) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = colour;
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(probe.fillStyle.slice(at, at + 2), 16));
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}

function readPalette(node) {
  const style = getComputedStyle(node);
  const background = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
  return {
    dark: luminance(background) < 0.4,
    key: `${background} ${style.getPropertyValue("--st-text-color")}`,
  };
}

function readColours(node) {
  const style = getComputedStyle(node);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const family = style.fontFamily;
  const names = [
    "twap",
    "chainlink",
    "spot",
    "strike",
    "up",
    "down",
    "quiet",
    "line",
    "gap",
    "shade",
    "panel",
    "faint",
    "warn",
    "alarm",
    "frozen",
  ];
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  const marks = {
    watch: colour("watch"),
    hammer: colour("hammer"),
    order: colour("text"),
    fill: colour("good"),
    killed: colour("quiet"),
    settled: colour("text"),
    gap: colour("alarm"),
    rule: colour("warn"),
    drift: colour("alarm"),
    breaker: colour("alarm"),
    fallback: colour("alarm"),
    frozen: colour("alarm"),
    restriction: colour("warn"),
    mode: colour("text"),
    alarm: colour("alarm"),
  };
  return {
    ...colours,
    marks,
    hammerZone: colour("hammer-zone"),
    font: `11px ${family}`,
    canvasFont: `${11 * devicePixelRatio}px ${family}`,
  };
}
