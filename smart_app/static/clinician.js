// Pages read and answer without this file; it adds digits, answers in place, news, print and blurred names.
(() => {
  "use strict";
  const $ = (query, from = document) => from.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];
  const here = () => window.visitPlace || location.href;
  const say = (text) => { const place = $("[data-lost]"); place.hidden = !text; place.lastElementChild.textContent = text; };
  const wire = () => all("[data-print]").forEach((button) => { button.hidden = false; });

  // The page fetched again: its parts take the place of ours.
  function put(page) {
    for (const name of ["header", "main", "footer"]) {
      const fresh = $(`[data-part=${name}]`, page), old = $(`[data-part=${name}]`);
      if (fresh && old) old.replaceWith(document.adoptNode(fresh));
    }
    $("[data-news]").hidden = true;
    wire();
  }
  async function load(url, options) {
    const answer = await window.visit.fetch(url, options);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!$("[data-part=main]", page)) { location.reload(); return false; }
    put(page);
    return true;
  }

  // One tap answers; focus goes to the next question.
  let busy = false;
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-answer]") || event.submitter?.hasAttribute("formaction")) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    $(".answers", form)?.setAttribute("data-busy", "");
    const body = new URLSearchParams(new FormData(form, event.submitter));
    try {
      if (!(await load(form.getAttribute("action"), { method: "POST", body }))) return;
      const wrong = $(".err")?.closest(".ask") || document;
      const to = $(".err") ? $("input:not([type=hidden])", wrong) || $("h2", wrong) : $(".ask h2") || $("#said") || $("main");
      say("");
      $("[data-told]").textContent = $("#said")?.textContent || "";
      to?.focus();
    } catch { say("Not saved: nothing answers. Try again."); }
    finally { busy = false; $("[data-busy]")?.removeAttribute("data-busy"); }
  }, true);

  // Digits.
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input, textarea, select");
    if (field && event.key === "Escape") field.blur();
    if (field || !/^[1-9]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const it = $(`[data-digit="${event.key}"]`);
    if (!it) return;
    event.preventDefault();
    const beside = it.dataset.typed && $("#" + it.dataset.typed);
    if (beside && !beside.value) { beside.focus(); return; }
    it.click();
    if (it.matches("summary")) setTimeout(() => $("input", it.parentElement)?.focus());
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
    if (event.target.closest("[data-show]")) load(here()).then(() => $("main").focus());
  });

  // News come in place unless a hand is on a form.
  const held = () => document.activeElement?.closest?.("form, details[open]") || $("details.else[open]");
  async function heard(stamp) {
    const main = $("[data-live]");
    if (!main || busy || !stamp || stamp === main.dataset.stamp) return;
    if (held()) { $("[data-news]").hidden = false; return; }
    try { await load(here()); } catch { /* later */ }
  }
  const at = $("[data-live]");
  if (at && at.dataset.stamp && window.visit) window.visit.live(at.dataset.live, heard);

  // Names blur after three idle minutes and in hidden tabs.
  let idle;
  const blur = (on) => all("[data-name]").forEach((name) => name.classList.toggle("blur", on));
  const awake = () => { blur(false); clearTimeout(idle); idle = setTimeout(() => blur(true), 180000); };
  ["keydown", "pointermove", "focus"].forEach((name) => window.addEventListener(name, awake, { passive: true }));
  document.addEventListener("visibilitychange", () => (document.hidden ? blur(true) : awake()));
  awake();
  wire();
})();
