// Tells the person something in passing: aloud to screen readers, as a toast, or as a banner while it lasts.

import { byId, h } from "./dom.js";

const UNDO_MS = 7000;
const RETRY_MS = 2500;
const pending = new Set();

/** While a dialog is open, only what is inside it can be seen, heard and pressed. */
export function speakFrom(host) {
  host.append(byId("toasts"), byId("status"));
}

/** Have a screen reader say `text`. */
export function say(text) {
  byId("status").textContent = text;
}

/** A sentence that goes away by itself, with one thing to do about it. */
export function toast(text, action = null) {
  const box = byId("toasts");
  const note = h("div", { class: "toast" }, h("span", {}, text));
  if (action) note.append(h("button", { type: "button", onclick: () => (note.remove(), action.run()) }, action.label));
  box.append(note);
  say(text);
  setTimeout(() => note.remove(), UNDO_MS);
  return note;
}

/** Take something away at once and for good a little later, unless the person wants it back. */
export function withUndo(text, commit, restore) {
  const finish = () => {
    if (!pending.delete(finish)) return;
    clearTimeout(timer);
    commit().catch((error) => (restore(), toast(error.message)));
  };
  const timer = setTimeout(finish, UNDO_MS);
  pending.add(finish);
  toast(text, {
    label: "Undo",
    run: () => {
      if (!pending.delete(finish)) return;
      clearTimeout(timer);
      restore();
      say("Restored");
    },
  });
}

addEventListener("pagehide", () => pending.forEach((finish) => finish()));

/** Shows what keeps the server from answering, and calls `back` when it can again. */
export class Watch {
  constructor(back) {
    this.back = back;
    this.watching = false;
    addEventListener("offline", () => this.look());
    addEventListener("online", () => this.look());
  }

  /** Look now, and again until all is well. */
  async look() {
    if (this.watching) return;
    this.watching = true;
    let waited = false;
    for (let problem = await this.problem(); problem; problem = await this.problem()) {
      waited = true;
      this.show(problem);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    this.watching = false;
    this.show("");
    if (waited) this.back();
  }

  show(text) {
    const banner = byId("banner");
    banner.hidden = !text;
    if (banner.textContent !== text) banner.textContent = text;
  }

  async problem() {
    try {
      const answer = await fetch("/ready");
      if (answer.status !== 503) return "";
      const body = await answer.json().catch(() => null);
      return body?.error?.message ?? "The model is starting. Your conversations are all here already.";
    } catch {
      return "The connection to the server is lost. Trying again …";
    }
  }
}
