// The conversations at the left: found, opened, renamed, exported, deleted.

import { get, patch } from "./api.js";
import { byId, h, iconButton } from "./dom.js";
import { attachMenu } from "./menu.js";
import { toast, withUndo } from "./notices.js";

const SEARCH_MS = 200;
const DAY_MS = 86_400_000;
const GROUPS = [[0, "Today"], [1, "Yesterday"], [7, "The last seven days"], [30, "The last month"]];

export class Sidebar {
  constructor(chat) {
    this.chat = chat;
    this.list = byId("conversations");
    this.entries = [];
    this.more = false;
    this.hiddenIds = new Set();
    this.loading = 0;
    let timer;
    byId("search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), SEARCH_MS);
    });
    chat.addEventListener("listed", () => this.load());
    for (const name of ["opened", "changed", "running"]) chat.addEventListener(name, () => this.draw());
  }

  /** Fetch the newest conversations, or with `before` those after that one. */
  async load(before = null) {
    const loading = ++this.loading;
    const query = new URLSearchParams({ search: byId("search").value.trim(), ...(before && { before }) });
    const found = await this.chat.attempt(() => get(`/api/conversations?${query}`));
    if (!found || loading !== this.loading) return;
    this.entries = before ? [...this.entries, ...found.conversations] : found.conversations;
    this.more = found.more;
    this.draw();
  }

  draw() {
    if (this.list.querySelector("input, .menu:popover-open")) return; // in use
    const shown = this.entries.filter((entry) => !this.hiddenIds.has(entry.id));
    const groups = Map.groupBy(shown, (entry) => age(entry.updated_at));
    const focused = document.activeElement.closest?.(".entry")?.dataset.id;
    this.list.replaceChildren(
      ...[...groups].flatMap(([name, entries]) => [h("h2", {}, name), h("ul", {}, ...entries.map((entry) => this.entry(entry)))]),
    );
    if (!shown.length) this.list.append(h("p", { class: "none" }, byId("search").value ? "Nothing found." : "Your conversations will be here."));
    if (this.more) this.list.append(h("button", { type: "button", class: "more-entries", onclick: () => this.load(this.entries.at(-1).id) }, "Show more"));
    if (focused) this.list.querySelector(`[data-id="${focused}"] a`)?.focus();
  }

  entry(entry) {
    const current = entry.id === this.chat.conversation?.id;
    const running = current ? this.chat.running : entry.running;
    const title = entry.title || "New conversation";
    const menu = iconButton("more", `What to do with “${title}”`, null);
    const element = h(
      "li",
      { class: `entry${current ? " current" : ""}${running ? " running" : ""}`, "data-id": entry.id },
      h("a", { href: `#/${entry.id}`, "aria-current": current ? "page" : null, title }, title),
      menu,
    );
    attachMenu(menu, title, () => [
      { label: "Rename", icon: "pencil", run: () => this.rename(entry, element) },
      { label: "Export as Markdown", icon: "save", run: () => download(entry, "markdown") },
      { label: "Export as JSON", icon: "save", run: () => download(entry, "json") },
      { label: "Delete", icon: "bin", danger: true, run: () => this.delete(entry) },
    ]);
    return element;
  }

  rename(entry, element) {
    const box = h("input", { type: "text", "aria-label": "Name of the conversation", maxlength: 200 });
    box.value = entry.title;
    let done = false;
    const finish = async (keep) => {
      if (done) return;
      done = true;
      const title = box.value.trim();
      box.remove();
      if (keep && title && title !== entry.title) await this.save(entry, title);
      this.draw();
      this.list.querySelector(`[data-id="${entry.id}"] a`)?.focus();
    };
    box.addEventListener("blur", () => finish(true));
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") event.stopPropagation(), finish(false);
    });
    element.replaceChildren(box);
    box.select();
  }

  async save(entry, title) {
    if (entry.id === this.chat.conversation?.id) await this.chat.change({ title });
    else if (!(await this.chat.attempt(() => patch(`/api/conversations/${entry.id}`, { title })))) return;
    entry.title = title;
  }

  delete(entry) {
    const current = entry.id === this.chat.conversation?.id;
    this.hiddenIds.add(entry.id);
    if (current) location.hash = "#/";
    this.draw();
    byId("new-chat").focus();
    withUndo("Conversation deleted", () => this.chat.delete(entry.id), () => {
      this.hiddenIds.delete(entry.id);
      if (current) location.hash = `#/${entry.id}`;
      this.draw();
    });
  }
}

function download(entry, format) {
  const link = h("a", { href: `/api/conversations/${entry.id}/export?format=${format}`, download: "" });
  link.click();
  toast("The conversation is being downloaded");
}

/** "Today", "The last month", or the month itself. */
function age(time) {
  const moment = new Date(time);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / DAY_MS);
  return GROUPS.find(([limit]) => days <= limit)?.[1] ?? moment.toLocaleDateString(undefined, { month: "long", year: "numeric" });
}
