// Menus as the WAI-ARIA practices describe them: arrow keys, Home, End, first letters, Escape.

import { h, icon } from "./dom.js";

let count = 0;

/** Make `button` open a menu of what `items()` returns: {label, about?, icon?, checked?, danger?, run} each. */
export function attachMenu(button, label, items) {
  const menu = h("div", { class: "menu", popover: "auto", role: "menu", "aria-label": label, id: `menu-${++count}` });
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => (menu.isConnected ? menu.hidePopover() : open()));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || menu.isConnected) return;
    event.preventDefault();
    open();
  });
  menu.addEventListener("keydown", (event) => move(menu, event));
  menu.addEventListener("toggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed") menu.remove();
  });

  function open() {
    menu.replaceChildren(...items().map((item) => entry(item, menu)));
    button.after(menu);
    menu.showPopover();
    place(menu, button.getBoundingClientRect());
    (menu.querySelector("[aria-checked=true]") ?? menu.firstElementChild).focus();
  }
}

function entry(item, menu) {
  const choice = item.checked !== undefined;
  const run = () => {
    menu.previousElementSibling.focus();
    menu.hidePopover();
    item.run();
  };
  return h(
    "button",
    { type: "button", role: choice ? "menuitemradio" : "menuitem", "aria-checked": choice ? String(item.checked) : null, tabindex: "-1", class: item.danger && "danger", onclick: run },
    item.icon && icon(item.icon),
    h("span", { class: "label" }, item.label, item.about && h("span", { class: "about" }, item.about)),
    choice && icon("check", "tick"),
  );
}

function move(menu, event) {
  const entries = [...menu.children];
  const at = entries.indexOf(document.activeElement);
  const targets = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
  let to = targets[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (to === undefined && event.key.length === 1) {
    const next = [...entries.slice(at + 1), ...entries].find((one) => one.textContent.toLowerCase().startsWith(event.key.toLowerCase()));
    to = next && entries.indexOf(next);
  }
  if (to === undefined) return;
  event.preventDefault();
  entries.at(to % entries.length).focus();
}

/** Below its button, or above where there is no room, inside the window. */
function place(menu, button) {
  const { width, height } = menu.getBoundingClientRect();
  const below = button.bottom + 6 + height < innerHeight;
  menu.style.left = `${Math.max(8, Math.min(button.left, innerWidth - width - 8))}px`;
  menu.style.top = `${below ? button.bottom + 6 : Math.max(8, button.top - height - 6)}px`;
}
