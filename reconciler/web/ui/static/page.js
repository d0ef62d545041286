// Keeps an open page as the controller sees things: replaces the parts that it sends, and says when it does not answer.
"use strict";

(() => {
  const show = (root) => {
    for (const time of root.querySelectorAll("time:not([data-age])")) {
      const when = new Date(time.dateTime);
      if (!Number.isNaN(when.getTime())) {
        time.textContent = when.toLocaleString();
        time.title = time.dateTime;
      }
    }
  };

  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"]];
  const age = (seconds) => {
    const [size, unit] = UNITS.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
    return Math.max(0, Math.floor(seconds / size)) + unit;
  };
  const grow = () => {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const text = age(Date.now() / 1000 - Number(time.dataset.age));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const put = ({ id, html, into }) => {
    const old = document.getElementById(id);
    if (html === null) {
      old?.remove();
      return;
    }
    const holder = document.createElement("template");
    holder.innerHTML = html;
    const fresh = holder.content.firstElementChild;
    show(holder.content);
    if (old) {
      const held = old.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
      const opened = old.querySelectorAll("details");
      fresh.querySelectorAll("details").forEach((each, index) => { each.open = opened[index]?.open ?? false; });
      old.replaceWith(fresh);
      if (held) (document.getElementById(held) ?? fresh.querySelector(`[href="${CSS.escape(held)}"]`))?.focus();
    } else if (into) {
      document.getElementById(into)?.append(fresh);
    }
  };

  // Several changes within a frame are shown at once, only the last one of each part.
  const waiting = new Map();
  const later = (part) => {
    if (waiting.size === 0) requestAnimationFrame(() => {
      const parts = [...waiting.values()];
      waiting.clear();
      parts.forEach(put);
    });
    waiting.set(part.id, part);
  };

  let again = 1000;
  let source = null;
  let last = "";
  const follow = (address) => {
    const banner = document.getElementById("connection");
    source?.close();
    source = new EventSource(last ? address.replace(/since=\d+/, `since=${last}`) : address);
    source.onopen = () => { banner.hidden = true; again = 1000; };
    source.addEventListener("part", (event) => {
      last = event.lastEventId || last;
      later(JSON.parse(event.data));
    });
    source.addEventListener("end", () => { source.close(); location.reload(); });
    source.onerror = () => {
      banner.hidden = false;
      if (source.readyState !== EventSource.CLOSED || document.visibilityState !== "visible") return;
      // An answer that is no stream: the session is over, or too many pages are open.
      setTimeout(async () => {
        try {
          const answer = await fetch(location.href, { redirect: "manual", cache: "no-store" });
          if (answer.type === "opaqueredirect") location.reload();
          else follow(address);
        } catch {
          follow(address);
        }
      }, again);
      again = Math.min(again * 2, 30000);
    };
  };

  show(document);
  grow();
  setInterval(grow, 1000);
  const address = document.body.dataset.live;
  // A tab that is not seen keeps no connection: browsers have few for one host.
  const look = () => {
    if (document.visibilityState === "visible") follow(address);
    else source?.close();
  };
  if (address) {
    document.addEventListener("visibilitychange", look);
    look();
  }
})();
