// Runs before the first paint, so that a dark page never flashes white. Not a module: those wait.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage is switched off: the system's theme will do
    }
  };

  function apply() {
    const chosen = stored("theme");
    root.dataset.theme = chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light";
    document.querySelector("meta[name=theme-color]")?.setAttribute("content", root.dataset.theme === "dark" ? "#171917" : "#faf9f6");
  }

  if (matchMedia("(max-width: 800px)").matches || stored("sidebar") === "closed") root.dataset.sidebar = "closed";
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("themechosen", apply);
  apply();
})();
