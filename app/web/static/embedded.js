// Inside a shop's admin: forms are sent and files are fetched by `fetch`, which the admin's script signs, since no
// cookie says who is asking.
"use strict";
(() => {
  const here = new URL(location.href);  // what a form said is shown once
  if (here.searchParams.has("said")) {
    here.searchParams.delete("said");
    history.replaceState(null, "", here);
  }
  const say = (element) => element.insertAdjacentText("beforeend",
    document.documentElement.lang === "en" ? " The connection is lost: try again." : " …");
  document.addEventListener("click", async (event) => {  // a file that a page leads to would leave the frame empty
    const link = event.target.closest("a[download]");
    if (!link || event.defaultPrevented || link.href.startsWith("blob:")) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href);
      if (!answer.ok) throw new Error(answer.status);
      const file = document.createElement("a");
      file.href = URL.createObjectURL(await answer.blob());
      file.download = link.download;
      file.click();
      URL.revokeObjectURL(file.href);
    } catch {
      say(link.parentElement);
    }
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target, sent = event.submitter;
    if (form.method !== "post" || event.defaultPrevented) return;
    event.preventDefault();
    if (sent) sent.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form, sent), headers: { Accept: "text/html" } });
      if (answer.redirected) { location.assign(answer.url); return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.body.dataset.live) delete document.body.dataset.live;
      document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
      document.querySelector("[autofocus]")?.focus();
    } catch {
      say(form);
    }
    if (sent) sent.disabled = false;
  });
})();
