// The code finder: results as somebody types, and the keys ↑ ↓ ↵ Esc. Without this file there is a button.
import Combobox from "./vendor/combobox-nav.js";

const $ = (query, root = document) => root.querySelector(query);
const input = $("#words");
const found = $("#found");
const form = $("form.find");
let box = null;

function wire() {
  if (box) box.destroy();
  box = null;
  const list = $("#options", found);
  if (list) {
    box = new Combobox(input, list, { tabInsertsSuggestions: false });
    box.start();
  }
  // Headings open in place, stars turn in place.
  found.querySelectorAll("form[data-swap]").forEach((one) => {
    const path = one.getAttribute("action");
    one.setAttribute("hx-post", path);
    one.setAttribute("hx-target", "#found");
    one.setAttribute("hx-swap", "innerHTML");
    window.htmx?.process(one);
  });
}

function swapped() {
  const count = Number($("[data-count]", found)?.dataset.count || 0);
  wire();
  $("#said").textContent = count === 1 ? "1 code" : count ? `${count} codes` : input.value.trim() ? "No code says that" : "";
}

if (input && found) {
  $("[data-keys]").hidden = false;
  $(".box .btn").classList.add("vh");
  wire();
  if (input.hasAttribute("data-focus")) input.focus();
  document.addEventListener("htmx:after:swap", swapped);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (!input.getAttribute("aria-activedescendant") && input.value) {
      input.value = "";
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    event.stopPropagation();
  });
  document.querySelectorAll("[name=table]").forEach((one) => one.addEventListener("change", () => input.focus()));
}
