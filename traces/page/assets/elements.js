// Everything that a page shows of a trace is hostile. It becomes text nodes, never HTML, and
// characters that steer a terminal or the direction of text are written out.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;
const FOLDED = 65536;
const FIRST = 4096;

const escaped = (character) => "\\x" + character.codePointAt(0).toString(16).padStart(2, "0");
const plain = (text) => String(text).replaceAll("\r\n", "\n").replace(CONTROL, escaped);

function addText(parent, text) {
  const whole = String(text).replaceAll("\r\n", "\n");
  let from = 0;
  for (const found of whole.matchAll(CONTROL)) {
    if (found.index > from) parent.append(whole.slice(from, found.index));
    const mark = document.createElement("span");
    mark.className = "escape";
    mark.textContent = escaped(found[0]);
    parent.append(mark);
    from = found.index + found[0].length;
  }
  if (from < whole.length) parent.append(whole.slice(from));
}

const isElement = (value) => value instanceof Node;

function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else made.setAttribute(key, value === true ? "" : clipped(plain(value)));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false || child === "") continue;
    if (isElement(child)) made.append(child);
    else addText(made, clipped(String(child)));
  }
  return made;
}

// Names, reasons and lines are short, unless somebody wants to stop the browser.
function clipped(text) {
  return text.length <= FIRST ? text : `${text.slice(0, FIRST)}… (${count(text.length - FIRST)} more characters)`;
}

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, plain(value));
  for (const child of children) isElement(child) ? made.append(child) : addText(made, clipped(String(child)));
  return made;
}

// Long texts are cut until someone asks for them: a megabyte in one box makes a browser slow.
function longText(text, name = "pre.text") {
  const box = el(name, { tabindex: "0", role: "group", "aria-label": "text" });
  if (text.length <= FOLDED) {
    addText(box, text);
    return box;
  }
  addText(box, text.slice(0, FIRST));
  const more = el("button.more", { type: "button" }, `Show all ${count(text.length)} characters`);
  more.addEventListener("click", () => {
    box.replaceChildren();
    addText(box, text);
    more.remove();
  });
  return el("div", {}, box, more);
}

function folded(title, fill, open = false) {
  const box = el("details", { open }, el("summary", {}, title));
  let filled = false;
  const fillNow = async () => {
    if (filled || !box.open) return;
    filled = true;
    box.append(...[await fill()].flat());
  };
  box.addEventListener("toggle", fillNow);
  if (open) fillNow();
  return box;
}

const MARKS = {
  solved: "✓", passed: "✓", ok: "✓", revise: "↻", stopped: "■", unsolved: "✕", failed: "✕",
  error: "✕", timeout: "⧖", limit: "⧖", crashed: "✕", exited: "⏏", skipped: "–", "not run": "–",
  sandbox_error: "!", unfinished: "…", running: "●", waiting: "?", interrupted: "‖",
};
const TONES = {
  solved: "good", passed: "good", ok: "good", revise: "warn", unfinished: "warn", skipped: "dim",
  "not run": "dim", running: "live", waiting: "warn", interrupted: "warn",
};

function badge(word, label = word) {
  const tone = Object.hasOwn(TONES, word) ? TONES[word] : word ? "bad" : "dim";
  const mark = Object.hasOwn(MARKS, word) ? MARKS[word] : "·";
  return el(`span.badge.${tone}`, {}, el("span", { "aria-hidden": "true" }, mark + " "), label);
}

const count = (number) => Number(number).toLocaleString("en-US");
const UNKNOWN = "unknown";
const counted = (number) => (number === null ? UNKNOWN : count(number));
function spent(seconds) {
  if (seconds < 0.9995) return seconds ? `${Math.max(1, Math.round(1000 * seconds))} ms` : "0 s";
  return `${seconds < 10 ? seconds.toFixed(1) : count(Math.round(seconds))} s`;
}
const price = (value) => (value === null || value === undefined ? "" : Number(value).toPrecision(3));
const many = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
