"""Writes testdata/store/service_account.json, a service account that does not exist, and its public key (PKCS#1, DER).

Needs cryptography. A key pair is made once and kept: this script runs again only for another one.
"""

import json
import pathlib

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa

folder = pathlib.Path(__file__).parent.parent / "testdata" / "store"
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
account = {
    "type": "service_account",
    "private_key_id": "key-1",
    "private_key": pem,
    "client_email": "sa@project.example",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}
(folder / "service_account.json").write_text(json.dumps(account, indent=2) + "\n")
public = key.public_key().public_bytes(form.Encoding.DER, form.PublicFormat.PKCS1)
(folder / "service_account.pub.der").write_bytes(public)
