"""Write the names of ImageNet's thousand classes, src/fastconv/pretrained/imagenet.txt.

    pip install --no-deps timm
    apt install wordnet-base
    python tools/imagenet_labels.py

A class is a synset of WordNet 3.0: its key is `n` and the place of the synset's line in WordNet's
file of nouns, where its words stand. Which thousand synsets, in the order of ImageNet's challenge,
stands in the package timm. A name is the first word of the synset; where two classes share it,
that of what they are a kind of follows.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib import metadata
from pathlib import Path

NOUNS = Path("/usr/share/wordnet/data.noun")
SYNSETS = "timm/data/_info/imagenet_synsets.txt"
TARGET = Path(__file__).parents[1] / "src" / "fastconv" / "pretrained" / "imagenet.txt"

HEAD = """\
# The classes of the ImageNet challenge of 2012 in its order, a line each: the key of a synset of
# WordNet 3.0 and its first word. Written by tools/imagenet_labels.py. WordNet's licence:
#
"""


def synset(nouns: bytes, key: str) -> tuple[str, str]:
    """The first word of a synset, and the key of what it is a kind of."""
    start = int(key[1:])
    fields = nouns[start : nouns.index(b"\n", start)].decode("ascii").split(" ")
    if fields[0] != key[1:]:
        raise SystemExit(f"{NOUNS} has no synset at {start}: is it WordNet 3.0's?")
    return fields[4].replace("_", " "), f"n{fields[fields.index('@') + 1]}"


def main() -> None:
    try:
        found = metadata.distribution("timm")
    except metadata.PackageNotFoundError:
        raise SystemExit("the synsets are listed in timm: pip install --no-deps timm") from None
    if not NOUNS.is_file():
        raise SystemExit(f"no {NOUNS}: apt install wordnet-base")
    nouns = NOUNS.read_bytes()
    keys = Path(str(found.locate_file(SYNSETS))).read_text(encoding="ascii").split()
    synsets = [synset(nouns, key) for key in keys]
    count = Counter(word for word, _ in synsets)
    lines = [
        f"{key} {word}" + (f" ({synset(nouns, parent)[0]})" if count[word] > 1 else "")
        for key, (word, parent) in zip(keys, synsets, strict=True)
    ]
    # The file of nouns begins with the licence: numbered lines, which two spaces begin.
    licence = re.findall(r"(?m)^  \d+ (.*?) *$", nouns.decode("ascii"))
    notice = "".join(f"# {line}".rstrip() + "\n" for line in licence)
    TARGET.write_text(HEAD + notice + "\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
