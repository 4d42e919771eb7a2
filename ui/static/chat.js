// What the conversation's buttons do. Gradio carries the questions; the conversation is kept in this tab only,
// and not even there in the widget, whose frame has no storage of its own in another site's page.
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

// A button that goes away takes the focus with it: with the keyboard one goes on from the box.
document.addEventListener("click", (event) => {
  if (event.detail === 0 && event.target.closest?.("#send, #stop, #new")) textarea().focus({ preventScroll: true });
});

/** Gradio tells in English, or not at all, that the tutor does not answer; ours tells it in the reader's language. */
new MutationObserver(() => {
  const place = document.querySelector("#trouble");
  const broken = document.querySelector(".toast-body.error, [data-testid=status-tracker] .error") !== null;
  if (broken === place.hasChildNodes()) return;
  place.replaceChildren();
  if (!broken) return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: place.dataset.reload });
  button.addEventListener("click", () => location.reload());
  place.append(place.dataset.says, button);
}).observe(page, { childList: true, subtree: true });

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

function download() {
  const text = document.querySelector("#log .turns")?.dataset.markdown;
  if (!text) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  link.download = `samtale-${new Date().toISOString().slice(0, 10)}.md`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Which thumb is pressed, by turn; the pressed state is lost when Gradio draws the conversation again. */
const judged = new Map();
function showJudged() {
  for (const thumbs of document.querySelectorAll(".thumbs")) {
    for (const button of thumbs.querySelectorAll("button")) {
      const pressed = String(judged.get(thumbs.dataset.turn) === button.dataset.verdict);
      if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed);
    }
  }
}

/** Send a thumb, and the comment when there is one, to the machine that runs the tutor. */
async function judge(tools, comment) {
  const { turn, about } = tools.querySelector(".thumbs").dataset;
  const said = tools.querySelector(".thanks");
  const body = JSON.stringify({ ...JSON.parse(about), verdict: judged.get(turn), comment });
  const api = new URL(`${page.classList.contains("compact") ? "../" : "./"}api/feedback`, location.href);
  const sent = await fetch(api, { method: "POST", headers: { "Content-Type": "application/json" }, body }).catch(() => {});
  said.textContent = sent?.ok ? said.dataset.thanks : said.dataset.sorry;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#log button, #download");
  if (!button) return;
  if (button.id === "download") download();
  if (button.dataset.ask) ask(button.dataset.ask);
  if (button.dataset.source) show(button.dataset.source);
  if (button.dataset.copy) copy(button);
  const tools = button.closest(".tools");
  if (button.dataset.verdict) {
    judged.set(tools.querySelector(".thumbs").dataset.turn, button.dataset.verdict);
    showJudged();
    tools.querySelector(".why").hidden = false;
    judge(tools, "");
  }
  if (button.dataset.why) {
    const why = tools.querySelector(".why");
    why.hidden = true;
    tools.querySelector('[aria-pressed="true"]')?.focus();
    judge(tools, why.querySelector("textarea").value.trim());
  }
});

/** Keep the conversation for a reload of this tab; an empty one is forgotten. */
function keep() {
  const kept = document.querySelector("#log .turns")?.dataset.kept;
  try {
    if (kept) sessionStorage.setItem(`tutor:${location.pathname}`, kept);
    else if (document.querySelector("#log .welcome .chips")) sessionStorage.removeItem(`tutor:${location.pathname}`);
  } catch {
    // Storage is denied or full: then the conversation lives as long as the page.
  }
}

/** Keep the conversation, and follow a growing answer, unless the student has scrolled up to read. */
function follow() {
  let turns = document.querySelectorAll(".turn").length;
  let near = true;
  let writing = false;
  addEventListener("scroll", () => {
    near = innerHeight + scrollY > page.scrollHeight - 160;
  }, { passive: true });
  new MutationObserver(() => {
    const now = document.querySelectorAll(".turn").length;
    const wrote = writing; // the last step brings sources and questions, and the answer is no longer busy
    writing = document.querySelector('.turn[aria-busy="true"]') !== null;
    if (now > turns || (near && (writing || wrote))) {
      scrollTo({ top: page.scrollHeight, behavior: calm.matches ? "auto" : "smooth" });
    }
    turns = now;
    if (!now) judged.clear();
    showJudged();
    if (!page.classList.contains("compact")) keep();
  }).observe(document.querySelector("#log"), {
    childList: true, subtree: true, characterData: true, attributeFilter: ["data-kept"],
  });
}

/** The page is there when Gradio has drawn the box; a question in the address (#spor=…) is asked then. */
const drawn = new MutationObserver(() => {
  if (!textarea() || !document.querySelector("#log .welcome .chips, #log .turns")) return;
  drawn.disconnect();
  follow();
  const keys = matchMedia("(pointer: fine)").matches; // on a touch screen the focus can bring up a keyboard
  if (!askFromAddress() && keys && !page.classList.contains("compact")) textarea().focus({ preventScroll: true });
});
drawn.observe(page, { childList: true, subtree: true });
addEventListener("hashchange", askFromAddress);

/** Ask the question that stands after # in the address, once. */
function askFromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)).get("spor");
  if (!asked) return false;
  history.replaceState(null, "", location.pathname + location.search);
  ask(asked);
  return true;
}

// In the widget, Esc closes the dialog around us; the page that holds it listens.
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && parent !== window) parent.postMessage("tutor:close", "*"); // says nothing, so anyone may hear it
});
