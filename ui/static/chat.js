// What the conversation's buttons do. Gradio carries the questions; nothing is stored here.
"use strict";

const textarea = () => document.querySelector("#question textarea");
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Gradio marks the page with the browser's language; ours is the one that the texts are in. */
const page = document.documentElement;
new MutationObserver(() => {
  if (page.lang !== page.dataset.language) page.lang = page.dataset.language;
}).observe(page, { attributeFilter: ["lang"] });

/** Put a question in the box and send it, the way a student would. */
async function ask(question) {
  const box = textarea();
  const send = document.querySelector("#send");
  if (!box || !send || document.querySelector('.turn[aria-busy="true"]')) return;
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, question);
  box.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((resolve) => setTimeout(resolve, 50)); // Gradio reads the box in the next turn of its loop
  send.click();
  box.focus({ preventScroll: true });
}

/** Sources that the student has opened. Gradio closes them when it draws the next sentence. */
const opened = new WeakSet();
document.addEventListener("click", (event) => {
  const details = event.target.closest?.("#log summary")?.parentElement;
  if (details) details.open ? opened.delete(details) : opened.add(details);
});
new MutationObserver((changes) => {
  for (const { target } of changes) if (opened.has(target) && !target.open) target.open = true;
}).observe(page, { subtree: true, attributeFilter: ["open"] });

/** Open the sources under the answer and go to one of them. */
function show(source) {
  const item = document.getElementById(source);
  if (!item) return;
  const details = item.closest("details");
  details.open = true;
  opened.add(details);
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest", behavior: calm.matches ? "auto" : "smooth" });
}

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https, or in a frame that may not: the old way.
    const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = label), 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#log button");
  if (!button) return;
  if (button.dataset.ask) ask(button.dataset.ask);
  if (button.dataset.source) show(button.dataset.source);
  if (button.dataset.copy) copy(button);
});

/** Follow a growing answer, unless the student has scrolled up to read. */
function follow() {
  let turns = 0;
  let near = true;
  addEventListener("scroll", () => {
    near = innerHeight + scrollY > page.scrollHeight - 160;
  }, { passive: true });
  new MutationObserver(() => {
    const now = document.querySelectorAll(".turn").length;
    if (now > turns || (near && document.querySelector('.turn[aria-busy="true"]'))) {
      scrollTo({ top: page.scrollHeight, behavior: calm.matches ? "auto" : "smooth" });
    }
    turns = now;
  }).observe(document.querySelector("#log"), { childList: true, subtree: true, characterData: true });
}

/** The page is there when Gradio has drawn the box; a question in the address (#spor=…) is asked then. */
const drawn = new MutationObserver(() => {
  if (!textarea() || !document.querySelector("#log .welcome .chips")) return;
  drawn.disconnect();
  follow();
  const asked = new URLSearchParams(location.hash.slice(1)).get("spor");
  if (asked) {
    history.replaceState(null, "", location.pathname + location.search);
    ask(asked);
  } else if (!page.classList.contains("compact")) {
    textarea().focus({ preventScroll: true });
  }
});
drawn.observe(page, { childList: true, subtree: true });
addEventListener("hashchange", () => {
  const asked = new URLSearchParams(location.hash.slice(1)).get("spor");
  if (asked) ask(asked);
});

// In the widget, Esc closes the dialog around us; the page that holds it listens.
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && parent !== window) parent.postMessage("tutor:close", "*");
});
