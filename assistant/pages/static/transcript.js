// Shows the branch of a conversation that is chosen, and stays at its end while the reader is there.

import { AnswerView } from "./answer.js";
import { byId } from "./dom.js";
import { QuestionView } from "./question.js";

const NEAR_PX = 90;

export class Transcript {
  constructor(chat) {
    this.chat = chat;
    this.views = new Map();
    this.log = byId("transcript");
    this.scroller = byId("scroll");
    this.sticky = true;
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    // Only while it is being written: what the reader unfolds must not run away.
    new ResizeObserver(() => chat.running && this.keepUp()).observe(this.log);
    new ResizeObserver(() => this.keepUp()).observe(this.scroller);
    byId("jump").addEventListener("click", () => this.toEnd());
  }

  /** Forget the views of another conversation. */
  clear() {
    this.views.clear();
    this.log.replaceChildren();
    this.sticky = true;
  }

  /** Bring the page to what the tree says; only what is new or different is drawn. */
  show(tree) {
    const path = tree.path();
    byId("welcome").hidden = path.length > 0;
    this.log.hidden = path.length === 0;
    const settled = this.log.childElementCount > 0;
    const elements = path.map((message) => this.view(message, tree, settled).element);
    elements.forEach((element, index) => {
      if (this.log.children[index] !== element) this.log.insertBefore(element, this.log.children[index] ?? null);
    });
    while (this.log.childElementCount > elements.length) this.log.lastElementChild.remove();
    this.keepUp();
  }

  view(message, tree, settled) {
    const siblings = tree.siblings(message).join();
    let view = this.views.get(message.id);
    if (!view) {
      view = message.role === "user" ? new QuestionView(message, this.chat) : new AnswerView(message, this.chat);
      if (settled) view.element.classList.add("fresh");
      this.views.set(message.id, view);
    } else if (view.message !== message || view.siblings !== siblings) {
      view.show(message);
    }
    view.siblings = siblings;
    return view;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.sticky = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    byId("jump").hidden = this.sticky;
  }

  keepUp() {
    if (this.sticky) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  toEnd() {
    this.sticky = true;
    this.keepUp();
  }
}
