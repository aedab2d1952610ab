// The documents drawer: files that the assistant may search, added by button or by dropping them on the page.

import { get, remove, upload } from "./api.js";
import { byId, h, icon, iconButton } from "./dom.js";
import { makeDrawer, openDrawer } from "./drawer.js";
import { say, toast, withUndo } from "./notices.js";
import { size } from "./words.js";

const ACCEPTED = ".txt,.md,.pdf,.html,.htm";
const AGAIN_MS = 1500;

export function documents(chat) {
  const dialog = byId("documents");
  const inside = makeDrawer(dialog, "Documents");
  const picker = h("input", { type: "file", multiple: true, accept: ACCEPTED, hidden: true, "aria-label": "Files to add" });
  const list = h("div", { role: "list", "aria-label": "Your documents" });
  const hidden = new Set();
  inside.append(
    h("p", { class: "about" }, "The assistant searches these files when you ask about them, and names the passage it found. They stay on this server."),
    h(
      "section",
      {},
      h("button", { type: "button", class: "drop", onclick: () => picker.click() }, icon("upload"), h("span", {}, "Choose files, or drop them here"), h("span", { class: "about" }, "Text, Markdown, PDF, HTML")),
      picker,
    ),
    list,
  );
  picker.addEventListener("change", () => (send([...picker.files]), (picker.value = "")));
  for (const id of ["open-documents", "attach"]) byId(id).addEventListener("click", open);
  dropping(open, send);

  function open() {
    if (!dialog.open) openDrawer(dialog);
    return load();
  }

  async function load() {
    const found = await chat.attempt(() => get("/api/documents"));
    if (!found) return;
    const shown = found.documents.filter((one) => !hidden.has(one.id));
    list.replaceChildren(...shown.map(entry));
    if (!shown.length) list.append(h("p", { class: "about", role: "listitem" }, "There are no documents yet."));
    if (dialog.open && shown.some((one) => one.state === "indexing")) setTimeout(load, AGAIN_MS);
  }

  function entry(one) {
    const about = one.state === "indexing" ? `${size(one.bytes)} · being indexed` : size(one.bytes);
    return row(one.name, h("p", { class: "about" }, about), iconButton("bin", `Delete ${one.name}`, () => forget(one)));
  }

  function forget(one) {
    hidden.add(one.id);
    load();
    withUndo(`${one.name} deleted`, () => remove(`/api/documents/${one.id}`), () => (hidden.delete(one.id), load()));
  }

  async function send(files) {
    await Promise.all(files.map(sendOne));
    await load();
  }

  async function sendOne(file) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
    list.prepend(row(file.name, bar));
    try {
      await upload("/api/documents", file, (share) => (bar.value = share));
      say(`${file.name} added`);
    } catch (error) {
      toast(`${file.name}: ${error.message}`);
    }
  }
}

const row = (name, below, action = null) =>
  h("div", { class: "document", role: "listitem" }, icon("file"), h("div", {}, h("span", { class: "name" }, name), below), action);

/** Files may be dropped anywhere. */
function dropping(open, send) {
  const veil = byId("dropping");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && (veil.hidden = true));
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    veil.hidden = true;
    const files = [...event.dataTransfer.files];
    await open();
    send(files);
  });
}
