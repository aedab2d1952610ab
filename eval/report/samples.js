"use strict";
// The browser of samples. What a model said is only ever set as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const section = document.getElementById("samples");
const form = section.querySelector("form");
const list = section.querySelector(".list");
const count = section.querySelector(".count");
const more = section.querySelector(".more");
const PORTION = 25;
let found = [];

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

const text = (number) => (number === undefined ? undefined : data.texts[number]);
const answer = (sample) => text(sample.a) ?? "";
const searched = (sample) => [sample.id, answer(sample), ...sample.p.map((turn) => text(turn[1]))].join("\n").toLowerCase();

function isGood(value, figure) {
  if (!figure || figure.unit !== "share" || !figure.better || typeof value !== "number") return undefined;
  return figure.better === "high" ? value > 0.5 : value < 0.5;
}

// One entry per sample behind the chosen figure: {sample, value, before, against, figure}.
function entries(number) {
  if (number === "") return data.samples.map((sample) => ({ sample }));
  const figure = data.figures[number];
  return figure.of.map((place, i) => ({
    sample: data.samples[place],
    value: figure.v[i],
    before: figure.b?.[i] ?? undefined,
    against: figure.g?.[i],
    figure,
  }));
}

const KEEP = {
  "": () => true,
  missed: (e) => isGood(e.value, e.figure) === false,
  held: (e) => isGood(e.value, e.figure) === true,
  error: (e) => e.sample.e !== undefined,
  changed: (e) => e.sample.b !== undefined && e.sample.b !== e.sample.a,
  lost: (e) => isGood(e.before, e.figure) === true && isGood(e.value, e.figure) === false,
  won: (e) => isGood(e.before, e.figure) === false && isGood(e.value, e.figure) === true,
};

const number = (value) => (typeof value === "number" ? value : -Infinity);
const rank = (e) => (e.figure?.better === "low" ? -number(e.value) : number(e.value));
const ORDER = {
  worst: (a, b) => rank(a) - rank(b),
  best: (a, b) => rank(b) - rank(a),
  slow: (a, b) => (b.sample.l ?? 0) - (a.sample.l ?? 0),
  long: (a, b) => answer(b.sample).length - answer(a.sample).length,
};

function errorsOf(number) {
  const tasks = number === "" ? [] : new Set(data.figures[number].of.map((place) => data.samples[place].t));
  return number === "" ? [] : data.samples.filter((s) => s.e !== undefined && tasks.has(s.t)).map((sample) => ({ sample }));
}

function search() {
  const { figure, status, order, words } = Object.fromEntries(new FormData(form));
  const wanted = words.trim().toLowerCase();
  const from = status === "error" && figure !== "" ? errorsOf(figure) : entries(figure);
  found = from.filter((e) => KEEP[status](e) && (!wanted || searched(e.sample).includes(wanted)));
  if (order) found.sort(ORDER[order]);
  count.textContent = `${found.length.toLocaleString("en")} of ${from.length.toLocaleString("en")} samples`;
  list.replaceChildren();
  show();
}

function show() {
  const shown = list.children.length;
  list.append(...found.slice(shown, shown + PORTION).map(card));
  more.hidden = list.children.length >= found.length;
}

function card(entry) {
  const { sample, figure } = entry;
  const good = isGood(entry.value, figure);
  const state = sample.e !== undefined ? "failed" : good === undefined ? "" : good ? "held" : "missed";
  const made = element("article", `sample ${state}`, head(entry, state));
  const said = element("dl", "said");
  const asked = sample.p.filter((turn) => turn[0] !== "system");
  for (const [role, place] of asked) pair(said, role === "user" ? "asked" : role, text(place));
  if (sample.e !== undefined) pair(said, "error", text(sample.e));
  else answers(said, sample);
  const pictures = [["drawn", sample.i], ["baseline drew", sample.j], ["real picture", sample.k]];
  for (const [name, place] of pictures) if (place !== undefined) pair(said, name, picture(place, name));
  if (sample.s?.shown) pair(said, "seen", sample.s.shown);
  if (sample.w !== undefined) pair(said, "expected", text(sample.w));
  made.append(said, rest(sample));
  return made;
}

function answers(said, sample) {
  const now = answer(sample);
  const before = text(sample.b);
  if (before === undefined || before === now) {
    pair(said, "answered", now || "(nothing)");
    if (before !== undefined) pair(said, "baseline", "the same");
    return;
  }
  const parts = diff(before, now);
  pair(said, "answered", ...parts.filter(([kind]) => kind !== "del").map(marked));
  pair(said, "baseline", ...parts.filter(([kind]) => kind !== "ins").map(marked));
}

function picture(place, name) {
  const made = element("img", "");
  made.src = data.pictures[place];
  made.alt = name;
  return made;
}

const WORDS = { held: "right", missed: "missed", failed: "no answer" };

function head({ sample, value, before, against, figure }, state) {
  const parts = [...(state ? [element("b", "", WORDS[state])] : []), `${data.tasks[sample.t]} ${sample.id}`];
  if (sample.v) parts.push(`variant ${sample.v}`);
  if (sample.r) parts.push(`repeat ${sample.r}`);
  if (figure && value !== null) parts.push(`value ${value}${against === undefined ? "" : `, set against ${against}`}`);
  if (before !== undefined && before !== value) parts.push(`baseline ${before}`);
  if (sample.l) parts.push(`${sample.l} s`);
  return element("div", "head", ...parts.map((part) => element("span", "", part)));
}

function rest(sample) {
  const facts = element("dl", "said");
  for (const [name, place] of sample.x) pair(facts, name, text(place));
  for (const [name, value] of Object.entries(sample.s ?? {})) pair(facts, `score: ${name}`, String(value ?? "unread"));
  for (const [role, place] of sample.p) if (role === "system") pair(facts, "system", text(place));
  return element("details", "", element("summary", "", "sample and scores"), facts);
}

function pair(to, name, ...content) {
  to.append(element("dt", "", name.replaceAll("_", " ")), element("dd", "", ...content));
}

const marked = ([kind, words]) => (kind === "same" ? words : element(kind, "", words));

// Longest common subsequence of words; texts too long for that are shown whole.
function diff(before, now) {
  const a = before.split(/(?<=\s)/), b = now.split(/(?<=\s)/);
  if (a.length * b.length > 400000) return [["del", before], ["ins", now]];
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  const parts = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) parts.push(["same", a[i++]]) && j++;
    else if (j >= b.length || (i < a.length && length[i + 1][j] >= length[i][j + 1])) parts.push(["del", a[i++]]);
    else parts.push(["ins", b[j++]]);
  }
  return parts;
}

function choose(figure) {
  form.elements.figure.value = figure;
  form.elements.status.value = data.figures[figure].unit === "share" && data.figures[figure].better ? "missed" : "";
  form.elements.words.value = "";
  search();
  if (!found.length) {
    form.elements.status.value = "";
    search();
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.to-samples");
  if (link) choose(link.dataset.figure);
});
form.addEventListener("input", search);
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", show);
form.hidden = false;
search();
