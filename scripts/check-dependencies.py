#!/usr/bin/env python3
"""Checks what cogclip links against deny.toml, offline: an equivalent of `cargo deny check licenses bans sources`.

    scripts/check-dependencies.py [--self-test]

Looks at the normal and build dependencies of the crate, with all features, for each of deny.toml's targets, as
`cargo metadata --locked` resolves them. Fails on a licence that the allow-list does not satisfy, a banned crate, a source
other than the registry, a wildcard requirement, and a crate that links a native library or is named `*-sys` without a
line in NATIVE below. Names duplicate versions without failing. Needs Python 3.11 or newer and cargo.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Crates that may link something native or be named *-sys, each with the reason.
NATIVE = {
    "ring": "the one C and assembly part: cryptography under rustls",
    "libdeflate-sys": "C, of the feature libdeflate, which no build has unless asked for",
    "linux-raw-sys": "constants and types of the Linux kernel in Rust, for rustix; links nothing",
}


def satisfied(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences. `/` is cargo's old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    at = 0

    def take():
        nonlocal at
        at += 1
        return tokens[at - 1]

    def peek():
        return tokens[at] if at < len(tokens) else None

    def term():
        if peek() == "(":
            take()
            value = either()
            if take() != ")":
                raise ValueError(expression)
            return value
        name = take()
        if peek() == "WITH":
            take()
            name += " WITH " + take()
        return name in allowed

    def both():
        value = term()
        while peek() == "AND":
            take()
            value = term() and value
        return value

    def either():
        value = both()
        while peek() == "OR":
            take()
            value = both() or value
        return value

    value = either()
    if peek() is not None:
        raise ValueError(expression)
    return value


def linked(metadata):
    """Packages that the root reaches through normal and build dependencies."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    seen, todo = set(), [metadata["resolve"]["root"]]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for dependency in nodes[node]["deps"]:
            if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return [packages[p] for p in sorted(seen - {metadata["resolve"]["root"]})]


def violations(metadata, deny):
    """Sentences, one a violation."""
    found = []
    allowed = set(deny["licenses"]["allow"])
    banned = {ban["name"]: ban.get("reason", "") for ban in deny["bans"]["deny"]}
    registries = {f"registry+{url}" for url in deny["sources"]["allow-registry"]}
    for package in linked(metadata):
        name = f"{package['name']} {package['version']}"
        if not package.get("license"):
            found.append(f"{name}: states no licence")
        elif not satisfied(package["license"], allowed):
            found.append(f"{name}: licence {package['license']} is not allowed")
        if package["name"] in banned:
            found.append(f"{name}: banned: {banned[package['name']]}")
        if package["source"] not in registries:
            found.append(f"{name}: comes from {package['source']}, not from the registry")
        if (package.get("links") or package["name"].endswith("-sys")) and package["name"] not in NATIVE:
            found.append(f"{name}: links {package.get('links') or 'something native, by its name'}, and NATIVE gives no reason")
    root = next(p for p in metadata["packages"] if p["id"] == metadata["resolve"]["root"])
    found += [f"{d['name']}: requirement `*`" for d in root["dependencies"] if d["req"] == "*"]
    return found


def duplicates(metadata):
    versions = {}
    for package in linked(metadata):
        versions.setdefault(package["name"], []).append(package["version"])
    return {name: v for name, v in versions.items() if len(v) > 1}


def self_test():
    """Each rule finds what is planted."""
    allowed = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"}
    for expression, expected in [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT OR GPL-3.0", True),
        ("MIT/GPL-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", True),
        ("GPL-3.0 AND MIT OR Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT WITH odd-exception", False),
    ]:
        assert satisfied(expression, allowed) == expected, expression

    registry = "https://example.invalid/index"
    deny = {"licenses": {"allow": sorted(allowed)}, "bans": {"deny": [{"name": "gdal"}]}, "sources": {"allow-registry": [registry]}}

    def graph(kind=None, req="1", **package):
        child = {"id": "b", "name": "b", "version": "1.0.0", "license": "MIT", "source": f"registry+{registry}", "links": None, **package}
        root = {"id": "a", "name": "a", "dependencies": [{"name": child["name"], "req": req}]}
        nodes = [{"id": "a", "deps": [{"pkg": "b", "dep_kinds": [{"kind": kind}]}]}, {"id": "b", "deps": []}]
        return {"packages": [root, child], "resolve": {"root": "a", "nodes": nodes}}

    def found(expected, **planted):
        got = violations(graph(**planted), deny)
        assert len(got) == expected, (planted, got)

    found(0)
    found(1, license="GPL-3.0")
    found(1, license=None)
    found(1, name="gdal")
    found(1, name="zstd-sys")
    found(0, name="linux-raw-sys")
    found(1, links="z")
    found(0, name="ring", links="ring_core_0_17")
    found(1, source="git+https://example.invalid/b")
    found(1, req="*")
    found(1, kind="build", license="GPL-3.0")
    found(0, kind="dev", license="GPL-3.0")
    print("every rule finds what is planted")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        self_test()
        return 0
    deny = tomllib.loads((ROOT / "deny.toml").read_text())
    problems = 0
    for target in deny["graph"]["targets"]:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features", "--filter-platform", target]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        found = violations(metadata, deny)
        problems += len(found)
        packages = linked(metadata)
        native = sorted(p["name"] for p in packages if p["name"] in NATIVE)
        print(f"{target}: {len(packages)} packages, {len(found)} violations; allowed with a reason: {', '.join(native) or 'none'}")
        for sentence in found:
            print(f"  {sentence}")
        for name, versions in duplicates(metadata).items():
            print(f"  twice: {name} {', '.join(versions)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
