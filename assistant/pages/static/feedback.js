// What somebody thinks of an answer, in more than a thumb: a better answer, and whether it may teach the model.

import { h } from "./dom.js";
import { say } from "./notices.js";

/** Asks for more after a thumb; `close` is called when it is told or not wanted. */
export function opinionForm(message, chat, close) {
  const bad = message.feedback.thumb < 0;
  const correction = h("textarea", { placeholder: "How the answer should have been", "aria-label": "A better answer (optional)" });
  correction.value = message.feedback.correction ?? "";
  const consent = h("input", { type: "checkbox" });
  consent.checked = message.feedback.consent;

  async function send(event) {
    event.preventDefault();
    const told = { thumb: message.feedback.thumb, correction: correction.value.trim() || null, consent: consent.checked };
    if (!(await chat.judge(message, told))) return;
    close();
    say("Thank you for your feedback");
  }

  return h(
    "form",
    { class: "feedback", onsubmit: send, onkeydown: (event) => event.key === "Escape" && (event.stopPropagation(), close()) },
    bad ? h("label", {}, "Noted. What would have been a better answer? (optional)", correction) : h("p", {}, "Thank you, noted."),
    h("label", { class: "consent" }, consent, h("span", {}, "This conversation may be used to train the assistant.")),
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", class: "secondary", onclick: close }, "Close"),
      h("button", { class: "primary" }, "Save"),
    ),
  );
}
