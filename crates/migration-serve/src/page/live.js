// Keeps the page up to date: the server sends the parts that changed. Without this file the page reloads itself.
"use strict";
(() => {
  const main = document.querySelector("#main");
  const live = document.querySelector("#live");
  let has = main.dataset.id;
  // By how many milliseconds the servers' clock is ahead of ours.
  let ahead = Number(main.dataset.now) > 0 ? Number(main.dataset.now) * 1000 - Date.now() : 0;
  let heard = 0;
  let failed = "";
  let source;

  // Everything with a name keeps what the reader did to it: what is unfolded, what has the focus, how far it is scrolled.
  const put = (part, html) => {
    const opened = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
    const scrolled = [...part.querySelectorAll("[tabindex]")].map((region) => region.scrollLeft);
    const focused = part.contains(document.activeElement)
      ? [...part.querySelectorAll("[tabindex], summary, a")].indexOf(document.activeElement) : -1;
    part.innerHTML = html;
    opened.forEach((id) => { const details = document.getElementById(id); if (details) details.open = true; });
    part.querySelectorAll("[tabindex]").forEach((region, n) => { region.scrollLeft = scrolled[n] || 0; });
    if (focused >= 0) part.querySelectorAll("[tabindex], summary, a")[focused]?.focus({ preventScroll: true });
    part.querySelectorAll("time").forEach(relate);
  };

  const span = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };

  // How long ago, or in how long; the moment itself is the title.
  const relate = (time) => {
    if (!time.title) time.title = time.textContent;
    const seconds = Math.round((Date.now() + ahead - Date.parse(time.dateTime)) / 1000);
    if (Number.isNaN(seconds)) return;
    time.textContent = seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
  };

  const tell = () => {
    const quiet = Math.round((Date.now() - heard) / 1000);
    const text = failed || (quiet > 12 ? `no news for ${span(quiet)}` : "live");
    if (live.textContent !== text) live.textContent = text;
    live.className = text === "live" ? "live on" : "live off";
  };

  const listen = () => {
    source = new EventSource(`${main.dataset.events}?since=${has}`);
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      has = change.id;
      if (change.now > 0) ahead = change.now * 1000 - Date.now();
      document.title = change.title;
      for (const [name, html] of Object.entries(change.parts)) {
        const part = document.getElementById(name);
        if (part) put(part, html);
      }
    });
    for (const kind of ["open", "change", "beat"]) {
      source.addEventListener(kind, () => { heard = Date.now(); failed = ""; tell(); });
    }
    source.onerror = () => {
      failed = "connection lost, trying again";
      tell();
      // Refused: a browser does not try that again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 10000);
    };
  };

  document.querySelectorAll("time").forEach(relate);
  setInterval(() => { document.querySelectorAll("time").forEach(relate); if (heard) tell(); }, 1000);
  listen();
})();
