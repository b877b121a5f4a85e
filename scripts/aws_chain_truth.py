"""Prints the access key that botocore finds for the files and variables of the test `whose_keys_count`."""

import os
import pathlib
import subprocess
import sys
import tempfile

CONFIG = "[default]\nregion = r\n[profile p]\nregion = r\n[profile proc]\ncredential_process = sh -c 'echo \"$OUT\"'\n"
CREDENTIALS = (
    "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = s\n"
    "[p]\naws_access_key_id = AKP\naws_secret_access_key = s\naws_session_token = t\n"
)
KEYS = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "te"}
ASK = "import botocore.session as b; c = b.Session(profile=%r).get_credentials(); print(c.access_key, c.token or '')"
PROCESS = '{"Version":1,"AccessKeyId":"AKPROC","SecretAccessKey":"s"}'

with tempfile.TemporaryDirectory() as home:
    folder = pathlib.Path(home) / ".aws"
    folder.mkdir()
    (folder / "config").write_text(CONFIG)
    (folder / "credentials").write_text(CREDENTIALS)
    base = {"HOME": home, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    for profile, more in [
        (None, {}),
        (None, {"AWS_PROFILE": "p"}),
        (None, {"AWS_PROFILE": "p", **KEYS}),
        ("p", KEYS),
        ("proc", {"OUT": PROCESS}),
    ]:
        out = subprocess.run([sys.executable, "-c", ASK % profile], env={**base, **more}, capture_output=True, text=True)
        print(profile, sorted(more), "->", out.stdout.strip() or out.stderr.strip()[-200:])
