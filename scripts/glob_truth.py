"""Writes testdata/source/patterns.json: what Python's fnmatch and glob match, which the tests of src/source/pattern.rs and
glob_tests.rs compare with. Deterministic; Python 3.11 or newer.

    python3 scripts/glob_truth.py
"""

import fnmatch
import glob
import json
import os
import pathlib
import random
import tempfile

NAMES = ["", "a", "b", "ab", "ba", "aab", "abc", "-", "!", "]", "^", "[", "a-b", "a]b", "[a]", "a.b", ".a", "A", "aXb", "é", "a\u0301",
         "日本", "🌍", "a🌍b", "z", "m", "0", "a0", "a00b", "**", "*", "?"]
GIVEN = ["*", "?", "a*", "*b", "a*b", "*a*b*", "a?b", "[ab]", "[!ab]", "[^a]", "[a-m]", "[!a-m]", "[m-a]", "[!m-a]", "[]a]", "[!]a]", "[]",
         "[!]", "[!]]", "[", "[a", "[a-", "[a-]", "[-a]", "[a-c-z]", "[--a]", "[a-a]", "[é-日]", "[🌍]", "?🌍?", "[*]", "[?]", "[[]", "[[a]*",
         "a[]-]b", "***", "*?*", "a**b", "[!-a]", "[a-cx-z]*", "*[0-9]", "*.*", ".*", "[.]a"]

FILES = ["a.tif", "a-b.tif", "b.TIF", "c.tiff", "readme.md", ".hidden.tif", "2024/a.tif", "2024/b.tif", "2024/01/a.tif", "2024/01/B04.tif",
         "2024/02/B04.tif", "2024/02/B08.tif", "2024-x/B04.tif", "2024.tif", "2024/.cache/B04.tif", ".git/a.tif", "x/y/z/B04.tif",
         "x/[1].tif", "x/1.tif", "x/a b#c?%20.tif", "x/*.tif", "x/é.tif", "x/🌍/\uff5e.tif", "x/.y/B04.tif"]
LINKS = [("linked", "2024/01")]
PATTERNS = ["*.tif", "*", "*.*", "?.tif", "[ab].tif", "[!a].tif", "*/*.tif", "*/B04.tif", "**/*.tif", "**/B04.tif", "**", "2024/**",
            "2024/**/B0[48].tif", "2024/*.tif", "2024/0?/B04.tif", "2024*/B04.tif", "2024*", "**/01/*.tif", "**/*/B04.tif", "*/**/B04.tif",
            "**/**/B04.tif", "x/**/z/*.tif", "x/[[]1].tif", "x/[1].tif", "x/[*].tif", "x/*[#]*", "x/*%20*", "x/?.tif", ".*", ".*/*.tif",
            "**/.*/B04.tif", "2024/.*/B04.tif", "nothing/*.tif", "a.tif/*", "*/a.tif/**", "l*d/*.tif", "**/linked/*", "x/🌍/*", "*/*/*",
            "**/*", "x/**/*.tif", "2024/01/../*.tif", "./*.tif", "2024/./*.tif"]


def main():
    rng = random.Random(20261123)
    patterns = list(GIVEN)
    while len(patterns) < 600:
        pattern = "".join(rng.choice("ab[]!-^*?.z0") for _ in range(rng.randint(1, 9)))
        if pattern not in patterns:
            patterns.append(pattern)
    matched = [[pattern, [i for i, name in enumerate(NAMES) if fnmatch.fnmatchcase(name, pattern)]] for pattern in patterns]

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()

        def found(pattern, hidden):
            names = glob.glob(pattern, root_dir=root, recursive=True, include_hidden=hidden)
            return sorted({name for name in names if (root / name).is_file()}, key=os.fsencode)

        # The keys of a bucket have no links, and none of them is hidden.
        keys = [[pattern, found(pattern, True)] for pattern in PATTERNS if "./" not in pattern]
        for name, target in LINKS:
            (root / name).symlink_to(target)
        paths = [[pattern, found(pattern, False)] for pattern in PATTERNS]

    out = pathlib.Path(__file__).parent.parent / "testdata/source/patterns.json"
    out.parent.mkdir(exist_ok=True)
    sections = {"names": NAMES, "matched": matched, "files": FILES, "links": LINKS, "paths": paths, "keys": keys}
    lines = []
    for key, section in sections.items():
        lines.append(f" {json.dumps(key)}: [\n" + ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in section) + "\n ]")
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


main()
