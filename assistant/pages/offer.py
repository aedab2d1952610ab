"""What there is to choose from on the page: models and personas."""

from dataclasses import asdict

from starlette.datastructures import State

from assistant.pages.bodies import MAX_QUESTION
from assistant.personas import Voice
from assistant.served_model import NAME as ASSISTANT
from prompts.library import Persona, personas
from serving.api.errors import ApiError, unknown_model
from serving.engine import Engine
from serving.model_folder import read_lineage
from serving.text_engine import TextEngine
from serving.version import VERSION


def offer(state: State) -> dict:
    """Models, personas, what holds for an answer where nothing is chosen, and limits. Blocks."""
    voice = Voice.behind(state.upstream.engine)
    return {
        "models": [
            {"id": name, "kind": kind, "version": model_version(state, name)} for name, kind in kinds(state).items()
        ],
        "personas": [asdict(persona) for persona in choice_of_personas(state)],
        "defaults": {"model": ASSISTANT, "temperature": voice.temperature, "tools": True},
        "limits": {"question_chars": MAX_QUESTION, "body_bytes": state.max_body_bytes},
        "version": VERSION,
    }


def kinds(state: State) -> dict[str, str]:
    """Every model that a person may know by name: assistant, raw, adapter or image."""
    engine = state.upstream.engine
    images = {state.images.model_name: "image"} if state.images else {}
    return {ASSISTANT: "assistant", engine.model_name: "raw"} | dict.fromkeys(engine.adapters, "adapter") | images


def choice_of_personas(state: State) -> tuple[Persona, ...]:
    """Personas to choose from; none for a model that was trained for one."""
    return () if Voice.behind(state.upstream.engine).is_small else personas()


def check(state: State, model: str | None, chosen: str | None) -> None:
    """Raise `ApiError` unless these can be chosen for a conversation; None is always a choice."""
    if model is not None and kinds(state).get(name_now(state, model)) not in ("assistant", "raw", "adapter"):
        raise unknown_model(model)
    if chosen is not None and chosen not in [persona.id for persona in choice_of_personas(state)]:
        raise ApiError(400, "There is no such persona here.", param="persona", code="invalid_value")


def name_now(state: State, model: str) -> str:
    """The name of the model that answers where `model` is asked for: another one may have been promoted meanwhile."""
    engine = state.upstream.engine
    return engine.model_name if model in engine.also_called else model


def model_version(state: State, model: str) -> str | None:
    """When the weights behind a model were made, as far as its folder tells."""
    engine: Engine | None = state.images if kinds(state).get(model) == "image" else state.upstream.engine
    if isinstance(engine, TextEngine) and (engine.folder / "lineage.json").is_file():
        return read_lineage(engine.folder).created
    return None
