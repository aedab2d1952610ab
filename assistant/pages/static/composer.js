// The box to write in: Enter sends, Shift+Enter begins a line; while an answer is written, the button stops it.

import { byId } from "./dom.js";

export function composer(chat) {
  const form = byId("composer");
  const box = byId("box");
  const send = byId("send");
  const stop = byId("stop");
  let sending = false;

  const fill = () => (send.disabled = sending || !box.value.trim());

  async function submit(text) {
    if (sending || !text.trim()) return;
    sending = true;
    fill();
    const taken = await chat.ask(text.trim());
    sending = false;
    if (taken) box.value = "";
    grow();
    fill();
    box.focus();
  }

  /** For browsers without `field-sizing`. */
  function grow() {
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(box.value);
  });
  box.addEventListener("input", () => (grow(), fill()));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit(box.value);
  });
  stop.addEventListener("click", () => chat.stop());
  byId("suggestions").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) submit(button.textContent.trim());
  });
  chat.addEventListener("running", () => {
    const focused = document.activeElement === send || document.activeElement === stop;
    send.hidden = Boolean(chat.running);
    stop.hidden = !chat.running;
    byId("transcript").setAttribute("aria-busy", String(Boolean(chat.running)));
    if (focused) box.focus();
  });
  fill(); // what was written before this ran
}
