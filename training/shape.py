"""How large a model is, from one dial."""

from training.recipe import ModelSection


def shape_of(section: ModelSection) -> dict[str, int]:
    """The sizes that `depth` stands for, with the recipe's own numbers in their place where it has some.

    Up to depth 8 the width is 32 a layer with heads of 32: small models copy better with more, smaller heads. Beyond,
    64 a layer with heads of 64, two of which share a key and a value.
    """
    small = section.depth <= 8
    head_dim = section.head_dim or (32 if small else 64)
    hidden = section.hidden or head_dim * section.depth
    heads = section.heads or max(1, hidden // head_dim)
    shared = small or heads % 2
    return {
        "num_hidden_layers": section.depth,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": section.kv_heads or (heads if shared else heads // 2),
        "head_dim": head_dim,
        "intermediate_size": section.ffn or -(-3 * hidden // 64) * 64,
    }


def parameters_of(shape: dict[str, int], vocabulary: int) -> int:
    """Parameters of the matrices of a model of this shape; the embedding, tied, counts once."""
    hidden, head_dim = shape["hidden_size"], shape["head_dim"]
    attention = hidden * head_dim * 2 * (shape["num_attention_heads"] + shape["num_key_value_heads"])
    return shape["num_hidden_layers"] * (attention + 3 * hidden * shape["intermediate_size"]) + vocabulary * hidden
