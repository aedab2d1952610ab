"""Likeness by words alone, without training: what an embedder has to beat.

Each has its words, frequencies and vectors from the texts it is given, which may be the very ones to be compared: that
is more than an embedder is told, and so a hard baseline.
"""

from collections.abc import Callable, Sequence

from eval.embedder import Embedder

WORD = r"(?u)\b\w+\b"
DIMENSIONS = 300
"""Of a word's vector."""
MOST_WORDS = 20_000
"""That have a vector, the most frequent ones."""
CONTEXT_SMOOTHING = 0.75


def bag_of_words(texts: Sequence[str]) -> Embedder:
    """Counts of words."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=WORD).fit(texts)
    return Embedder("bag of words", "", lambda asked: counter.transform(asked).toarray())


def tf_idf(texts: Sequence[str]) -> Embedder:
    """Logarithms of counts, weighted by inverse document frequencies in `texts`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True).fit(texts)
    return Embedder("TF-IDF", "", lambda asked: vectorizer.transform(asked).toarray())


def word_vectors(texts: Sequence[str]) -> Embedder:
    """The mean of word vectors, learnt from which words stand together in a text of `texts`.

    Positive pointwise mutual information with smoothed contexts, its singular vectors times the square roots of the
    singular values (Levy, Goldberg and Dagan 2015, TACL 3:211).
    """
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.utils.extmath import randomized_svd

    counter = CountVectorizer(token_pattern=WORD, max_features=MOST_WORDS)
    present = counter.fit_transform(texts).sign().astype(float)
    together = (present.T @ present).tocoo()
    seen = np.asarray(together.sum(axis=0)).ravel()
    contexts = seen**CONTEXT_SMOOTHING / (seen**CONTEXT_SMOOTHING).sum()
    information = np.log(together.data / (seen[together.row] * contexts[together.col]))
    together.data = np.maximum(0.0, information)
    vectors, strengths, _ = randomized_svd(together.tocsr(), DIMENSIONS, n_iter=2, random_state=0)
    vectors *= np.sqrt(strengths)
    return Embedder("averaged word vectors", "", lambda asked: counter.transform(asked) @ vectors)


LEXICAL: dict[str, Callable[[Sequence[str]], Embedder]] = {
    "tf_idf": tf_idf,
    "word_vectors": word_vectors,
    "bag_of_words": bag_of_words,
}
"""The name of each in keys of figures."""
