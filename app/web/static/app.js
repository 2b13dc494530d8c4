// Live pages: when the server says that something changed, the page is loaded again and its regions are exchanged in
// place. Times count on by themselves. Without this script every page works and shows what was true when it was loaded.
"use strict";
(() => {
  const body = document.body;
  const skew = Date.parse(body.dataset.now) - Date.now();
  const toast = document.getElementById("toast");
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "narrow" });
  const now = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" }).format(0, "second");
  const UNITS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7], ["week", 4.35], ["month", 12], ["year", Infinity]];
  const PAUSE_MS = 1000, RETRY_MS = 30000;
  let loading = false, again = false, last = 0, seen = "";

  function ago(instant) {
    let value = (instant - Date.now() - skew) / 1000;
    if (Math.abs(value) < 1) return now;
    for (const [unit, size] of UNITS) {
      if (Math.abs(value) < size) return words.format(Math.round(value), unit);
      value /= size;
    }
  }
  function tick() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function watched(root) {
    return new Map([...root.querySelectorAll("[data-watch]")].map((one) => [one.dataset.watch, one.textContent]));
  }
  function path(details) {
    const parts = [];
    for (let one = details; one && !one.dataset.region; one = one.parentElement) {
      if (one.tagName === "DETAILS") parts.push(one.id || [...one.parentElement.parentElement.children].indexOf(one.parentElement));
    }
    return parts.join("/");
  }
  function exchange(old, fresh) {
    if (!fresh || old.innerHTML === fresh.innerHTML) return;
    const before = watched(old);
    const open = new Map([...old.querySelectorAll("details")].map((one) => [path(one), one.open]));
    const focus = old.contains(document.activeElement) ? [...old.querySelectorAll("a, summary, button, [tabindex]")].indexOf(document.activeElement) : -1;
    const scrolls = [...old.querySelectorAll(".frame")].map((one) => one.scrollLeft);
    fresh = document.adoptNode(fresh);
    old.replaceWith(fresh);
    for (const one of fresh.querySelectorAll("details")) if (open.has(path(one))) one.open = open.get(path(one));
    for (const one of fresh.querySelectorAll("[data-watch]")) {
      if (before.has(one.dataset.watch) && before.get(one.dataset.watch) !== one.textContent) one.classList.add("changed");
    }
    fresh.querySelectorAll(".frame").forEach((one, index) => { one.scrollLeft = scrolls[index] || 0; });
    if (focus >= 0) fresh.querySelectorAll("a, summary, button, [tabindex]")[focus]?.focus({ preventScroll: true });
  }

  async function refresh() {
    if (!body.dataset.live) return;  // a form that was refused stays as it is
    if (loading || document.hidden) { again = true; return; }
    loading = true;
    again = false;
    const wait = last + PAUSE_MS - Date.now();
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-region]")) exchange(old, fresh.getElementById(old.id));
      tick();
      lost(false);
    } catch {
      lost(true);
    }
    loading = false;
    if (again) refresh();
  }

  function lost(is) {
    toast.textContent = is ? toast.dataset.lost : "";
    toast.hidden = !is;
  }
  // Inside a shop's admin the stream is fetched: its script signs fetches, and no EventSource.
  async function follow() {
    if (!body.dataset.live) return;
    const over = new AbortController();
    let pause = PAUSE_MS;
    addEventListener("pagehide", () => over.abort(), { once: true });
    try {
      const answer = await fetch(body.dataset.live, { headers: { Accept: "text/event-stream", "Last-Event-ID": seen }, signal: over.signal });
      if (!answer.ok) throw new Error(answer.status);
      lost(false);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", part; !(part = await reader.read()).done;) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        const news = events.map((event) => /^id: (.*)$/m.exec(event)?.[1]).filter(Boolean).pop();
        if (news) { seen = news; refresh(); }
      }
    } catch {
      if (over.signal.aborted) return;
      pause = RETRY_MS;
      lost(true);
    }
    setTimeout(follow, pause);
  }
  function listen() {
    if (window.shopify) { follow(); return; }
    const stream = new EventSource(body.dataset.live);
    stream.addEventListener("changed", refresh);
    stream.addEventListener("open", () => lost(false));
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return;
      setTimeout(() => { refresh(); listen(); }, RETRY_MS);  // refused: too many streams, or logged out
    });
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) refresh(); });
  addEventListener("pageshow", (event) => { if (event.persisted) { refresh(); listen(); } });
  setInterval(tick, 1000);
  listen();
})();
