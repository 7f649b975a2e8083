// A run: what was asked, how it ended, the loop with the path taken, and a timeline of its turns.
const remembered = { code: "change", shown: null };

async function showRun(id, wanted) {
  const run = await load(`run:${id}`);
  if (!run) return missing(id);
  const known = run.turns.map((turn) => turn.number);
  const number = known.includes(wanted) ? wanted : firstShown(run);
  const brief = run.turns.find((turn) => turn.number === number);
  // Unpacked before anything is replaced, so that news of a run makes the page not flicker.
  if (brief) await load(`turn:${run.id}:${number}`);
  if (remembered.shown !== id || !document.getElementById("place")) {
    main.replaceChildren(...runShell(run));
    remembered.shown = id;
  }
  if (brief) await openTurn(run, brief);
  else decorateEmpty(run);
  document.title = `${plain(run.title)}${brief ? ` · turn ${brief.number}` : ""}`;
}

// A page that follows a run shows its newest turn.
const firstShown = (run) => (live ? run.turns[run.turns.length - 1] : run.turns.find((turn) => turn.path.length) ?? run.turns[0])?.number;
const turnLink = (id, number) => `#run/${shortId(id)}/${number}`;

async function openTurn(run, brief) {
  const place = document.getElementById("place");
  const event = await load(`turn:${run.id}:${brief.number}`);
  place.replaceChildren(run.tasks.length > 1 ? messagePart(run, brief.task) : "", turnView(run, brief, event));
  const drawing = document.querySelector("svg.loop");
  if (drawing) markTurn(drawing, brief.path);
  for (const link of document.querySelectorAll("#timeline a")) {
    const current = Number(link.dataset.turn) === brief.number;
    link.toggleAttribute("aria-current", current);
    if (current) {
      link.setAttribute("aria-current", "true");
      link.scrollIntoView({ block: "nearest" });
    }
  }
  decorateLive(run, brief);
}

function runShell(run) {
  return [runHead(run), el("div.columns", {},
    el("aside.side", {}, el("div.card.drawn", {}, loopDrawing(run.path)), run.turns.length ? timeline(run) : null, family(run)),
    el("div.place", { id: "place" }, run.turns.length ? null : el("p.none", {}, "No turn was made yet.")))];
}

function runHead(run) {
  const status = statusNow(run);
  const stats = [["turns", count(run.turns.length)], ["tokens", counted(run.tokens)], ["active time", spent(run.seconds)]];
  if (run.tasks.length > 1) stats.unshift(["messages", count(run.tasks.length)]);
  if (run.cost !== null) stats.push(["cost", price(run.cost)]);
  const settings = folded("Settings", () => settingsTables(run));
  return el("header.run-head", {},
    el("p.crumb", {}, contents.index ? el("a", { href: "#index" }, "All runs") : null, contents.index ? " / " : null, el("span.mono", {}, shortId(run.id)), run.parent ? el("span", {}, ", a branch of ", runLink(run.parent), ` at turn ${run.parent_turn}`) : null),
    el("div.summary", {},
      el("div", {}, el("h1", {}, run.title || "A run"), el("p.verdict", {}, badge(status), " ", [run.reason, run.by && status !== "waiting" && `decided by ${BY[run.by] ?? run.by}`].filter(Boolean).join(" · "))),
      el("dl.stats", {}, ...stats.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))))),
    run.failure ? el("p.alert", {}, `It failed at the ${run.failure[0]}: ${run.failure[1]}: ${run.failure[2]}`) : null,
    run.changed !== null ? el("p.alert", {}, run.changed ? `The trace was changed after it was written, in turn ${run.changed}.` : "The trace was changed after it was written.") : null,
    el("div.abouts", {}, ...(run.tasks.length === 1 ? taskBoxes(run.tasks[0]) : []), settings));
}

function taskBoxes(task) {
  return [folded("Task", () => prompt(task), true), ...taskParts(task)];
}

// A chat has a task for each message; it stands above its turns.
function messagePart(run, number) {
  const task = run.tasks.find((other) => other.number === number);
  return el("section.part.message-part", { "aria-labelledby": "message-name" }, el("h2", { id: "message-name" }, `Message ${number} of ${run.tasks.length}`), prompt(task), el("div.abouts", {}, ...taskParts(task)));
}

const prompt = (task) => longText(task.prompt, "pre.text.prompt");

function taskParts(task) {
  const made = [];
  if (task.tests) made.push(folded(`Feedback tests: ${plain(task.tests.file)}`, () => [longText(task.tests.source), ...task.tests.files.map(([path, text]) => folded(plain(path), () => longText(text)))]));
  for (const [path, text] of task.files) made.push(folded(`File ${plain(path)}`, () => longText(text)));
  if (task.reference) made.push(folded("Reference solution", () => longText(task.reference)));
  return made;
}

function settingsTables(run) {
  return run.settings.map(([digest, values]) => el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Settings" },
    run.settings.length > 1 ? el("h4", {}, digest.slice(0, 12)) : null,
    el("table.plain", {}, el("tbody", {}, ...values.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value.length > 200 ? folded(`${count(value.length)} characters`, () => longText(value)) : value)))))));
}

function timeline(run) {
  const used = (turn) => (turn.input === null ? null : turn.input + turn.output);
  const tokens = Math.max(...run.turns.map(used), 1);
  const seconds = Math.max(...run.turns.map((turn) => turn.seconds), 0.001);
  const asked = (turn, at) => (run.tasks.length > 1 && turn.task !== run.turns[at - 1]?.task ? el("p.asked", {}, run.tasks.find((task) => task.number === turn.task).prompt.trim().slice(0, 200)) : null);
  const items = run.turns.map((turn, at) => el("li", {}, asked(turn, at), el("a", { href: turnLink(run.id, turn.number), "data-turn": turn.number },
    el("span.turn-no", {}, turn.number),
    el("span.turn-what", {}, turn.decision ? badge(turn.decision) : el("span.note", {}, turn.status || "under way"), turn.tests !== null ? el("span.note", {}, ` ${turn.passed}/${turn.tests} tests`) : null, turn.path.length ? null : el("span.note", {}, " given")),
    el("span.bars", {}, used(turn) === null ? null : bar(used(turn) / tokens, "tokens"), bar(turn.seconds / seconds, "seconds")),
    el("span.turn-cost", {}, used(turn) === null ? null : [`${count(used(turn))} tokens`, el("br")], spent(turn.seconds)))));
  return el("nav.card", { "aria-labelledby": "timeline-name" }, el("h2", { id: "timeline-name" }, "Turns"), el("ol.timeline", { id: "timeline" }, ...items), el("p.fine", {}, "Time: model calls and executions; of drafts made at once, the longest."));
}

function family(run) {
  const known = contents.runs;
  const held = known.some((other) => other.id !== run.id && (other.parent === run.id || other.id === run.parent)) || (!contents.index && known.length > 1);
  if (!held && !run.parent) return null;
  const root = (other) => {
    for (let at = other, left = known.length; left > 0; left -= 1) {
      const parent = known.find((each) => each.id === at.parent);
      if (!parent) return at;
      at = parent;
    }
    return other;
  };
  const own = known.find((other) => other.id === run.id);
  const shown = contents.index ? known.filter((other) => root(other) === root(own)) : known;
  const branch = (parent, depth) => shown.filter((other) => (parent ? other.parent === parent : !shown.some((each) => each.id === other.parent)))
    .map((other) => el("li", {}, runEntry(run, other), depth < 30 ? el("ul", {}, ...branch(other.id, depth + 1)) : null));
  return el("nav.card.family", { "aria-labelledby": "family-name" }, el("h2", { id: "family-name" }, "Family"), el("ul", {}, ...branch(null, 0)));
}

function runEntry(run, other) {
  const own = other.id === run.id;
  return el("span.entry", {}, own ? el("strong.mono", {}, shortId(other.id)) : runLink(other.id),
    " ", badge(other.status), " ", el("span.note", {}, `${many(other.turns, "turn")}${other.parent ? `, from turn ${other.parent_turn}` : ""}`),
    own || !pairOf(run.id, other.id) ? null : el("a.compare", { href: `#compare/${pairInOrder(run.id, other.id).map(shortId).join("/")}` }, "compare"));
}

// A branch stands on the right of the run that it comes from, as what was changed.
function pairInOrder(own, other) {
  const parentOf = new Map(contents.runs.map((run) => [run.id, run.parent]));
  for (let at = parentOf.get(own), left = parentOf.size; at && left > 0; at = parentOf.get(at), left -= 1) if (at === other) return [other, own];
  return [own, other];
}

// While a run is followed, the server knows more of its state than the record.
const statusNow = (run) => (live ? contents.runs.find((other) => other.id === run.id) : run).status;

function runLink(id) {
  return packedEvents.has(`run:${id}`) ? el("a.mono", { href: `#run/${shortId(id)}` }, shortId(id)) : el("span.mono", { title: id }, id.slice(0, 8));
}

function missing(id) {
  main.replaceChildren(el("h1", {}, "This run is not in this page"), el("p", {}, "Write a page of it with:"), el("pre.text", { tabindex: "0" }, `opencodeinterpreter view ${id}`));
}
