// The admin's side of App Bridge: gives session tokens to the app in the frame, and to nobody else.
"use strict";
(() => {
  const frame = document.querySelector("iframe[data-app]");
  addEventListener("message", async (event) => {
    if (event.source !== frame.contentWindow || event.data?.ask !== "session-token") return;
    const answer = await fetch(`/admin/session-token?client_id=${frame.dataset.app}`);
    const token = answer.ok ? (await answer.json()).token : "";
    event.source.postMessage({ answer: event.data.number, token }, event.origin);
  });
})();
