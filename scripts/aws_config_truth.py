"""Writes testdata/store/aws_config.json: texts of AWS configuration files and what botocore makes of them.

Needs botocore (made with 1.44.5). Sections are in their order; null stands for a file that botocore refuses.
"""

import json
import pathlib
import tempfile

import botocore.configloader
import botocore.exceptions

TEXTS = [
    "",
    "[default]\n",
    "[default]\nregion = eu-central-1\noutput=json\n",
    "[default]\nregion: eu-central-1\n",
    "[default]\n  region = a\n  output = b\n",
    "[default]\nRegion = a\n",
    "# c\n; c\n[default]\n# c\nregion = a # not a comment\n",
    "[default]\ns3 =\n  addressing_style = path\n  # c\n  max_queue_size = 7\nregion = a\n",
    "[default]\ns3 =\n    addressing_style = path\n\n    use_accelerate_endpoint=false\n",
    "[profile x]\ncredential_process = /bin/p --a 'b c'\n[profile y]\nregion = a\n",
    "[a]b]\nregion = c\n",
    "[a] trailing\nregion = c\n",
    "[default]\nkey = one\n  two\n",
    "[default]\nkey =\n",
    "[default]\nk = a=b:c\n",
    "[default]\r\nregion = a\r\n",
    "region = a\n",
    "[default\nregion = a\n",
    "[default]\nregion\n",
    "[]\nregion = a\n",
    "[default]\nregion = a\nregion = b\n",
    "[default]\nregion = a\n[default]\nregion = b\n",
    "[default]\ns3 =\n  secret\n",
    "[default]\n= a\n",
]


def parsed(text):
    with tempfile.NamedTemporaryFile("w", suffix=".ini", newline="") as file:
        file.write(text)
        file.flush()
        try:
            # Nested settings stay text here, as in our own form.
            botocore.configloader.raw_config_parse(file.name)
            sections = botocore.configloader.raw_config_parse(file.name, parse_subsections=False)
        except botocore.exceptions.ConfigParseError:
            return None
    # Blank lines inside a value mean nothing.
    plain = lambda settings: {key: value.replace("\n\n", "\n") for key, value in settings.items()}
    return [[name, plain(settings)] for name, settings in sections.items()]


def main():
    path = pathlib.Path(__file__).parent.parent / "testdata" / "store" / "aws_config.json"
    path.parent.mkdir(exist_ok=True)
    cases = [[text, parsed(text)] for text in TEXTS]
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
