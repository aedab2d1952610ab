"""Forms of one word: which tokens they are, and that they start and learn together."""

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import nn

from training.forms import WordForms

TOKENS = ["<|pad|>", "a", "Ġa", "A", "ĠA", "cat", "Ġcat", "7", "Ġdog"]


@pytest.fixture
def forms() -> WordForms:
    return WordForms(Tokenizer(models.BPE({token: place for place, token in enumerate(TOKENS)}, [])))


def test_case_and_a_leading_blank_make_no_other_word(forms: WordForms) -> None:
    groups = dict(zip(forms.tokens.tolist(), forms.groups.tolist(), strict=True))
    assert len({groups[i] for i in (1, 2, 3, 4)}) == 1
    assert groups[5] == groups[6]
    assert set(groups) == {1, 2, 3, 4, 5, 6}


def test_each_gradient_is_added_to_those_of_the_other_forms(forms: WordForms) -> None:
    embedding = nn.Embedding(len(TOKENS), 2)
    forms.learn_together(embedding.weight)
    (embedding(torch.tensor([5])) * torch.tensor([1.0, 4.0])).sum().backward()
    gradient = embedding.weight.grad
    assert gradient[5].tolist() == [1.0, 4.0]
    assert gradient[6].tolist() == [0.5, 2.0]
    assert gradient[[0, 1, 7, 8]].abs().sum() == 0


def test_forms_start_alike_and_words_apart(forms: WordForms) -> None:
    torch.manual_seed(0)
    embedding = nn.Embedding(len(TOKENS), 4096)
    forms.start_alike(embedding)
    alike = torch.corrcoef(embedding.weight.detach())
    assert alike[5, 6] == pytest.approx(0.5, abs=0.1)
    assert alike[5, 8] == pytest.approx(0.0, abs=0.1)
    assert embedding.weight.std().item() == pytest.approx(1.0, abs=0.05)
