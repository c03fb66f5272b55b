// What a page can do without this file it does with forms; this adds what comes by itself: entries as they are written,
// and how far a sync is.
"use strict";

// A row is made of the one that the server made, so that both always look alike.
const feed = document.getElementById("feed");
if (feed && window.EventSource) {
  const state = document.getElementById("feed-state");
  const pause = document.getElementById("feed-pause");
  const body = feed.querySelector("tbody");
  const rows = Number(feed.dataset.rows);
  const held = [];
  let paused = false;
  let last = Number(body.querySelector("a")?.textContent ?? -1);
  const tell = (word) => { state.textContent = state.dataset[word]; };

  const cell = (row, number, text) => {
    const td = row.children[number];
    (td.firstElementChild ?? td).textContent = text ?? "";
    return td;
  };
  const add = (entry) => {
    const pattern = body.rows[0];
    if (!pattern || entry.sequence <= last) return;
    last = entry.sequence;
    const row = pattern.cloneNode(true);
    cell(row, 0, entry.sequence).firstElementChild.href = `/ui/audit/entry?number=${entry.sequence}`;
    const time = cell(row, 1, entry.at.slice(0, 19).replace("T", " ")).firstElementChild;
    time.dateTime = entry.at;
    row.children[2].textContent = words[entry.event]?.textContent ?? entry.event;
    const outcome = cell(row, 3, words[entry.outcome]?.textContent ?? entry.outcome).firstElementChild;
    outcome.className = `tag ${words[entry.outcome]?.dataset.tone ?? "plain"}`;
    const code = document.createElement("code");
    code.textContent = entry.operation ?? "";
    const target = document.createElement("span");
    target.className = "soft";
    target.textContent = entry.target ? ` ${entry.target}` : "";
    row.children[4].replaceChildren(code, target);
    row.children[5].textContent = entry.principal ?? entry.peer ?? "";
    row.children[6].textContent = entry.reason ?? "";
    row.className = "fresh";
    body.prepend(row);
    while (body.rows.length > rows) body.lastElementChild.remove();
  };

  const words = {};
  for (const word of document.getElementById("feed-words").children) words[word.dataset.word] = word;
  const source = new EventSource(feed.dataset.feed);
  // What became of the stream is told even in a pause: nothing is held back behind one that is over.
  const tellState = () => {
    if (source.readyState === EventSource.CLOSED) tell("over");
    else if (paused) tell("paused");
    else tell(source.readyState === EventSource.OPEN ? "on" : "off");
  };
  source.onopen = tellState;
  source.onerror = tellState;
  source.onmessage = (message) => {
    const entry = JSON.parse(message.data);
    if (!paused) return add(entry);
    held.push(entry);
    if (held.length > rows) held.shift();
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? pause.dataset.go : pause.dataset.pause;
    tellState();
    if (!paused) held.splice(0).forEach(add);
  });
  addEventListener("pagehide", () => source.close());
}

// A sync, line by line.
for (const form of document.querySelectorAll("form[data-progress]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const bar = document.createElement("progress");
    const said = document.createElement("span");
    said.className = "hint";
    said.setAttribute("role", "status");
    said.textContent = ` ${form.dataset.progress}`;
    bar.setAttribute("aria-label", form.dataset.progress);
    button.disabled = true;
    form.append(bar, said);
    const end = (text, isWrong) => {
      bar.remove();
      button.disabled = false;
      said.textContent = ` ${text}`;
      said.className = isWrong ? "tag bad" : "tag good";
    };
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { accept: "application/x-ndjson" },
        body: new URLSearchParams(new FormData(form)),
        redirect: "error",
      });
      if (!answer.ok || !answer.body) return end(form.dataset.failed, true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines.filter(Boolean)) {
          const { progress, result, refusal } = JSON.parse(line);
          if (progress?.total) {
            bar.max = progress.total;
            bar.value = progress.done;
            said.textContent = ` ${progress.done} / ${progress.total}`;
          } else if (refusal) {
            end(refusal.message, true);
          } else if (result) {
            const { added = 0, changed = 0, removed = 0 } = result.report ?? {};
            end(`${form.dataset.done} +${added} ~${changed} −${removed}`, false);
          }
        }
      }
      if (bar.isConnected) end(form.dataset.failed, true);
    } catch {
      // It may have begun: sent again it would begin once more.
      end(form.dataset.failed, true);
    }
  });
}
