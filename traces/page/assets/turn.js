// One turn, opened: draft, what running it gave, tests, verdict, the critic's words, model calls.
function turnView(run, brief, event) {
  const parts = [turnHead(run, brief, event)];
  if (event.drafts.length) parts.push(draftsPart(brief, event));
  if (event.feedback) parts.push(feedbackPart(event.feedback));
  if (event.calls.length) parts.push(callsPart(run, event.calls));
  return el("article.turn", { id: "turn", tabindex: "-1", "aria-labelledby": "turn-name" }, ...parts);
}

function turnHead(run, brief, event) {
  const all = run.turns.map((turn) => turn.number);
  const at = all.indexOf(brief.number);
  const step = (to, label, mark) => el("a.step", { href: to === undefined ? null : turnLink(run.id, to), "aria-label": label, "aria-disabled": to === undefined ? "true" : null, role: to === undefined ? "link" : null }, mark);
  const given = brief.given.map(([part, source]) => el("span.given", {}, `${part} from ${source}`));
  const ran = event.executions.filter(Boolean).length;
  const spentIn = (times, seconds) => (times > 1 ? `${times}, ${spent(seconds)} in sum` : spent(seconds));
  const facts = [
    brief.reason,
    brief.by && `decided by ${BY[brief.by] ?? brief.by}`,
  ].filter(Boolean).join(" · ");
  return el("header.turn-head", {},
    el("div.turn-title", {}, el("h2", { id: "turn-name" }, `Turn ${brief.number}`), brief.decision && badge(brief.decision),
      el("nav.steps", { "aria-label": "Previous and next turn" }, step(all[at - 1], "Previous turn", "←"), step(all[at + 1], "Next turn", "→"))),
    el("p.reason", {}, facts || "no verdict yet"),
    given.length ? el("p.givens", {}, "Not made in this run: ", ...given) : null,
    el("dl.facts", {}, ...fact("tokens", brief.input === null ? UNKNOWN : `${count(brief.input)} in, ${count(brief.output)} out`), ...fact("active time", spent(brief.seconds)), ...(event.calls.length ? fact("model calls", spentIn(event.calls.length, brief.thinking)) : []), ...(ran ? fact("executions", spentIn(ran, brief.running)) : []), ...(brief.cost === null ? [] : fact("cost", price(brief.cost)))));
}

const BY = { tests: "the tests", model: "the judge model", run: "the program's run alone", limits: "a limit", human: "a person" };
const fact = (name, value) => [el("div", {}, el("dt", {}, name), el("dd", {}, value))];

function part(id, title, ...children) {
  return el("section.part", { "aria-labelledby": `part-${id}` }, el("h3", { id: `part-${id}` }, title), ...children);
}

function draftsPart(brief, event) {
  const body = el("div");
  const show = (index) => body.replaceChildren(...draftBody(event.drafts[index], event.executions[index], brief));
  show(event.chosen);
  if (event.drafts.length === 1) return part("draft", "Draft", body);
  const choose = event.drafts.map((_, index) => {
    const button = el("button.choice", { type: "button", "aria-pressed": String(index === event.chosen) }, `${index + 1}${index === event.chosen ? " chosen" : ""}`);
    button.addEventListener("click", () => {
      for (const other of choose) other.setAttribute("aria-pressed", String(other === button));
      show(index);
    });
    return button;
  });
  return part("draft", `Drafts: ${event.drafts.length}`, el("div.choices", { role: "group", "aria-label": "Drafts" }, ...choose), body);
}

function draftBody(draft, execution, brief) {
  const made = [];
  if (draft.code === null) made.push(el("p.none", {}, "The answer holds no code."), longText(draft.said));
  else {
    made.push(codePart(draft));
    made.push(folded("The coder's whole answer", () => longText(draft.said)));
  }
  for (const [path, text] of draft.files) made.push(folded(`File ${plain(path)}`, () => longText(text)));
  if (draft.thinking) made.push(folded(`Thinking (${count(draft.thinking.length)} characters)`, () => longText(draft.thinking)));
  if (execution) made.push(...executionParts(execution));
  else if (draft.code !== null && brief.status) made.push(el("p.none", {}, "It was not run."));
  return made;
}

function codePart(draft) {
  const copy = copyButton(() => draft.code.map((line) => line.filter((_, at) => at % 2).join("")).join("\n"));
  if (!draft.rows) {
    const note = draft.same ? el("span.note", {}, "the same as the last draft") : null;
    return el(note ? "div.draft" : "div.draft.bare", {}, el("div.tools", {}, note, copy), wholeCode(draft.code));
  }
  const place = el("div");
  const views = { change: () => changedCode(draft), whole: () => wholeCode(draft.code) };
  const buttons = [["change", "Change"], ["whole", "Whole"]].map(([view, label]) => el("button.choice", { type: "button", "data-view": view }, label));
  const show = (view) => {
    remembered.code = view;
    place.replaceChildren(views[view]());
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.view === view));
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.view));
  show(remembered.code);
  const added = draft.rows.filter(([a]) => !a).length, removed = draft.rows.filter(([, b]) => !b).length;
  return el("div.draft", {}, el("div.tools", {}, el("div.choices", { role: "group", "aria-label": "Code" }, ...buttons), el("span.note", {}, `since the last draft: +${added} −${removed}`), copy), place);
}

function copyButton(text) {
  const button = el("button.quiet", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy here";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

function executionParts(run) {
  const made = [];
  if (run.tests) made.push(testsPart(run));
  const ended = [run.reason, run.exit_code === null ? "" : `exit status ${run.exit_code}`, spent(run.seconds), run.tier && `${run.tier} isolation`, run.profile && `profile ${run.profile}`].filter(Boolean).join(" · ");
  const body = [el("p.reason", {}, badge(run.status), " ", ended)];
  for (const limit of run.limits) body.push(el("p.note", {}, `It reached its limit: ${limit}`));
  if (run.state_lost) body.push(el("p.note", {}, "The context's variables were lost."));
  if (run.error) body.push(el("h4", {}, plain(`${run.error[0]}: ${run.error[1]}`).slice(0, 300)), longText(run.error[2] || run.error[1], "pre.text.bad"));
  for (const [name, [text, dropped]] of [["Output", run.stdout], ["Error output", run.stderr]]) {
    if (!text && !dropped) continue;
    body.push(el("h4", {}, name), longText(text), dropped ? el("p.note", {}, `${count(dropped)} bytes were dropped`) : null);
  }
  if (!run.tests && !run.error && !run.stdout[0] && !run.stderr[0]) body.push(el("p.none", {}, "It printed nothing."));
  for (const result of run.results) body.push(...resultParts(result));
  for (const file of run.artifacts) body.push(fileView(file));
  made.push(part("execution", "Execution", ...body));
  return made;
}

// A file that the program wrote: an image is shown, a text can be read, everything can be saved.
function fileView([path, size, sha256]) {
  const name = `File ${plain(path)} (${count(size)} bytes)`;
  const held = `file:${remembered.shown}:${sha256}`;
  if (!sha256 || !packedEvents.has(held)) return el("p.note", {}, `${name}: its content was not kept`);
  const kind = { png: "png", jpg: "jpeg", jpeg: "jpeg", gif: "gif", webp: "webp" }[path.toLowerCase().split(".").pop()];
  return folded(name, async () => {
    const content = await load(held);
    if (!BASE64.test(content)) return el("p.note", {}, "it holds a key, and is left out");
    return [kind ? figure(kind, content, path) : fileText(content), saveLink(path, content)];
  }, Boolean(kind));
}

function fileText(content) {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  try {
    return longText(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return el("p.note", {}, "not text");
  }
}

function saveLink(path, content) {
  const name = plain(path.split("/").pop()).replace(/[^\w.\- ]/g, "_");
  const link = el("a.note", { download: name }, "Save this file");
  link.href = `data:application/octet-stream;base64,${content}`;
  return link;
}

function figure(kind, content, words) {
  const image = new Image();
  image.alt = plain(words).slice(0, 200);
  image.src = `data:image/${kind};base64,${content.replace(/\s/g, "")}`;
  return el("figure", {}, image);
}

const BASE64 = /^[A-Za-z0-9+/=\s]+$/;

function resultParts(result) {
  const made = [];
  if (result.image && BASE64.test(result.image[1])) {
    const kind = result.image[0] === "png" ? "png" : "jpeg";
    made.push(figure(kind, result.image[1], result.text ? result.text[1] : "a figure that the program made"));
  }
  if (result.text) made.push(longText(result.text[1]));
  return made;
}

function testsPart(run) {
  const passed = run.tests.filter((test) => test.status === "passed").length;
  const failing = run.tests.filter((test) => test.status !== "passed");
  const rest = run.tests.filter((test) => test.status === "passed");
  const rows = failing.map(testRow);
  const list = el("div.tests", {}, ...rows);
  const more = rest.length > 8 || (failing.length && rest.length > 3);
  if (more) list.append(folded(`${many(rest.length, "passed test")}`, () => rest.map(testRow)));
  else list.append(...rest.map(testRow));
  return part("tests", `Tests: ${passed} of ${run.tests.length} passed`, list);
}

function testRow(test) {
  const word = test.word ? `the program's own ${test.word}` : "the grader";
  const values = [["input", test.input], ["expected", test.expected], ["actual", test.actual]].filter(([, value]) => value !== undefined);
  return el(`div.test.${test.status === "passed" ? "good" : "bad"}`, {},
    el("div.test-head", {}, badge(test.status), el("code.test-name", {}, test.name.slice(0, 2000)), test.status === "passed" ? el("span.note", {}, `on the word of ${word}`) : null),
    values.length ? el("dl.values", {}, ...values.map(([name, value]) => el(`div.${name}`, {}, el("dt", {}, name), el("dd", {}, el("code", {}, value.slice(0, FOLDED)))))) : null,
    test.text ? longText(test.text) : null);
}

function feedbackPart(feedback) {
  const who = { execution: "The execution's result, as feedback", simulated: "A simulated user's words", oracle: "The words of a simulated user who knows a solution", human: "A person's words", none: "No feedback" }[feedback.kind] ?? "Feedback";
  const did = { approve: "A person approved the draft.", stop: "A person stopped the run.", edit: "A person edited the code." }[feedback.action];
  return part("critic", feedback.action === "words" ? who : "Critic", did && el("p.reason", {}, did), feedback.words && longText(feedback.words, `${feedback.kind === "execution" ? "pre" : "blockquote"}.text.words`), ...feedback.notes.map((note) => el("p.note", {}, note)));
}

function callsPart(run, calls) {
  const most = Math.max(...calls.map((call) => call.seconds), 0.001);
  const rows = calls.map((call) => el("tr", {},
    el("th", { scope: "row" }, `${call.role} ${call.number}`),
    el("td.word", {}, call.model),
    el("td.num", {}, counted(call.input)),
    el("td.num", {}, counted(call.output)),
    el("td.num", {}, bar(call.seconds / most, "seconds"), spent(call.seconds)),
    el("td", {}, [call.finish, call.attempts > 1 && `${call.attempts} attempts`, call.cached && `${count(call.cached)} cached`, call.dropped && `${call.dropped} exchanges left out`, call.cost !== null && `cost ${price(call.cost)}`].filter(Boolean).join(", "))));
  const prompts = calls.map((call) => folded(`What ${call.role} ${call.number} was sent, and its answer`, async () => {
    const said = await conversation(run, call.answer);
    const made = said.map(([role, words]) => el("div.message", {}, el("h4", {}, role), longText(words)));
    if (call.thinking) made.push(folded("Thinking", () => longText(call.thinking)));
    return made;
  }));
  return part("calls", "Model calls", el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Model calls" }, el("table.plain", {}, el("thead", {}, el("tr", {}, ...["call", "model", "tokens in", "tokens out", "time", "end"].map((name) => el(/tokens|time/.test(name) ? "th.num" : "th", { scope: "col" }, name)))), el("tbody", {}, ...rows))), ...prompts);
}

function bar(share, kind) {
  const fill = el(`span.fill.${kind}`);
  fill.style.width = `${Math.max(2, Math.round(100 * Math.min(share, 1)))}%`;
  return el("span.meter", { "aria-hidden": "true" }, fill);
}
