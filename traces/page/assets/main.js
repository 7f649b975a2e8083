// Which view the address names, the bar on top, the keys.
const main = document.getElementById("main");
let contents = null;

function shortId(id) {
  const short = id.slice(0, 8);
  return knownIds.filter((other) => other.startsWith(short)).length > 1 ? id : short;
}

let knownIds = [];
const fullId = (prefix) => knownIds.find((id) => id.startsWith(prefix)) ?? prefix;

async function route() {
  let address = location.hash.slice(1);
  try {
    address = decodeURIComponent(address);
  } catch {
    // Not an address of ours: it is shown as it is.
  }
  const [view, first, second] = address.split("/");
  const outline = document.getElementById("outline");
  if (outline) outline.hidden = !(view === "index" || (!view && contents.view === "index"));
  if (view === "run" && first) await showRun(fullId(first), Number(second));
  else if (view === "compare" && second) await showComparison(fullId(first), fullId(second));
  else if (contents.index) showIndex();
  else if (contents.view === "compare") await showComparison(contents.runs[0].id, contents.runs[1].id);
  else await showRun(contents.runs[0].id);
}

function place() {
  const [view, first, second] = location.hash.slice(1).split("/");
  if (view === "run" && first) return { id: fullId(first), number: Number(second) };
  return !view && contents.view === "run" ? { id: contents.runs[0].id } : {};
}

async function go(to) {
  const { id, number } = place();
  if (!id) return;
  const run = await load(`run:${id}`);
  const all = run.turns.map((turn) => turn.number);
  const at = Math.max(all.indexOf(number || firstShown(run)), 0);
  const next = { first: 0, last: all.length - 1, next: Math.min(at + 1, all.length - 1), before: Math.max(at - 1, 0) }[to];
  if (all[next] !== undefined) location.hash = turnLink(id, all[next]);
}

const KEYS = [
  ["j or →", "next turn"], ["k or ←", "previous turn"], ["Home, End", "first, last turn"],
  ["d", "change or whole code"], ["e", "open or close all of a turn"], ["c", "compare with a relative"],
  ["i", "all runs"], ["/", "search"], ["t", "dark or light"], ["?", "this list"],
];

const ACTS = {
  j: () => go("next"), ArrowRight: () => go("next"), k: () => go("before"), ArrowLeft: () => go("before"),
  Home: () => go("first"), End: () => go("last"), "?": () => help.showModal(), t: () => turnTheme(),
  i: () => contents.index && (location.hash = "index"),
  "/": () => document.getElementById("words")?.focus(),
  c: () => document.querySelector("a.compare")?.click(),
  d: () => document.querySelector('.choices [aria-pressed="false"][data-view]')?.click(),
  e: () => {
    const boxes = [...(document.getElementById("place") ?? main).querySelectorAll("details")];
    const open = boxes.some((box) => !box.open);
    for (const box of boxes) box.open = open;
  },
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.closest("input, textarea, select") || !Object.hasOwn(ACTS, event.key)) return;
  // A box that scrolls sideways, or a link's own keys, keep what they do.
  if (event.key.startsWith("Arrow") && event.target.closest(".code, .scroll, pre")) return;
  event.preventDefault();
  ACTS[event.key]();
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

const help = el("dialog", { "aria-labelledby": "help-name" }, el("h2", { id: "help-name" }, "Keys"),
  el("dl.keys", {}, ...KEYS.map(([key, does]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)))),
  el("form", { method: "dialog" }, el("button", {}, "Close")));

async function begin() {
  contents = await load("contents");
  knownIds = contents.runs.map((run) => run.id);
  const bar = document.getElementById("bar");
  const tool = (label, act, name) => el("button.quiet", { type: "button", on: { click: act }, "aria-label": name ?? label }, label);
  bar.append(el("nav.bar-links", { "aria-label": "Page" }, contents.index ? el("a", { href: "#index" }, "All runs") : null, tool("◐", turnTheme, "Dark or light"), tool("?", () => help.showModal(), "Keys")));
  document.body.append(help);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  addEventListener("hashchange", route);
  addEventListener("keydown", onKey);
  await route();
  document.documentElement.dataset.ready = "yes";
  if (!live) return;
  serial = contents.serial;
  follow();
}

begin().catch((error) => {
  main.replaceChildren(el("h1", {}, "This page cannot be shown"), el("p.alert", {}, String(error)));
  throw error;
});
