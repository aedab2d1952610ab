"use strict";
// A link may lead to, or into, what is folded away.
function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  const own = target?.querySelector(":scope > details.fold");
  if (own) own.open = true;
  for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target?.scrollIntoView();
}
window.addEventListener("hashchange", unfold);
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.area, details.fold")) part.open = true;
});
if (location.hash) unfold();
