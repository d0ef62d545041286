// Appends new lines to an open log. A line is always text: it is never parsed as HTML.
"use strict";

(() => {
  const log = document.getElementById("log");
  const follow = document.getElementById("follow");
  const banner = document.getElementById("connection");
  const most = Number(document.body.dataset.most);
  const bottom = () => { if (follow.checked) log.scrollTop = log.scrollHeight; };

  const waiting = [];
  const append = () => {
    const part = document.createDocumentFragment();
    for (const { from, text } of waiting.splice(0).slice(-most)) {
      const line = document.createElement("div");
      const who = document.createElement("span");
      const said = document.createElement("bdi");
      who.className = "from";
      who.textContent = from;
      said.textContent = shownText(text);
      line.append(who, " ", said);
      part.append(line);
    }
    log.append(part);
    while (log.childElementCount > most) log.firstElementChild.remove();
    document.getElementById("none")?.remove();
    bottom();
  };

  const source = new EventSource(document.body.dataset.logs + location.search);
  source.onopen = () => { banner.hidden = true; };
  source.onerror = () => { banner.hidden = false; };
  source.addEventListener("end", () => { source.close(); location.reload(); });
  source.addEventListener("lines", (event) => {
    if (waiting.length === 0) setTimeout(append, 50);
    waiting.push(...JSON.parse(event.data));
  });
  bottom();
})();
