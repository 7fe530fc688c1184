// A frame whose browser keeps no cookies still opens its visit: this script carries the session in a header instead.
// Everywhere else it does nothing. It is no module: a frame without an origin could not load one twice.
(() => {
  "use strict";
  const body = document.body;
  const token = () => window.visitToken || "";
  const ours = (url) => url.origin === new URL(document.baseURI).origin && url.pathname.startsWith("/v/");
  const ask = (url, options = {}) =>
    fetch(url, {
      ...options,
      credentials: window.origin === "null" ? "omit" : "same-origin",
      headers: { ...(options.headers || {}), ...(token() ? { "X-Visit-Token": token() } : {}) },
    });

  // What other scripts of a launched page use: a request, and news as they come.
  window.visit = {
    fetch: ask,
    live(url, heard) {
      if (!token()) {
        const source = new EventSource(url);
        source.onmessage = (event) => heard(event.data);
        window.addEventListener("visit:leave", () => source.close(), { once: true });
        return;
      }
      const stop = new AbortController();
      window.addEventListener("visit:leave", () => stop.abort(), { once: true });
      const listen = async () => {
        const answer = await ask(url, { signal: stop.signal, headers: { Accept: "text/event-stream" } });
        if (!answer.ok) return false;
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
          const { value, done } = await reader.read();
          if (done) return true;
          const parts = (rest + value).split(/\r?\n\r?\n/);
          rest = parts.pop();
          for (const part of parts) {
            const data = part.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
            if (data.length) heard(data.join("\n"));
          }
        }
      };
      const again = () => listen().then((on) => on && setTimeout(again, 3000), () => stop.signal.aborted || setTimeout(again, 10000));
      again();
    },
  };

  // A page takes the place of this one, as if it had been opened.
  async function show(url, options, move) {
    const answer = await ask(url, options);
    const type = answer.headers.get("content-type") || "";
    if (!type.includes("text/html")) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // A module runs once in a document's life: under another name it runs again.
    shown += 1;
    page.querySelectorAll("script[type=module][src]").forEach((script) => {
      const src = new URL(script.getAttribute("src"), document.baseURI);
      src.searchParams.set("n", String(shown));
      script.setAttribute("src", src.pathname + src.search);
    });
    const place = new URL(answer.url);
    try {
      if (move) history[move]({ visit: true }, "", place.pathname + place.search);
    } catch { /* a frame without an origin has no addresses of its own */ }
    window.visitShown = shown;
    window.visitPlace = place.href;
    window.dispatchEvent(new Event("visit:leave"));
    document.open();
    document.write("<!doctype html>" + page.documentElement.outerHTML);
    document.close();
  }
  let shown = window.visitShown || 0;

  function carry() {
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[href]");
      if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target) return;
      const url = new URL(link.href, document.baseURI);
      if (!ours(url) || (link.getAttribute("href") || "").startsWith("#")) return;
      event.preventDefault();
      show(url, {}, "pushState");
    });
    document.addEventListener("submit", (event) => {
      const form = event.target;
      const url = new URL(event.submitter?.getAttribute("formaction") || form.getAttribute("action") || window.visitPlace || location.href, document.baseURI);
      if (event.defaultPrevented || !ours(url)) return;
      event.preventDefault();
      const sent = new URLSearchParams(new FormData(form, event.submitter));
      if ((form.method || "get").toLowerCase() === "get") {
        url.search = sent.toString();
        show(url, {}, "pushState");
      } else {
        show(url, { method: "POST", body: sent }, "pushState");
      }
    });
    window.addEventListener("popstate", () => show(location.href, {}, null));
    for (const name of ["htmx:config:request", "htmx:configRequest"]) {
      document.addEventListener(name, (event) => {
        const headers = event.detail?.ctx?.request?.headers || event.detail?.headers;
        if (headers) headers["X-Visit-Token"] = token();
      });
    }
  }

  async function open() {
    const target = body.dataset.opening;
    const say = (text) => { const place = document.querySelector("[data-say]"); if (place) place.textContent = text; };
    const works = window.origin !== "null" && (await ask(`/v/${body.dataset.handle}/opened`).then((answer) => answer.ok, () => false));
    if (works) { location.replace(target); return; }
    const answer = await ask(`/v/${body.dataset.handle}/ticket`, { method: "POST", body: new URLSearchParams({ ticket: body.dataset.ticket }) });
    if (!answer.ok) { say("This page was opened already. Open it again from the chart."); return; }
    window.visitToken = (await answer.json()).token;
    await show(target, {}, "replaceState");
  }

  if (body.dataset.opening) open().catch(() => { const place = document.querySelector("[data-say]"); if (place) place.textContent = "The page cannot be reached. Open it again from the chart."; });
  else if (token()) carry();
  else if (window.origin === "null") {
    // A frame without an origin that the browser let keep its cookie: forms and links carry it, a script's requests do not.
    // So the page is read and answered as if there were no script.
    window.addEventListener("submit", (event) => event.stopImmediatePropagation(), true);
    window.visit.live = () => {};
  }
})();
