// What tools did for an answer: while they run, what was asked, what came back, and the pictures they drew.

import { h, icon, iconButton } from "./dom.js";

const KNOWN = {
  generate_image: { icon: "picture", doing: "Drawing", did: "Drew", argument: "prompt" },
  calculate: { icon: "sum", doing: "Calculating", did: "Calculated", argument: "expression" },
  search_documents: { icon: "book", doing: "Searching your documents for", did: "Searched your documents for", argument: "query" },
  now: { icon: "clock", doing: "Looking at the clock", did: "Looked at the clock" },
};

/** A call that runs right now. */
export function runningStep(call) {
  const drawing = call.name === "generate_image";
  const progress = h("span", { class: drawing ? "canvas" : "outcome" }, call.progress ?? "");
  const step = h("div", { class: "step" }, h("div", { class: "head" }, h("span", { class: "spinner" }), what(call, "doing"), drawing ? null : progress));
  const element = drawing ? h("div", {}, step, h("figure", { class: "picture coming" }, progress)) : step;
  return { element, progress };
}

/** A call that has ended. */
export function endedStep(step) {
  return h(
    "details",
    { class: `step${step.failed ? " failed" : ""}` },
    h(
      "summary",
      {},
      icon(step.failed ? "alert" : (KNOWN[step.name]?.icon ?? "tool")),
      what(step, "did"),
      h("span", { class: "outcome" }, outcome(step)),
      icon("open", "chevron"),
    ),
    h(
      "dl",
      {},
      ...part("Tool", step.name),
      ...part("Asked", pretty(step.arguments)),
      ...part("Came back", step.result),
      ...(step.said === step.result ? [] : part("The model read", step.said)),
      ...(step.sources.length ? [h("dt", {}, "Sources"), h("dd", {}, sourceList(step.sources))] : []),
    ),
  );
}

/** The files and passages that an answer may rest on, each once. */
export function sourceList(sources) {
  const named = new Set(sources.map((source) => [source.document, source.place].filter(Boolean).join(", ")));
  return h("div", { class: "sources" }, ...[...named].map((name) => h("span", { class: "source" }, icon("file"), name)));
}

/** A picture with what can be done with it; `again` is null while nothing can be begun. */
export function pictureFigure(picture, again) {
  const name = picture.prompt.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "picture";
  const suffix = picture.file.split(".").at(-1);
  return h(
    "figure",
    { class: "picture" },
    h("a", { href: picture.url, target: "_blank", rel: "noopener" }, h("img", { src: picture.url, alt: picture.prompt, width: 512, height: 512 })),
    h(
      "figcaption",
      {},
      h("span", { class: "prompt" }, picture.prompt),
      h("a", { class: "plain", href: picture.url, download: `${name}.${suffix}`, "aria-label": "Download the picture", title: "Download" }, icon("save")),
      iconButton("again", "Draw again", again, { class: "plain again" }),
    ),
  );
}

function what(call, tense) {
  const known = KNOWN[call.name];
  const value = known?.argument && parsed(call.arguments)?.[known.argument];
  return h("span", { class: "what" }, known?.[tense] ?? call.name, value ? " " : "", value && h("b", {}, String(value)));
}

function outcome(step) {
  if (step.failed || step.name === "calculate" || step.name === "now") return step.result.replace(/^error: /, "");
  if (step.sources.length) return step.sources.length === 1 ? "1 passage" : `${step.sources.length} passages`;
  return step.pictures.length ? "" : step.result.slice(0, 80);
}

const part = (term, text) => (text ? [h("dt", {}, term), h("dd", {}, h("pre", {}, text))] : []);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function pretty(text) {
  const value = parsed(text);
  return value && Object.keys(value).length ? JSON.stringify(value, null, 2) : value ? "" : text;
}
