// The tutor in a course page: <script src="https://…/widget.js" data-title="Spør ordlisten" async></script>
//   data-title   the button's name and the dialog's heading
//   data-color   background of button and heading, #rgb or #rrggbb
//   data-side    "left" or "right" (default)
//   data-lang    nb, nn or en; default: the page's own language, else the browser's
// A term that is marked in the page when the button is pressed becomes the question. That the dialog is open
// is remembered in the course page's own tab, where that is allowed; no cookie is set, and nothing loads from
// the tutor before the dialog opens.
(() => {
  "use strict";
  const script = document.currentScript;
  const { title, color = "#1f5f73", side = "right", lang = document.documentElement.lang } = script.dataset;
  const language = { nb: "nb", no: "nb", nn: "nn", en: "en" }[lang.toLowerCase().split("-")[0]];
  const words = {
    nb: ["Spør ordlisten", "Lukk", "Hva er {}?"],
    nn: ["Spør ordlista", "Lukk", "Kva er {}?"],
    en: ["Ask the glossary", "Close", "What is {}?"],
  };
  const [name, close, question] = words[language ?? "nb"];
  const LONGEST_TERM = 60;
  const REMEMBERED = "tutor-widget";
  const heading = title || name;
  const background = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(color) ? color : "#1f5f73";
  const address = new URL("widget/", script.src);
  if (language) address.searchParams.set("lang", language);

  const style = new CSSStyleSheet(); // allowed where the page's own policy forbids inline style
  style.replaceSync(`
    :host { all: initial; }
    * { box-sizing: border-box; font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
    button { border: 0; cursor: pointer; background: ${background}; color: ${readable(background)}; }
    button:focus-visible { outline: 3px solid ${readable(background)}; outline-offset: -6px; }
    .open {
      position: fixed; z-index: 2147483000; bottom: 1.25rem; ${side === "left" ? "left" : "right"}: 1.25rem;
      width: 3.5rem; height: 3.5rem; border-radius: 50%; display: grid; place-items: center;
      box-shadow: 0 2px 6px rgb(0 0 0 / .2), 0 8px 24px rgb(0 0 0 / .18);
    }
    .open svg { width: 1.6rem; height: 1.6rem; }
    dialog {
      position: fixed; z-index: 2147483001; inset: auto; bottom: 1.25rem; ${side === "left" ? "left" : "right"}: 1.25rem;
      width: min(25rem, calc(100vw - 2.5rem)); height: min(40rem, calc(100dvh - 2.5rem)); margin: 0; padding: 0; border: 0;
      border-radius: 1rem; overflow: hidden; background: Canvas; color-scheme: light dark;
      box-shadow: 0 4px 12px rgb(0 0 0 / .18), 0 16px 48px rgb(0 0 0 / .24);
    }
    dialog[open] { display: flex; flex-direction: column; }
    header { display: flex; align-items: center; background: ${background}; color: ${readable(background)}; }
    h2 { flex: 1; margin: 0; padding: 0 1rem; font-size: 1rem; font-weight: 650; line-height: 1.3; }
    header button { width: 3rem; height: 3rem; display: grid; place-items: center; }
    header svg { width: 1.1rem; height: 1.1rem; }
    iframe { flex: 1; width: 100%; border: 0; }
    @media (max-width: 30rem) { dialog { inset: 0; width: 100vw; height: 100dvh; max-width: none; max-height: none; border-radius: 0; } }
  `);

  const host = document.createElement("div");
  const shadow = host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [style];
  const icon = (path) =>
    `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" aria-hidden="true"><path d="${path}"/></svg>`;
  shadow.innerHTML = `
    <button class="open" type="button" aria-haspopup="dialog" aria-expanded="false">${icon("M4 4.5h16v11.5H11l-5 4v-4H4zM8 8.5h8M8 12h5")}</button>
    <dialog aria-labelledby="title"><header><h2 id="title"></h2><button class="close" type="button">${icon("M5 5l14 14M19 5L5 19")}</button></header></dialog>`;
  const [button, dialog] = [shadow.querySelector(".open"), shadow.querySelector("dialog")];
  button.setAttribute("aria-label", heading);
  shadow.querySelector("h2").textContent = heading;
  shadow.querySelector(".close").setAttribute("aria-label", close);
  const phone = matchMedia("(max-width: 30rem)");
  let frame;

  /** The term that is marked in the page: a few words in one line, or nothing. */
  function marked() {
    const text = String(getSelection() ?? "").trim();
    return text.length <= LONGEST_TERM && /[\p{L}\p{N}]/u.test(text) && !text.includes("\n") ? text : "";
  }

  /** Open the dialog, with a question about ``term`` where there is one. */
  function show(term, focus) {
    const asked = new URL(address);
    if (term) asked.hash = new URLSearchParams({ spor: question.replace("{}", () => term) });
    if (!frame) {
      frame = document.createElement("iframe");
      Object.assign(frame, { src: asked.href, title: heading, allow: "clipboard-write", referrerPolicy: "no-referrer" });
      frame.addEventListener("load", () => focus && dialog.open && frame.focus());
      dialog.append(frame);
    } else if (term) {
      frame.src = asked.href; // only what stands after # is new, so the conversation goes on
    }
    if (phone.matches) dialog.showModal(); // it covers the page
    else dialog.show(); // not modal: the student reads the course page beside it
    button.style.display = "none";
    button.setAttribute("aria-expanded", "true");
    if (focus) frame.focus();
    else shadow.activeElement?.blur(); // opening it moved the focus, and nobody asked for that
    remember("1");
  }

  dialog.addEventListener("close", () => {
    button.style.display = "";
    button.setAttribute("aria-expanded", "false");
    button.focus();
    remember("");
  });

  function remember(open) {
    try {
      if (open) sessionStorage.setItem(REMEMBERED, open);
      else sessionStorage.removeItem(REMEMBERED);
    } catch {
      // Storage is denied: then every page begins with a closed dialog.
    }
  }

  function remembered() {
    try {
      return sessionStorage.getItem(REMEMBERED) === "1";
    } catch {
      return false;
    }
  }

  let term = ""; // on a touch screen the press itself can undo the mark
  button.addEventListener("pointerdown", () => (term = marked()));
  button.addEventListener("click", () => {
    show(term || marked(), true);
    term = "";
  });
  const hide = () => dialog.close();
  shadow.querySelector(".close").addEventListener("click", hide);
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  addEventListener("message", (event) => {
    // Esc inside the frame reaches us as a message, from our own frame only
    if (frame && event.source === frame.contentWindow && event.origin === address.origin && event.data === "tutor:close") hide();
  });
  function place() {
    document.body.append(host);
    if (remembered() && !phone.matches) show("", false);
  }
  document.body ? place() : addEventListener("DOMContentLoaded", place);

  /** Black or white, whichever reads better on a #rgb or #rrggbb background (WCAG relative luminance). */
  function readable(hex) {
    const full = hex.length === 4 ? [...hex.slice(1)].map((c) => c + c).join("") : hex.slice(1);
    const [r, g, b] = [0, 2, 4].map((at) => {
      const c = parseInt(full.slice(at, at + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }
})();
