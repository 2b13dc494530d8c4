// What a pretend shop has in place of Shopify's App Bridge: session tokens for an app's page in the admin's frame. It
// signs the page's own fetches, and answers `shopify-reload` by loading that address again with a token.
"use strict";
(() => {
  const waiting = new Map();
  let last = 0;
  addEventListener("message", (event) => {
    if (event.source !== parent || !waiting.has(event.data?.answer)) return;
    waiting.get(event.data.answer)(event.data.token);
    waiting.delete(event.data.answer);
  });
  const idToken = () => new Promise((done) => {
    waiting.set(++last, done);
    parent.postMessage({ ask: "session-token", number: last }, "*");
  });
  window.shopify = { idToken };

  const plain = window.fetch;
  window.fetch = async (resource, options = {}) => {
    const url = new URL(resource instanceof Request ? resource.url : resource, location.href);
    if (url.origin !== location.origin) return plain(resource, options);
    const headers = new Headers(options.headers || (resource instanceof Request ? resource.headers : {}));
    headers.set("Authorization", `Bearer ${await idToken()}`);
    return plain(resource, { ...options, headers });
  };

  const reload = new URLSearchParams(location.search).get("shopify-reload");
  if (reload) idToken().then((token) => {
    const url = new URL(reload);
    url.searchParams.set("id_token", token);
    location.replace(url);
  });
})();
