"""The default assistant's alignment beside the first conversations: learnt, examined, served if the gate passes.

`python -m improve.alignment` is the background process. It has the lowest priority, waits for the image model, is on a
leash as that is, and goes on next time where it was. What it came to is kept in runs/<recipe>/outcome.json.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from eval.gate import Verdict
from improve.judging import Exam, Refused, judged
from improve.rounds import alone
from serving.errors import UserError
from serving.home import home
from serving.image_engine import DEFAULT_IMAGE_MODEL
from serving.images.growth import growth
from serving.model_folder import folder_digest, read_lineage
from serving.registry import DEFAULT_MODEL, current, history, promote, promoted
from training.background import give_way, in_background
from training.checkpoints import write_whole
from training.pipeline import run_recipe
from training.recipe import load_recipe

RECIPE = f"{DEFAULT_MODEL}-aligned"
RULES = Path(__file__).parent / "alignment.yaml"
SUITE = "almanac"
REASON = "aligned: it bluffs less and has lost nothing that the gate asks for"
POLL_S = 5.0


class Outcome(BaseModel):
    """What became of the alignment of the model with the digest `parent_sha256`."""

    parent_sha256: str
    model: str
    verdict: Verdict


@contextlib.contextmanager
def aligning() -> Iterator[None]:
    """Align the default model in the background while the block runs, if that is due; afterwards, say how far it is."""
    if not is_due():
        yield
        return
    log = home() / "logs" / "aligning.log"
    with in_background("improve.alignment", [], log) as process:
        yield
        has_failed = bool(process.poll())
    print(_news(log if has_failed else None))


def is_due() -> bool:
    """Whether the model that the recipe begins with is served by default, and has not been through it."""
    folder = home() / "models" / DEFAULT_MODEL
    if promoted() is not None or not (folder / "lineage.json").is_file():
        return False
    return read_lineage(folder).recipe == DEFAULT_MODEL and _outcome() is None


def align() -> None:
    """Run the recipe, ask the model that it makes and the one it began with the same, and promote it if the gate lets.

    Raises `UserError`, `Refused` where the gate does; what is served is then what was served before.
    """
    parent = home() / "models" / DEFAULT_MODEL
    with alone():
        begun_with = folder_digest(parent)
        new = run_recipe(load_recipe(RECIPE))
        digest = folder_digest(new)
        exam = Exam(suites=[SUITE], rules=RULES.read_text(encoding="utf-8"))
        folder = _file().parent / "judged" / digest[:12]
        folder.mkdir(parents=True, exist_ok=True)
        verdict, entries = judged(exam, new, parent, DEFAULT_MODEL, folder)
        if folder_digest(parent) != begun_with:
            raise UserError(f"{parent.name} was grown anew while it was aligned: the next chat aligns it as it is now.")
        taken_back = any(change.sha256 == digest for change in history())
        if verdict == "pass" and promoted() is None and not taken_back:
            promote(new.name, REASON, sha256=digest)
        found = Outcome(parent_sha256=begun_with, model=new.name, verdict=verdict)
        write_whole(_file(), found.model_dump_json())
    if verdict != "pass":
        raise Refused(verdict, entries, new.name, parent.name)


def _news(why_stopped: Path | None) -> str:
    """How far it is. `why_stopped`: the file that says why it stopped before the chat's end; None if it did not."""
    found, serving = _outcome(), current()
    if serving and serving.reason == REASON:
        return f"The assistant was aligned: {serving.name} is served from now on (homegrown models rollback undoes it)."
    if found is None and serving:
        return f"The assistant's alignment goes no further while {serving.name} is served."
    if found is None and why_stopped:
        return f"The assistant's alignment stopped ({why_stopped} says why): the next chat goes on with it."
    if found is None:
        return "The assistant's alignment goes on in the next chat."
    if found.verdict == "pass":
        return (
            f"The assistant was aligned and {found.model} passed the gate, but another model was promoted meanwhile, "
            f"or it was rolled back: homegrown models promote {found.model} serves it."
        )
    return f"The assistant was aligned, but {found.model} did not pass the gate ({found.verdict}): all stays as it was."


def _outcome() -> Outcome | None:
    """What became of the default model as it is now; None while its alignment is not over."""
    with contextlib.suppress(FileNotFoundError):
        found = Outcome.model_validate_json(_file().read_bytes())
        return found if found.parent_sha256 == folder_digest(home() / "models" / DEFAULT_MODEL) else None
    return None


def _file() -> Path:
    return home() / "runs" / Path(RECIPE).stem / "outcome.json"


def main() -> int:
    """Align once no image model is being grown; the exit code."""
    give_way()
    while growth(DEFAULT_IMAGE_MODEL) is not None:
        time.sleep(POLL_S)
    try:
        align()
    except UserError as error:
        print(error, flush=True)
        return error.exit_code
    except OSError as error:  # a full disk, most of all
        print(f"The alignment stopped ({error}): it goes on in the next chat.", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
