#!/usr/bin/env python3
"""Checks the manifests of deploy/ against the schemas of what takes them, and that the checks see a broken copy.

    scripts/deploy.py [--bin target/release/cogclip]

- Kubernetes: the API's own schemas, strictly, of the oldest and the newest version that the Job is for (PyPI kubernetes-validate),
  and the rules of the Job controller that no schema has;
- AWS Batch and Step Functions: CloudFormation's resource specifications (PyPI cfn-lint);
- the state machine: the schema of the Amazon States Language (npm asl-validator, installed once below ~/.cache/cogclip);
- with --bin: the arguments that they give are arguments of that binary, and the Lambda function's handler clips a batch with it.

Each file is then broken in several ways, one at a time, and must be refused each time. Reaches the package registries only, and
that the first time only. Prints `N passed, N failed`; exit code 1 if any failed.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

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
