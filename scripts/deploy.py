#!/usr/bin/env python3
"""Checks the manifests of deploy/ against the schemas of what takes them, and that the checks see a broken copy.

    scripts/deploy.py [--bin target/release/cogclip]

- Kubernetes: the API's own schemas, strictly, of the oldest and the newest version that the Job is for (PyPI kubernetes-validate),
  and the rules of the Job controller that no schema has;
- Cloud Run and Knative: what they share with a pod by the same schemas, and the rules of Knative's webhook, which has none;
- Container Apps: the models of Azure's own client (PyPI azure-mgmt-appcontainers), by their fields, types and values;
- AWS Batch, Step Functions and Lambda: CloudFormation's resource specifications (PyPI cfn-lint), of
  SAM's template once more as it is translated (PyPI aws-sam-translator);
- the state machine: the schema of the Amazon States Language (npm asl-validator, installed once below ~/.cache/cogclip);
- with --bin: the arguments that batches are given are arguments of that binary (scripts/serve.py starts the services with theirs), and the Lambda function's handler clips a batch with it.

Each file is then broken in several ways, one at a time, and must be refused each time. Reaches the package registries only, and
that the first time only. Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import enum
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import typing
from pathlib import Path

import kubernetes_validate
import yaml
from azure.mgmt.appcontainers import models as azure

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
# The first whose backoffLimitPerIndex is stable, and the newest that has schemas here.
KUBERNETES = ("1.33", "1.37")
ASL_VALIDATOR = "4.0.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cogclip"


class Constructed(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions: `!Ref X` becomes {"Ref": X}."""


def short_form(loader, tag, node):
    if isinstance(node, yaml.ScalarNode):
        return {tag: loader.construct_scalar(node)}
    return {tag: loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)}


Constructed.add_multi_constructor("!", short_form)


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()
    return int(number) * (60 if unit == "m" else 1)


def after(arguments, name):
    return arguments[arguments.index(name) + 1]


def check_kubernetes(text):
    """What is wrong with an Indexed Job, as a list."""
    wrong, kinds = [], {}
    for document in yaml.safe_load_all(text):
        kinds[document.get("kind")] = document
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except Exception as error:  # noqa: BLE001 - of several classes, none of them common to all
                wrong.append(f"{document.get('kind')}, Kubernetes {version}: {str(getattr(error, 'message', error)).splitlines()[0]}")
    if wrong or set(kinds) != {"ServiceAccount", "Job"}:
        return wrong or [f"it must hold a ServiceAccount and a Job, not {sorted(map(str, kinds))}"]
    spec = kinds["Job"]["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    arguments = container["args"]
    # The first five are what the API server refuses: https://kubernetes.io/docs/concepts/workloads/controllers/job/
    rules = {
        "backoffLimitPerIndex needs completionMode Indexed": spec.get("completionMode") == "Indexed",
        "backoffLimitPerIndex and podFailurePolicy need restartPolicy Never": pod.get("restartPolicy") == "Never",
        "maxFailedIndexes is at most completions": spec.get("maxFailedIndexes", 0) <= spec["completions"],
        "podFailurePolicy names a container of the pod": all(
            rule["onExitCodes"].get("containerName") == container["name"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule
        ),
        "actions of podFailurePolicy are FailJob, FailIndex, Ignore and Count": all(
            rule["action"] in ("FailJob", "FailIndex", "Ignore", "Count") for rule in spec["podFailurePolicy"]["rules"]
        ),
        "--shards is completions": after(arguments, "--shards") == str(spec["completions"]),
        # What is just being published has 15 s more.
        "terminationGracePeriodSeconds is at least --grace and 15 s": pod.get("terminationGracePeriodSeconds", 30) >= seconds(after(arguments, "--grace")) + 15,
        "the service account is the one of the file": pod.get("serviceAccountName") == kinds["ServiceAccount"]["metadata"]["name"],
        "it runs as nobody in particular, without rights, on a read-only disk": pod["securityContext"].get("runAsNonRoot") is True
        and container["securityContext"].get("readOnlyRootFilesystem") is True
        and container["securityContext"].get("allowPrivilegeEscalation") is False
        and container["securityContext"].get("capabilities", {}).get("drop") == ["ALL"],
        "it says what it takes": "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"],
    }
    return [rule for rule, holds in rules.items() if not holds]


def of_pod(document, kind):
    """What Kubernetes finds wrong, by its newest schemas."""
    try:
        kubernetes_validate.validate(document, KUBERNETES[-1], strict=True)
    except Exception as error:  # noqa: BLE001 - as above
        return [f"{kind}: {str(getattr(error, 'message', error)).splitlines()[0]}"]
    return []


def mebibytes(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|MiB|GiB)", text).groups()
    return int(number) * (1024 if unit[0] == "G" else 1)


def rules_of_service(arguments, environment, memory):
    """What holds wherever a service runs."""
    concurrency = int(after(arguments, "--concurrency"))
    return {
        "it is the service": arguments[0] == "serve",
        "it allows prefixes of buckets, not all there is": all(
            re.fullmatch(r"(s3|gs|abfss)://[^/]+/.*", after(arguments, name)) for name in ("--allow-src", "--allow-dst")
        ),
        "callers need a token": ("--token-file" in arguments) != ("COGCLIP_TOKEN" in environment) and "--no-auth" not in arguments,
        # The program itself, and the bodies of requests and answers.
        "the memory that it may have is a quarter more than that of its jobs": mebibytes(memory) * 4 >= mebibytes(after(arguments, "--max-memory")) * 5,
        "each job has 16 MiB": mebibytes(after(arguments, "--max-memory")) >= 16 * concurrency,
    }


# Of spec.template.spec and its container, what Knative's webhook takes without further switches (knative.dev/serving
# pkg/apis/serving/fieldmask.go), and the annotations that are used here: it refuses what else begins with autoscaling.knative.dev/.
REVISION = {"containerConcurrency", "timeoutSeconds", "serviceAccountName", "containers", "volumes", "imagePullSecrets", "enableServiceLinks"}
CONTAINER = {
    "name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom", "ports", "resources", "securityContext",
    "livenessProbe", "readinessProbe", "startupProbe", "volumeMounts", "terminationMessagePath", "terminationMessagePolicy",
}  # fmt: skip
ANNOTATIONS = {
    "autoscaling.knative.dev/metric": "concurrency|rps",
    "autoscaling.knative.dev/min-scale": r"\d+",
    "autoscaling.knative.dev/max-scale": r"\d+",
    # As Cloud Run writes it.
    "autoscaling.knative.dev/maxScale": r"\d+",
    "run.googleapis.com/cpu-throttling": "true|false",
    "run.googleapis.com/startup-cpu-boost": "true|false",
    "run.googleapis.com/ingress": "all|internal|internal-and-cloud-load-balancing",
}


def check_knative(text, cloud_run=False):
    """What is wrong with a Service of Knative, as a list."""
    wrong, documents = [], {document.get("kind"): document for document in yaml.safe_load_all(text)}
    if set(documents) != ({"Service"} if cloud_run else {"ServiceAccount", "Service"}):
        return [f"it does not hold what it must, but {sorted(map(str, documents))}"]
    if not cloud_run:
        wrong += of_pod(documents["ServiceAccount"], "ServiceAccount")
    service = documents["Service"]
    if service.get("apiVersion") != "serving.knative.dev/v1":
        wrong.append(f"its version is {service.get('apiVersion')}")
    template = service.get("spec", {}).get("template", {})
    for where, value, known in (
        ("the service", service, {"apiVersion", "kind", "metadata", "spec"}),
        ("metadata", service.get("metadata", {}), {"name", "namespace", "labels", "annotations"}),
        ("spec", service.get("spec", {}), {"template", "traffic"}),
        ("spec.template", template, {"metadata", "spec"}),
        ("spec.template.metadata", template.get("metadata", {}), {"name", "labels", "annotations"}),
        ("spec.template.spec", template.get("spec", {}), REVISION),
    ):
        wrong += [f"{where} has no field {name}" for name in set(value) - known]
    for metadata in (service.get("metadata", {}), template.get("metadata", {})):
        for name, value in metadata.get("annotations", {}).items():
            if not (isinstance(value, str) and re.fullmatch(ANNOTATIONS.get(name, "(?!)"), value)):
                wrong.append(f"annotation {name}: {value!r}")
    spec = template.get("spec", {})
    containers = spec.get("containers", [])
    if wrong or len(containers) != 1:
        return wrong or ["it has one container"]
    container = containers[0]
    wrong += [f"the container has no field {name}" for name in set(container) - CONTAINER]
    # The rest is a pod's. Knative names the container, and both say the port of probes.
    pod = {name: value for name, value in spec.items() if name not in ("containerConcurrency", "timeoutSeconds")}
    probes = {name: {**value, "httpGet": {"port": 8080, **value["httpGet"]}} for name, value in container.items() if name.endswith("Probe")}
    pod["containers"] = [{"name": "user-container", **container, **probes}]
    wrong += of_pod({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, "as a pod")
    if wrong:
        return wrong
    arguments, environment = container["args"], {entry["name"] for entry in container.get("env", [])}
    token = after(arguments, "--token-file") if "--token-file" in arguments else None
    mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
    longest = spec["timeoutSeconds"]
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    rules = rules_of_service(arguments, environment, container["resources"]["limits"]["memory"]) | {
        "containerConcurrency is --concurrency": spec["containerConcurrency"] == int(after(arguments, "--concurrency")),
        # max-revision-timeout-seconds is 600 unless it is changed; Cloud Run's most is an hour.
        "timeoutSeconds is a number that is taken": isinstance(longest, int) and 0 < longest <= (3600 if cloud_run else 600),
        "timeoutSeconds is longer than --request-timeout": seconds(after(arguments, "--request-timeout")) < longest,
        # Knative waits timeoutSeconds between SIGTERM and SIGKILL, Cloud Run 10 s. What is just being published has up to 11 s more.
        "--grace ends before SIGKILL": seconds(after(arguments, "--grace")) + (2 if cloud_run else 15) <= (10 if cloud_run else longest),
        "there is at most one port, for HTTP/1.1, and PORT says it": "--listen" not in arguments and all(port.get("name") == "http1" for port in container.get("ports", [])[:2]) and len(container.get("ports", [])) <= 1,
        "probes are of what answers them": paths.pop("livenessProbe", "/healthz") == "/healthz" and set(paths.values()) <= {"/readyz"},
        "the file of the token is in a volume": token is None or any(token.startswith(f"{mount}/") for mount in mounts),
        "every mount has its volume": {mount["name"] for mount in container.get("volumeMounts", [])} == {volume["name"] for volume in spec.get("volumes", [])},
        "secrets are not written down": all("valueFrom" in entry for entry in container.get("env", []) if "TOKEN" in entry["name"]),
        "it runs as nobody in particular": cloud_run
        or container["securityContext"].get("runAsNonRoot") is True
        and container["securityContext"].get("readOnlyRootFilesystem") is True
        and container["securityContext"].get("capabilities", {}).get("drop") == ["ALL"],
        "the service account is the one of the file": cloud_run or spec.get("serviceAccountName") == documents["ServiceAccount"]["metadata"]["name"],
    }
    return [rule for rule, holds in rules.items() if not holds]


def check_cloud_run(text):
    return check_knative(text, cloud_run=True)


def unlike(value, wanted, where):
    """In what a value is not as a type of Azure's client has it, as a list."""
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(wanted) if option is not type(None)]
        # A text or one of these: those that are known.
        options = [option for option in options if isinstance(option, type) and issubclass(option, enum.Enum)] or options
        found = [unlike(value, option, where) for option in options]
        return min(found, key=len)
    if origin in (list, dict):
        kind = typing.get_args(wanted)[-1]
        if not isinstance(value, origin):
            return [f"{where} is no {origin.__name__}"]
        return [wrong for key, entry in (value.items() if origin is dict else enumerate(value)) for wrong in unlike(entry, kind, f"{where}.{key}")]
    if hasattr(wanted, "_is_model"):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        hints = typing.get_type_hints(wanted, localns={**vars(azure), "_models": azure})
        # A class learns its fields when it is first made use of.
        wanted()
        fields = {field._rest_name: hints[name] for name, field in wanted._attr_to_rest_field.items()}
        unknown = [f"{where} has no field {name}" for name in value if name not in fields]
        return unknown + [wrong for name, entry in value.items() if name in fields for wrong in unlike(entry, fields[name], f"{where}.{name}")]
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        known = [member.value for member in wanted]
        return [] if value in known else [f"{where} is {value!r}, not one of {known}"]
    fits = isinstance(value, (int, float) if wanted is float else wanted) and (wanted is bool or not isinstance(value, bool))
    return [] if fits else [f"{where} is {value!r}, not of type {wanted.__name__}"]


def check_container_app(text):
    """What is wrong with a container app, as a list."""
    app = yaml.safe_load(text)
    wrong = unlike(app, azure.ContainerApp, "the app")
    if wrong:
        return wrong
    properties = app["properties"]
    template, configuration = properties["template"], properties["configuration"]
    container = template["containers"][0]
    arguments, environment = container["args"], {entry["name"]: entry for entry in container["env"]}
    port = int(after(arguments, "--listen").rpartition(":")[2])
    resources = container["resources"]
    scale = template["scale"]["rules"][0]["http"]["metadata"]
    probes = {probe["type"]: probe["httpGet"] for probe in container["probes"]}
    rules = rules_of_service(arguments, environment, resources["memory"]) | {
        "what it must have is there": all(app.get(name) for name in ("location", "name", "type")) and properties.get("environmentId", "").startswith("/subscriptions/"),
        "it is a container app": app["type"] == "Microsoft.App/containerApps",
        "the ingress and the probes are for the port at which it listens": {configuration["ingress"]["targetPort"], *(probe["port"] for probe in probes.values())} == {port},
        "nobody comes without TLS": configuration["ingress"].get("allowInsecure") is False,
        # learn.microsoft.com/azure/container-apps/ingress-overview: 240 s.
        "the ingress waits longer than a job may take": seconds(after(arguments, "--request-timeout")) < 240,
        "terminationGracePeriodSeconds is at least --grace and 15 s, and at most 600": seconds(after(arguments, "--grace")) + 15 <= template["terminationGracePeriodSeconds"] <= 600,
        "it is scaled by --concurrency": scale["concurrentRequests"] == after(arguments, "--concurrency"),
        # learn.microsoft.com/azure/container-apps/containers#allocations
        "there are 2 GiB for each processor": mebibytes(resources["memory"]) == 2048 * resources["cpu"],
        "each secret that is named is there": {entry["secretRef"] for entry in environment.values() if "secretRef" in entry} == {secret["name"] for secret in configuration["secrets"]},
        "secrets are not written down": all("value" not in secret for secret in configuration["secrets"]) and "value" not in environment["COGCLIP_TOKEN"],
        "the account is that of the buckets": all(f"@{environment['AZURE_STORAGE_ACCOUNT_NAME']['value']}." in after(arguments, name) for name in ("--allow-src", "--allow-dst")),
        "probes are of what answers them": {name: probe["path"] for name, probe in probes.items()} == {"Startup": "/readyz", "Liveness": "/healthz", "Readiness": "/readyz"},
    }
    return [rule for rule, holds in rules.items() if not holds]


def check_cloudformation(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.yaml"
        path.write_text(text)
        # W3002: it is for `aws cloudformation package`, which uploads what the template names by path.
        command = [sys.executable, "-c", "import sys; from cfnlint.runner import main; sys.exit(main())", "--ignore-checks", "W3002", "--format", "parseable", "--", str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    # PATH:LINE:COLUMN:LINE:COLUMN:RULE:MESSAGE
    lines = [line.split(":", 5)[-1] for line in ran.stdout.splitlines() if line.startswith(str(path))]
    if bool(ran.returncode) != bool(lines):
        raise SystemExit(f"cfn-lint ended with {ran.returncode}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    return lines


def check_batch(text):
    wrong = check_cloudformation(text)
    if wrong:
        return wrong
    definition = yaml.load(text, Constructed)["Resources"]["JobDefinition"]["Properties"]
    container = definition["ContainerProperties"]
    named = {part.removeprefix("Ref::") for part in container["Command"] if part.startswith("Ref::")}
    rules = {
        f"every Ref:: of the command has a parameter, {sorted(named)}": named == set(definition["Parameters"]),
        "it is tried at most 10 times, as AWS Batch has it": 1 <= definition["RetryStrategy"]["Attempts"] <= 10,
        # 30 s between SIGTERM and SIGKILL, 15 of which are for what is just being published.
        "--grace is at most 15 s": seconds(after(container["Command"], "--grace")) <= 15,
        "it runs as nobody in particular on a read-only disk": container.get("ReadonlyRootFilesystem") is True and container.get("User", "0").split(":")[0] != "0",
        "what else fails is tried again": definition["RetryStrategy"]["EvaluateOnExit"][-1] == {"OnReason": "*", "Action": "RETRY"},
    }
    return [rule for rule, holds in rules.items() if not holds]


def asl_validator():
    """The validator's program, installed unless it is there."""
    folder = CACHE / f"asl-validator-{ASL_VALIDATOR}"
    program = folder / "node_modules/asl-validator/dist/bin/asl-validator.js"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
        subprocess.run([*command, f"asl-validator@{ASL_VALIDATOR}"], check=True, stdout=subprocess.DEVNULL)
        (folder / "complete").touch()
    return program


def check_states(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.asl.json"
        path.write_text(text)
        ran = subprocess.run(["node", asl_validator(), "--json-path", path], capture_output=True, text=True, check=False)
    if ran.returncode == 1:
        # Behind a line that names the file.
        return [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()][1:5]
    if ran.returncode:
        raise SystemExit(f"asl-validator ended with {ran.returncode}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
    machine = json.loads(text)["States"]["Clip"]
    template = yaml.load((DEPLOY / "step-functions/template.yaml").read_text(), Constructed)["Resources"]
    task = machine["ItemProcessor"]["States"]["ClipBatch"]
    rules = {
        "every ${…} is substituted by the template": set(re.findall(r"\$\{(\w+)\}", text)) == set(template["Machine"]["Properties"]["DefinitionSubstitutions"]),
        "the task waits longer than the function may take": task["TimeoutSeconds"] > template["ClipFunction"]["Properties"]["Timeout"],
        # What a state hands on is at most 256 KiB.
        "a batch leaves room in 256 KiB": machine["ItemBatcher"]["MaxInputBytesPerBatch"] <= 200_000,
        "the manifest is read as JSON Lines": machine["ItemReader"]["ReaderConfig"]["InputType"] == "JSONL",
        "items have the number of their row": machine["ItemSelector"].get("item.$") == "$$.Map.Item.Index",
    }
    return [rule for rule, holds in rules.items() if not holds]


def long_forms(value):
    """The short forms of CloudFormation's functions as they are in JSON."""
    if isinstance(value, list):
        return [long_forms(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (name := next(iter(value))) in ("Sub", "GetAtt", "Equals", "Not"):
        argument = value[name].split(".", 1) if name == "GetAtt" else value[name]
        return {f"Fn::{name}": long_forms(argument)}
    return {name: long_forms(entry) for name, entry in value.items()}


def check_translated(text):
    """What is wrong with what SAM makes of a template, which is what is deployed."""
    # Asked for nothing but which parameters regions have.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
    from samtranslator.translator.transform import transform

    template = long_forms(yaml.load(text, Constructed))
    for resource in template["Resources"].values():
        if "CodeUri" in resource["Properties"]:
            # As `sam package` puts it there.
            resource["Properties"]["CodeUri"] = "s3://a-bucket-of-code/build"
    try:
        translated = transform(template, {}, ManagedPolicyLoader(None))
    except InvalidDocumentException as error:
        return [cause.message for cause in error.causes]
    return check_cloudformation(json.dumps(translated, indent=1))


def check_lambda(text):
    wrong = check_cloudformation(text) or check_translated(text)
    if wrong:
        return wrong
    template = yaml.load(text, Constructed)
    resources, parameters = template["Resources"], template["Parameters"]
    function, source = resources["Function"]["Properties"], resources["Function"]["Properties"]["Events"]["Jobs"]["Properties"]
    statements = [statement for policy in function["Policies"] for statement in policy["Statement"]]
    actions = {action for statement in statements for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])}
    variables = set(re.findall(r"\bCOGCLIP_[A-Z]+\b", (ROOT / "src/cli/lambda.rs").read_text()))
    rules = {
        "the binary is the runtime": (function["Handler"], function["Runtime"]) == ("bootstrap", "provided.al2023"),
        "a message that fails is reported alone": source.get("FunctionResponseTypes") == ["ReportBatchItemFailures"],
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        "messages are hidden for 6 times the function's time": parameters["VisibilityTimeout"]["Default"] >= 6 * parameters["Timeout"]["Default"],
        "what fails for good goes to the dead letters, after 5 deliveries or more": resources["Queue"]["Properties"].get("RedrivePolicy", {}).get("maxReceiveCount", 0) >= 5,
        "no more messages at a time than there are environments": source["ScalingConfig"]["MaximumConcurrency"] == function["ReservedConcurrentExecutions"] == {"Ref": "ReservedConcurrency"},
        "its rights are to read, write and list objects": actions == {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"},
        "outputs go below a prefix": all("${OutputPrefix}" in str(statement["Resource"]) for statement in statements if "s3:PutObject" in statement["Action"]),
        f"it knows the variables that are set, {sorted(variables)}": set(function["Environment"]["Variables"]) == variables,
        "its log is JSON": function["LoggingConfig"]["LogFormat"] == "JSON",
        "EventBridge alone, by its rule, may send to the queue": "aws:SourceArn" in str(resources["NewObjectsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0].get("Condition")),
    }
    return [rule for rule, holds in rules.items() if not holds]


# Each file, how it is checked, and what breaks it: (what stands there, what is put in its place).
FILES = {
    "kubernetes/indexed-job.yaml": (
        check_kubernetes,
        [
            ("completions: 16", "completions: sixteen"),
            ("completions: 16", "completions: 17"),
            ("backoffLimitPerIndex: 3", "backoffLimitPerIdx: 3"),
            ("completionMode: Indexed", "completionMode: NonIndexed"),
            ("restartPolicy: Never", "restartPolicy: OnFailure"),
            ("action: FailIndex", "action: FailTheIndex"),
            ("          operator: In\n", ""),
            ("containerName: cogclip", "containerName: clip"),
            ("maxFailedIndexes: 16", "maxFailedIndexes: 20"),
            ("terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30"),
            ("serviceAccountName: cogclip", "serviceAccountName: default"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
            ("runAsNonRoot: true", "runAsNonRoot: false"),
            ("apiVersion: batch/v1\n", "apiVersion: batch/v1beta1\n"),
        ],
    ),
    "cloud-run/service.yaml": (
        check_cloud_run,
        [
            ("apiVersion: serving.knative.dev/v1\n", "apiVersion: run.googleapis.com/v1\n"),
            ("kind: Service\n", "kind: Job\n"),
            ("containerConcurrency: 8", "containerConcurrency: 80"),
            ("containerConcurrency: 8", "concurrency: 8"),
            ("timeoutSeconds: 300", "timeoutSeconds: 200"),
            ("timeoutSeconds: 300", "timeoutSeconds: 7200"),
            ("- 7s", "- 10s"),
            ("maxScale: \"20\"", "maxScale: 20"),
            ("maxScale: \"20\"", "maximum: \"20\""),
            ("ingress: all", "ingress: everything"),
            ("path: /readyz", "path: /ready"),
            ("secretKeyRef:", "secretRef:"),
            ("                  key: latest\n", ""),
            ("memory: 2Gi", "memory: 1536Mi"),
            ("periodSeconds: 1", "periodSeconds: \"1\""),
            ("- gs://my-clips/out/", "- https://"),
            ("            - --grace\n", "            - --no-auth\n            - --grace\n"),
        ],
    ),
    "knative/service.yaml": (
        check_knative,
        [
            ("apiVersion: serving.knative.dev/v1\n", "apiVersion: serving.knative.dev/v1beta1\n"),
            ("kind: ServiceAccount\n", "kind: Account\n"),
            ("automountServiceAccountToken: false", "automountServiceAccountToken: \"false\""),
            ("containerConcurrency: 8", "containerConcurrency: 16"),
            ("timeoutSeconds: 300", "timeoutSeconds: 3000"),
            ("timeoutSeconds: 300", "terminationGracePeriodSeconds: 300"),
            ("- 60s", "- 10m"),
            ("min-scale: \"0\"", "min-scale: few"),
            ("metric: concurrency", "metric: memory"),
            ("name: http1", "name: http2"),
            ("containerPort: 8080", "port: 8080"),
            ("serviceAccountName: cogclip-serve", "serviceAccountName: default"),
            ("mountPath: /run/secrets/cogclip\n", "mountPath: /run/secrets/token\n"),
            ("            - name: token\n              mountPath", "            - name: tokens\n              mountPath"),
            ("secretName: cogclip-token", "name: cogclip-token"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"),
            ("runAsNonRoot: true", "runAsNonRoot: false"),
            ("memory: 1536Mi", "memory: 1Gi"),
            ("- 1GiB", "- 100MiB"),
            ("            - --token-file\n            - /run/secrets/cogclip/token\n", ""),
        ],
    ),
    "container-apps/app.yaml": (
        check_container_app,
        [
            ("type: Microsoft.App/containerApps", "type: Microsoft.App/jobs"),
            ("type: SystemAssigned", "type: SystemAssigned, UserAssigned"),
            ("activeRevisionsMode: Single", "activeRevisionsMode: One"),
            ("targetPort: 8080", "targetPort: \"8080\""),
            ("targetPort: 8080", "targetPort: 80"),
            ("targetPort: 8080", "port: 8080"),
            ("transport: http\n", "transport: https\n"),
            ("allowInsecure: false", "allowInsecure: true"),
            ("terminationGracePeriodSeconds: 90", "terminationGracePeriodSeconds: 60"),
            ("- 230s", "- 300s"),
            ("secretRef: token", "secretRef: tokens"),
            ("secretRef: token", "value: a-token-that-anybody-reads"),
            ("cpu: 1.0", "cpu: one"),
            ("memory: 2Gi", "memory: 4Gi"),
            ("type: Liveness", "type: Alive"),
            ("concurrentRequests: \"8\"", "concurrentRequests: \"10\""),
            ("minReplicas: 0", "minReplicas: none"),
            ("environmentId:", "managedEnvironment:"),
            ("0.0.0.0:8080", "0.0.0.0:80"),
        ],
    ),
    "aws-batch/template.yaml": (
        check_batch,
        [
            ("Type: AWS::Batch::JobDefinition", "Type: AWS::Batch::JobDefinitions"),
            ("Type: FARGATE_SPOT", "Type: FARGATE_SPOTS"),
            ("Attempts: 4", "Attempts: 40"),
            ("- OnReason: \"*\"\n            Action: RETRY", "- OnReason: \"*\"\n            Action: AGAIN"),
            ("Arn: !Ref Queue", "Arn: !Ref Queues"),
            ("!GetAtt JobRole.Arn", "!GetAtt JobRole.Name"),
            ("        Image: !Ref Image\n", ""),
            ("ArrayProperties:\n              Size: !Ref Shards", "ArrayProperties:\n              Length: !Ref Shards"),
            ("        shards: !Ref Shards\n", ""),
            ("- 10s", "- 20s"),
        ],
    ),
    "step-functions/template.yaml": (
        check_cloudformation,
        [
            ("Type: AWS::StepFunctions::StateMachine", "Type: AWS::StepFunction::StateMachine"),
            ("Timeout: 900", "Timeout: 9000"),
            ("Runtime: python3.13", "Runtime: python4"),
            ("Handler: handler.handler", "Handlers: handler.handler"),
            ("StateMachineType: STANDARD", "StateMachineType: DISTRIBUTED"),
            ("Role: !GetAtt FunctionRole.Arn", "Role: !GetAtt FunctionsRole.Arn"),
            ("      RoleArn: !GetAtt MachineRole.Arn\n", ""),
        ],
    ),
    "lambda/template.yaml": (
        check_lambda,
        [
            ("Transform: AWS::Serverless-2016-10-31\n", ""),
            ("Type: AWS::Serverless::Function", "Type: AWS::Serverless::Functions"),
            ("Runtime: provided.al2023", "Runtime: provided.al2022"),
            ("Handler: bootstrap", "Handler: cogclip"),
            ("Architectures: [x86_64]", "Architectures: [amd64]"),
            ("      CodeUri: build/\n", ""),
            ("FunctionResponseTypes: [ReportBatchItemFailures]", "FunctionResponseTypes: [ReportFailures]"),
            ("            FunctionResponseTypes: [ReportBatchItemFailures]\n", ""),
            ("BatchSize: 10", "BatchSize: 0"),
            ("deadLetterTargetArn: !GetAtt DeadLetters.Arn", "deadLetterTargetArn: !GetAtt DeadLetter.Arn"),
            ("maxReceiveCount: 5", "maxReceiveCount: 1"),
            ("Default: 1800", "Default: 600"),
            ("Default: 1769", "Default: 64"),
            ("MaximumConcurrency: !Ref ReservedConcurrency", "MaximumConcurrency: 1"),
            ("ReservedConcurrentExecutions: !Ref ReservedConcurrency", "ReservedConcurrentExecutions: !Ref Concurrency"),
            ("Action: s3:GetObject\n", 'Action: "s3:*"\n'),
            ("${OutputBucket}/${OutputPrefix}*", "${OutputBucket}/*"),
            ("COGCLIP_JOB: !Ref Job", "COGCLIP_JOBS: !Ref Job"),
            ("LogFormat: JSON", "LogFormat: Json"),
            ("ClipsNewObjects: !Not", "ClipNewObjects: !Not"),
            ("            Condition:\n              ArnEquals:\n                aws:SourceArn: !GetAtt NewObjectsRule.Arn\n", ""),
            ("RetentionInDays: 30", "RetentionInDays: 31"),
        ],
    ),
    "step-functions/clip.asl.json": (
        check_states,
        [
            ('"StartAt": "Clip",', '"StartAt": "Cut",'),
            ('"Mode": "DISTRIBUTED"', '"Mode": "PARALLEL"'),
            ('"InputType": "JSONL"', '"InputType": "TEXT"'),
            ('"MaxItemsPerBatch": 20', '"MaxItemsPerBatch": "twenty"'),
            ('"Type": "Task",', '"Type": "Tasks",'),
            ('"ToleratedFailurePercentage": 5', '"ToleratedFailurePercentage": "five"'),
            ('"Resource": "arn:aws:states:::s3:putObject",', ""),
            ('"Payload.$": "$"', '"Payload.$": "Payload["'),
            ('"ErrorEquals": ["States.ALL"],', ""),
            ('"TimeoutSeconds": 930', '"TimeoutSeconds": 60'),
            ("${ClipFunction}", "${Function}"),
        ],
    ),
}


class Verdicts:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, holds, what):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok' if holds else 'FAILED'}: {what}", flush=True)


def check_arguments(verdicts, binary):
    """What the manifests say on the command line is what the binary knows."""
    asked = subprocess.run([binary, "batch", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", asked))
    job = next(document for document in yaml.safe_load_all((DEPLOY / "kubernetes/indexed-job.yaml").read_text()) if document["kind"] == "Job")
    task = yaml.load((DEPLOY / "aws-batch/template.yaml").read_text(), Constructed)["Resources"]["JobDefinition"]["Properties"]["ContainerProperties"]
    handler = re.findall(r'"(--[a-z-]+)"', (DEPLOY / "step-functions/handler.py").read_text())
    for name, arguments in (("Kubernetes", job["spec"]["template"]["spec"]["containers"][0]["args"]), ("AWS Batch", task["Command"]), ("Lambda", handler)):
        said = {argument for argument in arguments if argument.startswith("--")}
        verdicts.check(said and said <= known, f"{name}: `cogclip batch` knows {' '.join(sorted(said))} {sorted(said - known) or ''}")


class Context:
    """What Lambda tells of the time that is left."""

    def __init__(self, milliseconds):
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self):
        return self.milliseconds


def load_handler(binary):
    os.environ["COGCLIP"] = str(binary)
    spec = importlib.util.spec_from_file_location("handler", DEPLOY / "step-functions/handler.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_handler(verdicts, binary):
    """The Lambda function's handler as a Distributed Map calls it, and as it calls it again."""
    sample = ROOT / "testdata/sample"
    with tempfile.TemporaryDirectory() as folder:
        # Numbers of rows of a manifest, not of the batch. The second has no source.
        rows = {
            40: {"src": str(sample / "scene.tif"), "cutline": str(sample / "field.geojson"), "dst": f"{folder}/a.tif"},
            41: {"src": f"{folder}/none.tif", "cutline": str(sample / "field.geojson"), "dst": f"{folder}/b.tif"},
            42: {"src": str(sample / "scene.tif"), "cutline": (sample / "field.geojson").read_text(), "dst": f"{folder}/c.tif"},
        }
        # As from a manifest in CSV.
        rows[42] |= {"all_touched": "true", "invert": "false", "pad": ""}
        event = {"Items": [{"item": item, "row": row} for item, row in rows.items()]}
        module = load_handler(binary)
        first = module.handler(event, Context(900_000))
        told = [(row["item"], row["status"], row["exit_code"]) for row in first]
        verdicts.check(told == [(40, "done", None), (41, "failed", 5), (42, "done", None)], f"handler: a row an item with its number in the manifest {told}")
        verdicts.check(Path(folder, "a.tif").exists() and Path(folder, "c.tif").exists(), "handler: the outputs are there")
        before = [Path(folder, name).stat().st_mtime_ns for name in ("a.tif", "c.tif")]
        again = [(row["status"], row["exit_code"]) for row in module.handler(event, Context(900_000))]
        after = [Path(folder, name).stat().st_mtime_ns for name in ("a.tif", "c.tif")]
        verdicts.check(again == [("done", None), ("failed", 5), ("done", None)] and before == after, f"handler: called again it finds what it has made {again}")
        Path(folder, "a.tif").write_bytes(b"another's")
        again = [(row["status"], row["exit_code"]) for row in module.handler(event, Context(900_000))]
        verdicts.check(again == [("failed", 9), ("failed", 5), ("done", None)], f"handler: what another has made is refused {again}")
        slow, crash = Path(folder, "slow"), Path(folder, "crash")
        slow.write_text("#!/bin/sh\nexec sleep 60\n")
        crash.write_text("#!/bin/sh\nexit 101\n")
        # A second is left, when the margin is taken off; and a run that crashes.
        for name, program, left in (("time runs out", slow, 26_000), ("it crashes", crash, 900_000)):
            program.chmod(0o755)
            module = load_handler(program)
            try:
                module.handler(event, Context(left))
                raised = "nothing"
            except Exception as error:  # noqa: BLE001 - which it is, is what is looked at
                raised = type(error).__name__
            verdicts.check(raised == "Unfinished", f"handler: where {name} it raises, so that it is called again ({raised})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path)
    args = parser.parse_args()
    verdicts = Verdicts()
    for name, (check, breaks) in FILES.items():
        text = (DEPLOY / name).read_text()
        wrong = check(text)
        verdicts.check(not wrong, f"{name} is valid {'; '.join(wrong)}")
        for stands, instead in breaks:
            # Something that stands nowhere, or twice, would break nothing, or more than it says.
            count = text.count(stands)
            found = check(text.replace(stands, instead)) if count == 1 else []
            shown = (instead or f"no {stands}").strip().replace("\n", " ")
            verdicts.check(found, f"{name} with {shown!r} is refused: {found[0][:110] if found else f'{count} places, not refused'}")
    if args.bin:
        binary = args.bin.resolve()
        check_arguments(verdicts, binary)
        check_handler(verdicts, binary)
    print(f"{verdicts.passed} passed, {verdicts.failed} failed")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
