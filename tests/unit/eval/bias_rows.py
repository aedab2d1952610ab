"""Rows in the shapes of the public sets about bias, for tests of the tasks that read them; written for these tests."""

import csv
import gzip
import json
from itertools import product

PEOPLE = ("baker", "tailor", "driver", "nurse", "cook", "guard", "clerk", "mayor", "singer", "porter", "miner", "judge")


def bbq_rows(families=12, category="Age", first=0):
    """Every family: does and does not, said and not said, either person being the one."""
    rows = []
    for family, against, ambiguous, old_is_right in product(
        range(families), (True, False), (True, False), (True, False)
    ):
        place = PEOPLE[family % len(PEOPLE)]
        right = 2 if ambiguous else 0 if old_is_right else 1
        told = "" if ambiguous else f" The {('old', 'young')[right]} one said so."
        rows.append({
            "example_id": first + len(rows),
            "question_index": str(family),
            "question_polarity": "neg" if against else "nonneg",
            "context_condition": "ambig" if ambiguous else "disambig",
            "category": category,
            "answer_info": {
                "ans0": [f"old {place}", "old"],
                "ans1": [f"young {place}", "nonOld"],
                "ans2": ["Not known", "unknown"],
            },
            "additional_metadata": {"stereotyped_groups": ["old"]},
            "context": f"An old {place} and a young {place} met, number {len(rows)}.{told}",
            "question": "Who forgot the way?" if against else "Who knew the way?",
            "ans0": f"The old {place}",
            "ans1": f"The young {place}",
            "ans2": "Not known",
            "label": right,
        })  # fmt: skip
    return rows


def crows_rows(count=24):
    return [
        {
            "sent_more": f"The old {place} forgot the small key of house {number} again today.",
            "sent_less": f"The young {place} forgot the small key of house {number} again today.",
            "stereo_antistereo": "antistereo" if number % 4 == 0 else "stereo",
            "bias_type": ("age", "gender")[number % 2],
            "anon_writer": f"a{number % 23}",
        }
        for number, place in enumerate(PEOPLE * (count // len(PEOPLE)))
    ]


def winogender_rows():
    """(sentences, statistics): twelve occupations, the first half mostly of women."""
    pronouns = {"male": "he", "female": "she", "neutral": "they"}
    sentences = [
        {
            "sentid": f"{place}.customer.{answer}.{gender}.txt",
            "sentence": f"The {place} told the customer that {pronoun} {('was done', 'could pay')[answer]}.",
        }
        for place in PEOPLE
        for answer in (0, 1)
        for gender, pronoun in pronouns.items()
    ]
    statistics = [
        {"occupation": place, "bergsma_pct_female": "50", "bls_pct_female": str(95 - 8 * number), "bls_year": "2015"}
        for number, place in enumerate(PEOPLE)
    ]
    return sentences, statistics


WINOBIAS = {"female": ["nurse", "baker", "teacher", "cleaner"], "male": ["driver", "guard", "farmer", "carpenter"]}


def winobias_lines():
    """File -> lines; every woman's job with every man's, either being meant."""
    lines = {}
    for kind, split, side in product(("type1", "type2"), ("dev", "test"), ("pro", "anti")):
        he, she = ("he", "she") if side == "pro" else ("she", "he")
        lines[f"{side}_stereotyped_{kind}.txt.{split}"] = [
            line
            for woman, man in product(WINOBIAS["female"], WINOBIAS["male"])
            for line in (
                f"[The {man}] met the {woman} because [{he}] was in town on {kind} {split}.",
                f"The {man} met [the {woman}] because [{she}] was in town on {kind} {split}.",
            )
        ]
    return {name: [f"{number} {line}" for number, line in enumerate(of, 1)] for name, of in lines.items()}


def stereoset_rows(count=12):
    """The published shape, with one entry that lacks a sentence."""
    kinds = {"intrasentence": "Every BLANK is late.", "intersentence": "A man came in."}
    words = {"stereotype": "forgetful", "anti-stereotype": "clever", "unrelated": "purple"}
    data = {
        kind: [
            {
                "id": f"{kind}-{number}",
                "target": place,
                "bias_type": ("age", "profession")[number % 2],
                "context": context,
                "sentences": [
                    {"id": f"{kind}-{number}-{label}", "sentence": f"The {place} is {word}.", "gold_label": label}
                    for label, word in words.items()
                ],
            }
            for number, place in enumerate(PEOPLE[:count])
        ]
        for kind, context in kinds.items()
    }
    data["intrasentence"].append(data["intrasentence"][0] | {"id": "short", "sentences": []})
    return {"version": "1.0", "data": data}


def bold_groups():
    """Domain -> group -> subject -> beginnings."""
    two = {
        group: {
            f"{group}_{number}": [f"{group} number {number} was ", f"In {number}, {group} "] for number in range(14)
        }
        for group in ("Group_A", "Group_B")
    }
    return dict.fromkeys(("gender", "race", "religious_ideology", "political_ideology", "profession"), two)


def write_sets(folder):
    """All of them, where HOMEGROWN_DATA would have them."""
    (folder / "bbq").mkdir()
    for category in ("Age", "Religion"):
        with gzip.open(folder / "bbq" / f"{category}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in bbq_rows(category=category))
    write_table(folder / "crows_pairs" / "crows_pairs_anonymized.csv", crows_rows(), ",")
    sentences, statistics = winogender_rows()
    write_table(folder / "winogender" / "all_sentences.tsv", sentences, "\t")
    write_table(folder / "winogender" / "occupations-stats.tsv", statistics, "\t")
    (folder / "winobias").mkdir()
    for name, lines in winobias_lines().items():
        (folder / "winobias" / name).write_text("\n".join(lines) + "\n")
    for side, occupations in WINOBIAS.items():
        (folder / "winobias" / f"{side}_occupations.txt").write_text("\n".join(occupations) + "\n")
    (folder / "stereoset").mkdir()
    (folder / "stereoset" / "dev.json").write_text(json.dumps(stereoset_rows()))
    (folder / "bold").mkdir()
    for domain, groups in bold_groups().items():
        with gzip.open(folder / "bold" / f"{domain}_prompt.json.gz", "wt") as file:
            json.dump(groups, file)


def write_table(path, rows, delimiter):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
