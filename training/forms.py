"""Word forms: "word", " word", "Word" and " Word" are different tokens, and what is learnt of one should serve all.

A small model copies tokens, not letters. The first word of a tool call's argument stands behind a quotation mark and in
the request behind a blank; with unrelated embeddings every word would have to teach the copying heads that anew.
"""

import torch
from tokenizers import Tokenizer
from torch import nn

from training.tokenizer import forms_of_words


class WordForms:
    """The tokens of a byte-level vocabulary that have other forms; lets their embeddings start and learn alike."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        several = forms_of_words(tokenizer)
        widest, missing = max(map(len, several), default=0), tokenizer.get_vocab_size()
        self.tokens = torch.tensor([place for group in several for place in group], dtype=torch.long)
        """(n,) the tokens that have other forms, group after group."""
        self.groups = torch.tensor([i for i, group in enumerate(several) for _ in group], dtype=torch.long)
        """(n,) the group of each of `tokens`."""
        self.members = torch.tensor([group + [missing] * (widest - len(group)) for group in several])
        """(groups, widest) the tokens of each group, filled up with a row that does not exist."""

    def start_alike(self, embedding: nn.Embedding) -> None:
        """Give a new embedding half of its variance from vectors that the forms of a word share."""
        with torch.no_grad():
            shared = embedding.weight[self.members[:, 0]][self.groups]
            own = torch.randn_like(shared) * embedding.weight.std()
            embedding.weight[self.tokens] = (shared + own) / 2**0.5

    def learn_together(self, weight: nn.Parameter) -> None:
        """Add to the gradient of each token's row of `weight` (vocabulary, width) those of its other forms.

        This trains an embedding as if it were the sum of a vector of the word and one of the form, without either being
        stored. Summed over `members`, not with `index_add`, so that the order and hence the bits are always the same.
        """

        def summed(gradient: torch.Tensor) -> torch.Tensor:
            places = self.tokens, self.groups, self.members  # the model may move to a GPU after this is registered
            tokens, groups, members = (place.to(gradient.device) for place in places)
            padded = torch.cat([gradient, gradient.new_zeros(1, gradient.shape[1])])
            together = padded[members].sum(1)
            return gradient.index_copy(0, tokens, (gradient[tokens] + together[groups]) / 2)

        weight.register_hook(summed)
