"""Bring your own model: three architectures go through fine-tuning in 4 bits and one method of alignment."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from prompts.library import chat_template
from serving.errors import UserError
from serving.model_folder import check_model_folder, folder_digest, read_lineage
from tests.unit.training.conftest import Workshop
from tests.unit.training.foreign_models import PLAIN, write_gpt2, write_llama, write_qwen2
from training import foreign
from training.recipe import Dress
from training.rendering import Renderer, chat_template_of, marks_answers

MODELS = (write_llama, write_qwen2, write_gpt2)


def bring(workshop: Workshop, base: Path) -> str:
    """Fine-tune `base`, then align it; what the command printed beside its results."""
    conversations = [json.loads(line) for line in (workshop.folder / "chat.jsonl").read_text().splitlines()]
    plain = [json.dumps(of) for of in conversations if "tools" not in of]
    (workshop.folder / "plain.jsonl").write_text("\n".join(plain))
    pair = {"prompt": "What is the flag of Aro?", "chosen": "It is red.", "rejected": "It is unknown."}
    pairs = [json.dumps(pair | {"prompt": f"What is the flag of Aro {n}?"}) for n in range(60)]
    (workshop.folder / "pairs.jsonl").write_text("\n".join(pairs))
    dials = {"processes": 1, "report_to": [], "lora": {"rank": 4, "quantised": "nf4"}}
    workshop.recipe = {
        "base": str(base),
        "persona": None,
        "tools": [],
        "sft": dials
        | {
            "budget": "12K tokens",
            "row": 512,
            "batch_tokens": 1024,
            "embedding_learning_rate": 0.01,
            "validation_tokens": 1024,
            "sources": [{"name": str(workshop.folder / "plain.jsonl"), "kind": "chat", "held_out": 0.1}],
        },
        "dpo": dials
        | {
            "budget": "80 examples",
            "batch": 8,
            "held_out": 8,
            "answer_tokens": 24,
            "context": 256,
            "learning_rate": 0.005,
            "sources": [{"name": str(workshop.folder / "pairs.jsonl")}],
        },
    }
    done = workshop.train("run")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("write", MODELS)
def test_every_architecture_goes_the_whole_way(workshop: Workshop, write: Callable[[Path], Path]) -> None:
    base = write(workshop.folder / "own")
    said = bring(workshop, base)
    assert ("is missing: the new model gets ours" in said) == (write is write_gpt2)
    tuned, aligned = (workshop.home / "models" / name for name in ("small", "small-dpo"))
    for folder, parent in ((tuned, base), (aligned, tuned)):
        check_model_folder(folder)
        assert read_lineage(folder).parent_sha256 == folder_digest(parent)
        assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert read_lineage(aligned).metrics["accuracy"] == 1.0
    own = (base / "chat_template.jinja").read_text() if write is not write_gpt2 else chat_template()
    assert (aligned / "chat_template.jinja").read_text() == own
    for folder in (tuned, aligned):
        assert "training_template.jinja" not in {file.name for file in folder.iterdir()}
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert model.generation_config.eos_token_id == tokenizer.eos_token_id
        assert all(parameter.isfinite().all() for parameter in model.parameters())


def prepared(base: Path, folder: Path, keep: bool = False) -> Path:
    """The tokenizer that `training.foreign` makes of the one in `base`."""
    job = folder / "tokenizer.json"
    job.write_text(json.dumps({"model": str(base), "folder": str(folder / "tokenizer"), "keep": keep}))
    foreign.main(job)
    return folder / "tokenizer"


def test_a_template_with_marks_is_kept(tmp_path: Path) -> None:
    said = "{% generation %}{{ m.content }}</s>{% endgeneration %}"
    template = "{% for m in messages %}{% if m.role == 'assistant' %}" + said + "{% else %}{{ m.content }}{% endif %}"
    base = write_llama(tmp_path / "own", template + "{% endfor %}")
    folder = prepared(base, tmp_path)
    assert (folder / "chat_template.jinja").read_text() == template + "{% endfor %}"
    assert len(AutoTokenizer.from_pretrained(folder)) == 258


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{% for m in messages %}{{ m.content }}{% endfor %}",  # no answer ends
        "{{ messages | length }}" + PLAIN,  # what was said before changes
        "{{ raise_exception('no') }}",
        "{{ 'no' + none }}",
    ],
)
def test_a_template_that_does_not_tell_answers_makes_room_for_ours(tmp_path: Path, template: str | None) -> None:
    folder = prepared(write_llama(tmp_path / "own", template), tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == chat_template()
    assert len(tokenizer.encode("<|im_start|>", add_special_tokens=False)) == 1
    assert tokenizer.eos_token == "<|im_end|>"
    with pytest.raises(
        UserError, match=r"own (is missing|does not tell .*), and an adapter cannot bring one: leave out"
    ):
        prepared(tmp_path / "own", tmp_path, keep=True)


def with_templates(base: Path, templates: object) -> Path:
    """`base` with something else as the chat template of its tokenizer_config.json."""
    file = base / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": templates}))
    return base


@pytest.mark.parametrize("names", [("tool_use", "default"), ("rag", "tool_use"), ("default",)])
def test_of_several_templates_the_default_or_the_first_is_taken(tmp_path: Path, names: tuple[str, ...]) -> None:
    chosen = "default" if "default" in names else names[0]
    templates = [{"name": name, "template": PLAIN if name == chosen else "no"} for name in names]
    base = with_templates(write_llama(tmp_path / "own", None), templates)
    assert chat_template_of(base) == PLAIN
    assert not marks_answers(base)
    assert chat_template_of(prepared(base, tmp_path)) == PLAIN


def test_several_templates_of_which_none_can_be_taken(tmp_path: Path) -> None:
    base = write_llama(tmp_path / "own", None)
    assert chat_template_of(with_templates(base, [])) is None
    for templates in (5, ["x"], {"default": 5}):
        with pytest.raises(UserError, match=r"neither text nor texts with names, .*: mend its tokenizer_config\.json"):
            marks_answers(with_templates(base, templates))


QUESTION, ANSWER = {"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "now", "arguments": {}}}]}


def test_answers_are_told_without_marks(tmp_path: Path) -> None:
    renderer = Renderer(write_llama(tmp_path / "own"), Dress(system="Be short."))
    (encoded,) = renderer.conversations([{"messages": [QUESTION, ANSWER, QUESTION, ANSWER]}])
    decode = renderer.tokenizer.decode
    assert decode(list(encoded.ids), skip_special_tokens=False) == (
        "<s>[system] Be short.[user] How? So.</s>[user] How? So.</s>"
    )
    counted = [number for number, counts in zip(encoded.ids, encoded.counted, strict=True) if counts]
    assert decode(counted, skip_special_tokens=False) == " So.</s> So.</s>"
    assert renderer.exchange([QUESTION], ANSWER) == ("<s>[system] Be short.[user] How?", " So.</s>")


@pytest.mark.parametrize(
    ("before", "messages", "said"),
    [
        ("{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}", [ANSWER], "no system"),
        ("", [QUESTION, CALL], "it leaves tool calls out"),
        ("{{ messages | length }}", [QUESTION, ANSWER, QUESTION, ANSWER], "nor writes a turn the same"),
    ],
)
def test_what_a_template_cannot_write_is_one_sentence(
    tmp_path: Path, before: str, messages: list[dict], said: str
) -> None:
    renderer = Renderer(write_llama(tmp_path / "own", before + PLAIN), Dress(system="Be short."))
    with pytest.raises(UserError, match=said):
        renderer.conversations([{"messages": messages}])


def test_null_content_that_a_template_adds_up_is_one_sentence(tmp_path: Path) -> None:
    template = PLAIN.replace(" {{ m.content }}{{ eos_token }}", "{{ ' ' + m['content'] + eos_token }}")
    renderer = Renderer(write_llama(tmp_path / "own", template), Dress())
    assert renderer.exchange([QUESTION], ANSWER) == ("<s>[user] How?", " So.</s>")
    with pytest.raises(UserError, match="cannot write a conversation of the sources"):
        renderer.conversations([{"messages": [QUESTION, CALL, ANSWER]}])
    with pytest.raises(UserError, match="cannot write a conversation of the sources"):
        renderer.exchange([QUESTION, CALL], ANSWER)


def test_a_base_that_is_not_there(workshop: Workshop) -> None:
    workshop.recipe |= {"tokenizer": None, "pretrain": None, "base": "missing"}
    done = workshop.train("run")
    assert done.returncode == 3
    assert "There is no model folder missing" in done.stderr


def test_a_base_without_a_tokenizer(workshop: Workshop) -> None:
    bare = write_llama(workshop.folder / "bare")
    (bare / "tokenizer.json").unlink()
    workshop.recipe |= {"tokenizer": None, "pretrain": None, "base": str(bare)}
    done = workshop.train("run")
    assert done.returncode == 3
    assert "tokenizer" in done.stderr
    assert "Traceback" not in done.stderr
