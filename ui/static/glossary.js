// Search as you type. Without this script the form is sent with Enter or the button.
"use strict";
const field = document.getElementById("q");
const hits = document.getElementById("treff");
let latest = 0;
let timer;

async function search() {
  const number = ++latest;
  const address = new URL(field.form.action);
  for (const [name, value] of new FormData(field.form)) address.searchParams.set(name, value);
  const response = await fetch(address, { headers: { Accept: "text/html" } });
  if (!response.ok || number !== latest) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  // The status line stays the same element, so that a screen reader speaks its new text.
  hits.querySelector(".count").textContent = page.querySelector("#treff .count").textContent;
  hits.querySelector(".entries").replaceWith(page.querySelector("#treff .entries"));
  history.replaceState(null, "", address);
}

field?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, 150);
});
