// Each event is compressed by itself and unpacked when it is shown: unpacking a big trace at once
// stops a browser for minutes.
const packedEvents = new Map();
const unpacked = new Map();
for (const holder of document.querySelectorAll("script[data-event]")) {
  packedEvents.set(holder.dataset.event, holder.textContent);
  holder.remove();
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function load(name) {
  if (!unpacked.has(name)) {
    if (!packedEvents.has(name)) return Promise.resolve(null);
    unpacked.set(name, unpack(packedEvents.get(name)));
  }
  return unpacked.get(name);
}

function replaceEvent(name, text) {
  packedEvents.set(name, text);
  unpacked.delete(name);
}

// The conversation that ends with a text: each text names the one before it, and each block holds
// those that were new in its turn.
async function conversation(run, last) {
  const found = [];
  for (let at = last; at >= 0; ) {
    let block = run.texts.length - 1;
    while (block > 0 && run.texts[block] > at) block -= 1;
    const texts = await load(`texts:${run.id}:${run.turns[block].number}`);
    const [before, role, words] = texts[at - run.texts[block]];
    found.unshift([role, words]);
    at = before;
  }
  return found;
}
