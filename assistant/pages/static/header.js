// The bar above the conversation: which model answers, and as whom; also the page's title.

import { byId, h, icon } from "./dom.js";
import { attachMenu } from "./menu.js";
import { modelName, version } from "./words.js";

const KINDS = { assistant: "Uses tools: pictures, sums, your documents", raw: "The model alone, without tools", adapter: "An adapter of the model, without tools" };

export function header(chat) {
  const { models, personas } = chat.me;
  const talking = models.filter((model) => model.kind !== "image");
  const modelLabel = h("span");
  const personaName = h("span");
  const modelButton = h("button", { type: "button", class: "menu-button" }, modelLabel, icon("open"));
  const personaButton = h("button", { type: "button", class: "menu-button second" }, personaName, icon("open"));
  byId("menus").append(h("span", {}, modelButton), h("span", { hidden: !personas.length }, personaButton));

  attachMenu(modelButton, "Model", () =>
    talking.map((model) => ({
      label: model.id,
      about: [KINDS[model.kind], version(model.version)].filter(Boolean).join(" · "),
      checked: model.id === chat.choice.model,
      run: () => chat.change({ model: model.id }),
    })),
  );
  attachMenu(personaButton, "Persona", () =>
    [{ id: null, title: "Its own voice", about: "As the model was trained" }, ...personas].map((persona) => ({
      label: persona.title,
      about: persona.about,
      checked: persona.id === (chat.choice.persona ?? null),
      run: () => chat.change({ persona: persona.id }),
    })),
  );

  function fill() {
    const { model, persona, title } = chat.choice;
    const created = models.find((one) => one.id === model)?.version;
    modelLabel.textContent = model;
    modelButton.setAttribute("aria-label", `Model: ${model}`);
    personaName.textContent = personas.find((one) => one.id === persona)?.title ?? "Its own voice";
    personaButton.setAttribute("aria-label", `Persona: ${personaName.textContent}`);
    byId("generator").textContent = ` (${modelName(model, created)})`;
    byId("title").textContent = title || "New conversation";
    document.title = `${chat.running ? "● " : ""}${title ? `${title} · ` : ""}Homegrown`;
  }

  for (const name of ["opened", "changed", "running"]) chat.addEventListener(name, fill);
  fill();
}
