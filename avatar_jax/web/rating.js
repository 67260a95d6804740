"use strict";
// What pages on which people judge share: asking the server, one thing at a time, and a name to begin with.
const byId = (id) => document.getElementById(id);
let busy = false;

async function ask(path, body) {
  const options = body
    ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }
    : {};
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

// A key that is pressed while an answer is on its way does nothing.
async function act(work, show) {
  if (busy) return;
  busy = true;
  try {
    show(await work());
  } catch (error) {
    byId("note").textContent = error.message;
  } finally {
    busy = false;
  }
}

function whenNamed(show) {
  byId("who").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("name").value.trim();
    act(async () => {
      const first = await ask(`state?rater=${encodeURIComponent(name)}`);
      byId("who").hidden = true;
      byId("work").hidden = false;
      return first;
    }, show);
  });
  // Not autofocus: that waits for the first frame, and letters typed before it are lost.
  byId("name").focus();
}

// The key of an event that is one of the page's own; keys held down and the browser's shortcuts are not.
function ownKey(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.repeat ? null : event.key.toLowerCase();
}

function showProgress(state) {
  byId("bar").max = state.total;
  byId("bar").value = state.done;
  byId("rater").textContent = state.rater;
  document.body.dataset.done = state.done;
}
