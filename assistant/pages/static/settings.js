// The settings drawer: how answers are sampled, light or dark, what was used, which keys do what.

import { get } from "./api.js";
import { byId, h } from "./dom.js";
import { makeDrawer, openDrawer } from "./drawer.js";

const FIELDS = [
  { name: "temperature", label: "Temperature", about: "Low repeats the likeliest words, high is more varied.", min: 0, max: 2, step: 0.05, usual: 1 },
  { name: "top_p", label: "Top p", about: "Choose only among the likeliest words that make up this share.", min: 0.05, max: 1, step: 0.05, usual: 1 },
  { name: "max_tokens", label: "Longest answer", about: "In tokens. A word is one to three of them.", min: 1, max: 1048576, step: 1 },
  { name: "seed", label: "Seed", about: "The same seed gives the same answer again.", min: 0, max: 9007199254740991, step: 1 },
];
const KEYS = [["Enter", "sends"], ["Shift Enter", "begins a new line"], ["Esc", "stops the answer"], ["/", "goes to the box to write in"], ["Ctrl Shift O", "begins a new conversation"]];

export function settings(chat) {
  const dialog = byId("settings");
  const inside = makeDrawer(dialog, "Settings");
  byId("open-settings").addEventListener("click", () => {
    fill();
    openDrawer(dialog);
  });

  const save = (changes) => {
    const kept = Object.entries({ ...chat.choice.settings, ...changes }).filter(([, value]) => value !== null);
    return chat.change({ settings: Object.fromEntries(kept) });
  };

  function fill() {
    inside.replaceChildren(sampling(), appearance(), usage(), keys(), h("p", { class: "about" }, `Homegrown ${chat.me.version ?? ""} · ${chat.me.user}`));
  }

  function sampling() {
    const tools = h("input", { type: "checkbox", role: "switch", class: "switch", id: "setting-tools" });
    tools.checked = chat.choice.settings.tools ?? true;
    tools.addEventListener("change", () => save({ tools: tools.checked ? null : false }));
    return h(
      "section",
      {},
      h("h3", {}, chat.conversation ? "Answers in this conversation" : "Answers"),
      h("div", { class: "field" }, h("label", { for: tools.id }, "Tools"), tools, h("p", { class: "about" }, "Drawing, calculating, searching your documents, the clock.")),
      ...FIELDS.map(field),
      h("button", { type: "button", class: "secondary", onclick: () => chat.change({ settings: {} }).then(fill) }, "Leave everything to the model"),
    );
  }

  function field({ name, label, about, usual, ...limits }) {
    const id = `setting-${name}`;
    const preset = chat.me.defaults?.[name];
    const number = h("input", { type: "number", id, placeholder: preset ?? "auto", ...limits });
    number.value = chat.choice.settings[name] ?? "";
    const range = usual !== undefined && h("input", { type: "range", "aria-label": label, ...limits });
    if (range) {
      range.value = number.value || (preset ?? usual);
      range.addEventListener("input", () => (number.value = range.value));
      range.addEventListener("change", () => keep());
      number.addEventListener("input", () => number.value && (range.value = number.value));
    }
    number.addEventListener("change", () => keep());
    const keep = () => number.reportValidity() && save({ [name]: number.value === "" ? null : Number(number.value) });
    return h("div", { class: "field" }, h("label", { for: id }, label), number, range, h("p", { class: "about" }, about));
  }

  function usage() {
    const section = h("section", {}, h("h3", {}, "Used so far"), h("p", { class: "about" }, "…"));
    chat.attempt(() => get("/api/usage")).then((told) => told && section.lastChild.replaceWith(usageTable(told.usage)));
    return section;
  }
}

function usageTable(rows) {
  if (!rows.length) return h("p", { class: "about" }, "Nothing yet.");
  const cells = (row) => [row.model, row.requests, row.prompt_tokens + row.completion_tokens, row.pictures].map((value) => value.toLocaleString());
  return h(
    "table",
    { class: "usage" },
    h("thead", {}, h("tr", {}, ...["Model", "Requests", "Tokens", "Pictures"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...cells(row).map((text) => h("td", {}, text))))),
  );
}

function appearance() {
  const choose = (value) => {
    localStorage.setItem("theme", value);
    dispatchEvent(new Event("themechosen"));
  };
  const chosen = localStorage.getItem("theme") ?? "system";
  const option = ([value, label]) => {
    const input = h("input", { type: "radio", name: "theme", value, onchange: () => choose(value) });
    input.checked = value === chosen;
    return h("label", {}, input, h("span", {}, label));
  };
  const options = [["system", "System"], ["light", "Light"], ["dark", "Dark"]].map(option);
  return h("section", {}, h("h3", {}, "Appearance"), h("div", { class: "segments", role: "radiogroup", "aria-label": "Appearance" }, ...options));
}

function keys() {
  const rows = KEYS.flatMap(([key, does]) => [h("dt", {}, ...key.split(" ").flatMap((one) => [h("kbd", {}, one), " "])), h("dd", {}, does)]);
  return h("section", {}, h("h3", {}, "Keys"), h("dl", { class: "keys" }, ...rows));
}
