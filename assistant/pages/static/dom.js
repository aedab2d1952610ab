// Makes elements. Text always goes in as text; only what the server rendered goes in as HTML.

const rendered = globalThis.trustedTypes?.createPolicy("rendered", { createHTML: (html) => html }) ?? { createHTML: (html) => html };

/** h("a", {href, onclick, hidden: true}, child, "text"): a value of null, undefined or false leaves a property or child out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

export function icon(name, kind = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  if (kind) svg.setAttribute("class", kind);
  svg.append(use);
  return svg;
}

/** A button that shows an icon only. */
export const iconButton = (name, label, onclick, properties = {}) =>
  h("button", { type: "button", class: "plain", "aria-label": label, title: label, onclick, ...properties }, icon(name));

/** Replace all but the first `stay` elements by `html`, which the server has made safe. */
export function replaceHtml(element, html, stay = 0) {
  while (element.childElementCount > stay) element.lastElementChild.remove();
  element.insertAdjacentHTML("beforeend", rendered.createHTML(html));
}

/** Put `text` on the clipboard, and have the button say so for a moment. */
export async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  const use = button.querySelector("use");
  const before = use.getAttribute("href");
  use.setAttribute("href", "#i-check");
  setTimeout(() => use.setAttribute("href", before), 1500);
}
