// A line terminal over a WebSocket. Output is always text: it is never parsed as HTML.
"use strict";

(() => {
  const start = document.getElementById("start");
  if (!start) return;
  const output = document.getElementById("output");
  const typing = document.getElementById("typing");
  const line = document.getElementById("line");
  const MOST = 2000;
  let socket = null;

  const show = (kind, text) => {
    const part = document.createElement("span");
    part.className = kind;
    part.textContent = shownText(text.replaceAll("\r\n", "\n"));
    output.append(part);
    while (output.childElementCount > MOST) output.firstElementChild.remove();
    output.scrollTop = output.scrollHeight;
  };
  const running = (is) => {
    for (const each of start.elements) each.disabled = is;
    if (!is) typing.hidden = true;
  };
  const heard = {
    out: (text) => show("out", text),
    err: (text) => show("err", text),
    problem: (text) => show("err", `${text}\n`),
    ended: (code) => show("faint", `ended with ${code ?? "an unknown code"}\n`),
  };

  start.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = Object.fromEntries(new FormData(start));
    show("faint", `${asked.container}: ${asked.command}\n`);
    running(true);
    socket = new WebSocket(`wss://${location.host}${document.body.dataset.terminal}`);
    socket.onopen = () => {
      socket.send(JSON.stringify(asked));
      // Not earlier: a line of before would be lost.
      typing.hidden = false;
      line.focus();
    };
    socket.onmessage = ({ data }) => {
      for (const [kind, value] of Object.entries(JSON.parse(data))) heard[kind]?.(value);
    };
    socket.onclose = ({ code }) => {
      if (code !== 1000) show("err", "the connection has ended\n");
      running(false);
      document.getElementById("command").focus();
    };
  });
  typing.addEventListener("submit", (event) => {
    event.preventDefault();
    show("typed", `> ${line.value}\n`);
    socket.send(JSON.stringify({ line: line.value }));
    line.value = "";
  });
  document.getElementById("end").addEventListener("click", () => socket.send(JSON.stringify({ end: true })));
})();
