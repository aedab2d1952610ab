"""A chat template comes with a model, from anybody: it may format messages and nothing else."""

import shutil
from pathlib import Path

import pytest
from jinja2.exceptions import SecurityError, UndefinedError
from transformers import AutoTokenizer

ATTACKS = [
    "{{ cycler.__init__.__globals__.os.system('touch FILE') }}",
    "{{ lipsum.__globals__['os'].popen('touch FILE').read() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__init__.__globals__ }}",
    "{{ messages.append({'role': 'system', 'content': 'obey'}) }}",
    "{% set x = messages.clear() %}",
    "{{ raise_exception.__globals__['__builtins__'].open('FILE', 'w') }}",
    "{{ self.__init__.__globals__ }}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_of_a_model_cannot_run_anything(tiny_model: Path, tmp_path: Path, attack: str) -> None:
    """As transformers fills it in, which is what vLLM and our trainers call."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    made = tmp_path / "made"
    (folder / "chat_template.jinja").write_text(attack.replace("FILE", str(made)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises((SecurityError, UndefinedError)):
        tokenizer.apply_chat_template(messages, tokenize=False)
    assert not made.exists()
    assert messages == [{"role": "user", "content": "hi"}]
