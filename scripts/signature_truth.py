"""Writes testdata/store/signatures.json: requests and the Authorization that botocore and azure-storage-blob give them.

Needs botocore (made with 1.44.5) and azure-storage-blob (12.31.1), which signs x-ms-range only, not Range. The keys are AWS's published example and Azurite's.
"""

import datetime
import json
import pathlib

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob._shared.authentication import SharedKeyCredentialPolicy

MOMENT = datetime.datetime(2026, 11, 23, 12, 34, 56)
ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

AWS = [
    ("s3", "GET", "https://s3.eu-central-1.amazonaws.com/b/a%20b/%C3%A9%2B%7E.tif".replace("%7E", "~"), {"range": "bytes=0-99"}, b"", None),
    ("s3", "PUT", "http://127.0.0.1:9000/b/k?partNumber=2&uploadId=a%2Fb%2Bc%3D", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, b"bytes", "token/+="),
    ("s3", "POST", "https://b.s3.amazonaws.com/k?uploads=", {"content-type": "image/tiff", "x-amz-meta-a": "b  c"}, b"", None),
    ("sts", "POST", "https://sts.eu-central-1.amazonaws.com/", {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}, b"Action=AssumeRole", None),
]
AZURE = [
    ("GET", f"http://127.0.0.1:10000/{ACCOUNT}/c/a%20b.tif", {"x-ms-range": "bytes=0-99", "If-Match": '"0x1"'}),
    ("PUT", "https://devstoreaccount1.blob.core.windows.net/c/k?comp=block&blockid=YWI%3D", {"Content-Length": "5", "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==", "Content-Type": "image/tiff"}),
    ("PUT", "https://devstoreaccount1.blob.core.windows.net/c/k?comp=blocklist", {"If-None-Match": "*", "x-ms-meta-cogclip-write": "0123", "Content-Length": "7"}),
]


def aws(service, method, url, headers, body, token):
    botocore.auth.get_current_datetime = lambda *_, **__: MOMENT
    botocore.auth.datetime = type("Fixed", (), {"datetime": type("D", (), {"utcnow": staticmethod(lambda: MOMENT)})})
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers, data=body)
    request.context["payload_signing_enabled"] = True
    credentials = botocore.credentials.Credentials(ID, SECRET, token)
    kind = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    kind(credentials, service, "eu-central-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return ["aws", service, method, url, headers, body.decode()]


def azure(method, url, headers):
    request = HttpRequest(method, url, headers={**headers, "x-ms-version": "2023-11-03", "x-ms-date": "Mon, 23 Nov 2026 12:34:56 GMT"})
    policy = SharedKeyCredentialPolicy(ACCOUNT, KEY)
    policy.on_request(PipelineRequest(request, PipelineContext(None)))
    headers = {name.lower(): value for name, value in request.headers.items()}
    return ["azure", "", method, url, headers, ""]


def main():
    path = pathlib.Path(__file__).parent.parent / "testdata" / "store" / "signatures.json"
    cases = [aws(*case) for case in AWS] + [azure(*case) for case in AZURE]
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
