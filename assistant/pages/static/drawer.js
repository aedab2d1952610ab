// A panel at the right that lies above the page until it is closed.

import { h, iconButton } from "./dom.js";
import { speakFrom } from "./notices.js";

/** Give a <dialog> its heading and a place for its content, which is returned. */
export function makeDrawer(dialog, title) {
  const inside = h("div", { class: "inside" });
  const close = iconButton("close", "Close", () => dialog.close());
  dialog.replaceChildren(h("header", {}, h("h2", { id: `${dialog.id}-title` }, title), close), inside);
  dialog.addEventListener("close", () => speakFrom(document.body));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return inside;
}

export function openDrawer(dialog) {
  speakFrom(dialog);
  dialog.showModal();
}
