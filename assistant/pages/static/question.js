// The view of one question: a bubble that can be edited, which asks again in another branch.

import { copy, h, iconButton } from "./dom.js";
import { pager } from "./actions.js";

export class QuestionView {
  constructor(message, chat) {
    this.chat = chat;
    this.element = h("article", { class: "message asked", "aria-label": "Your message" });
    this.show(message);
  }

  show(message) {
    this.message = message;
    this.element.dataset.id = message.id;
    this.element.replaceChildren(
      h("div", { class: "text" }, message.content),
      h(
        "div",
        { class: "actions" },
        pager(message, this.chat),
        iconButton("pencil", "Edit", () => this.edit()),
        iconButton("copy", "Copy", (event) => copy(message.content, event.currentTarget)),
      ),
    );
  }

  edit() {
    const box = h("textarea", { "aria-label": "Edit your message", rows: Math.min(12, this.message.content.split("\n").length) });
    box.value = this.message.content;
    const cancel = () => {
      this.show(this.message);
      this.element.querySelector("[aria-label=Edit]").focus();
    };
    const send = () => box.value.trim() && this.chat.ask(box.value, this.message.parent_id).then((asked) => asked || cancel());
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), send();
      if (event.key === "Escape") event.stopPropagation(), cancel();
    });
    this.element.replaceChildren(
      h(
        "div",
        { class: "editing" },
        box,
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "button", class: "secondary", onclick: cancel }, "Cancel"),
          h("button", { type: "button", class: "primary", onclick: send }, "Ask again"),
        ),
      ),
    );
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }
}
