// Puts the page together: its parts, its address, its keys.

import { get } from "./api.js";
import { Chat } from "./chat.js";
import { composer } from "./composer.js";
import { documents } from "./documents.js";
import { byId } from "./dom.js";
import { header } from "./header.js";
import { toast } from "./notices.js";
import { settings } from "./settings.js";
import { Sidebar } from "./sidebar.js";

const root = document.documentElement;
const isPhone = () => matchMedia("(max-width: 800px)").matches;

function showSidebar(shown) {
  root.dataset.sidebar = shown ? "open" : "closed";
  byId("scrim").hidden = !(shown && isPhone());
  byId("main").inert = shown && isPhone();
  if (!isPhone()) localStorage.setItem("sidebar", root.dataset.sidebar);
}

function switchTheme() {
  localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
  dispatchEvent(new Event("themechosen"));
}

/** The address names the conversation, so that a reload, a bookmark and the back button find it. */
async function route(chat) {
  const id = location.hash.match(/^#\/([0-9a-f]{32})$/)?.[1] ?? null;
  if (id === (chat.conversation?.id ?? null) && chat.opening) return;
  try {
    await chat.open(id);
  } catch (error) {
    toast(error.message);
    if (id) location.hash = "#/";
  }
  if (isPhone()) showSidebar(false);
  else byId("box").focus();
}

function newConversation() {
  if (isPhone()) showSidebar(false);
  location.hash = "#/";
  byId("box").focus();
}

function keys(chat) {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      byId("box").focus();
    }
    if (event.key === "Escape" && !event.target.closest?.("dialog, [popover]")) {
      if (isPhone() && root.dataset.sidebar !== "closed") showSidebar(false), byId("show-sidebar").focus();
      else chat.stop();
    }
    if (event.key.toLowerCase() === "o" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      newConversation();
    }
  });
}

async function begin() {
  const chat = new Chat(await get("/api/me"));
  const sidebar = new Sidebar(chat);
  for (const part of [header, composer, settings, documents, keys]) part(chat);
  byId("logout").hidden = !chat.me.login;
  byId("logout").querySelector("span").textContent = `Log out ${chat.me.user}`;
  byId("show-sidebar").addEventListener("click", () => (showSidebar(true), byId("hide-sidebar").focus()));
  byId("hide-sidebar").addEventListener("click", () => (showSidebar(false), byId("show-sidebar").focus()));
  byId("scrim").addEventListener("click", () => showSidebar(false));
  byId("switch-theme").addEventListener("click", switchTheme);
  for (const id of ["new-chat", "new-chat-bar"]) byId(id).addEventListener("click", newConversation);
  chat.addEventListener("opened", () => {
    const address = chat.conversation ? `#/${chat.conversation.id}` : "#/";
    if (!location.hash) history.replaceState(null, "", address);
    else if (location.hash !== address) history.pushState(null, "", address);
  });
  addEventListener("hashchange", () => route(chat));
  chat.watch.look();
  await Promise.all([route(chat), sidebar.load()]);
}

begin().catch((error) => toast(error.message));
