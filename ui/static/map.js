// The concept map: what hangs together with the entry under the pointer or in focus, moving and zooming.
// Without this script the map scrolls and every entry is a link.
"use strict";
const sheet = document.querySelector(".sheet");
const svg = sheet?.querySelector("svg");

/** Bring out one entry, its relations and its neighbours; nothing when slug is undefined. */
function bringOut(slug) {
  const near = new Set([slug]);
  for (const line of svg.querySelectorAll("line")) {
    const { a, b } = line.dataset;
    const ours = a === slug || b === slug;
    line.classList.toggle("near", ours);
    if (ours) near.add(a).add(b);
  }
  for (const node of svg.querySelectorAll("a")) node.classList.toggle("near", near.has(node.dataset.node));
  svg.classList.toggle("chosen", slug !== undefined);
}

/** Put the middle of an element in the middle of the sheet. */
function centre(element) {
  const [inner, outer] = [element.getBoundingClientRect(), sheet.getBoundingClientRect()];
  sheet.scrollLeft += inner.x + inner.width / 2 - outer.x - outer.width / 2;
  sheet.scrollTop += inner.y + inner.height / 2 - outer.y - outer.height / 2;
}

function zoom(factor) {
  const { width, height } = svg.viewBox.baseVal;
  const now = svg.clientWidth / width;
  const next = Math.min(2, Math.max(0.4, now * factor));
  const [x, y] = [(sheet.scrollLeft + sheet.clientWidth / 2) / now, (sheet.scrollTop + sheet.clientHeight / 2) / now];
  svg.setAttribute("width", width * next);
  svg.setAttribute("height", height * next);
  sheet.scrollLeft = x * next - sheet.clientWidth / 2;
  sheet.scrollTop = y * next - sheet.clientHeight / 2;
}

/** Drag with the mouse; a finger scrolls by itself. A drag that ends on an entry does not open it. */
function drag() {
  let from = null;
  let moved = false;
  sheet.addEventListener("pointerdown", (event) => {
    moved = false;
    if (event.pointerType === "mouse" && event.button === 0) from = { x: event.clientX, y: event.clientY };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!moved && Math.hypot(dx, dy) < 5) return;
    moved = true;
    sheet.scrollBy(-dx, -dy);
    from = { x: event.clientX, y: event.clientY };
  });
  addEventListener("pointerup", () => (from = null));
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener("click", (event) => moved && event.preventDefault());
}

if (svg) {
  const slugOf = (event) => event.target.closest?.("a")?.dataset.node;
  svg.addEventListener("pointerover", (event) => event.pointerType === "mouse" && bringOut(slugOf(event)));
  svg.addEventListener("pointerleave", () => bringOut(undefined));
  svg.addEventListener("focusin", (event) => bringOut(slugOf(event)));
  svg.addEventListener("focusout", () => bringOut(undefined));
  document.querySelector(".zoom").hidden = false;
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoom(Number(button.dataset.zoom)));
  }
  drag();
  const wanted = location.hash.startsWith("#kart-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted) bringOut(wanted.dataset.node);
  centre(wanted || svg);
}
