# SPDX-License-Identifier: MIT
"""Runs the house rules, and plants each one's fault to see that it is found."""
import os
import subprocess
import sys

import rules_orders  # noqa: F401  registers its rules
import rules_style   # noqa: F401
from rulebook import RULES


def read_tree(root):
    """The files that git knows of, as they are now; of a tarball, all files outside build/."""
    git = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
    names = git.stdout.split("\0") if git.returncode == 0 and git.stdout else [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, files in os.walk(root) for name in files
        if os.path.relpath(folder, root).split(os.sep)[0] not in ("build", ".git")]
    tree = {}
    for name in filter(None, names):
        try:
            with open(os.path.join(root, name), encoding="utf-8") as file:
                tree[name] = file.read()
        except UnicodeDecodeError:
            tree[name] = ""
        except OSError:
            pass
    return tree


def check(root):
    tree = read_tree(root)
    return [(name, function(tree)) for name, function, _ in RULES]


def self_test(root):
    """Plants each rule's fault in a copy of the tree; gives (rule, why it did not find it or None)."""
    tree, results = read_tree(root), []
    for name, function, (path, old, new) in RULES:
        if old is not None and old not in tree.get(path, ""):
            results.append((name, f"the fault to plant does not fit: {path} has no {old!r}"))
            continue
        before = function(tree)
        after = function({**tree, path: new if old is None else tree[path].replace(old, new, 1)})
        results.append((name, None if len(after) > len(before) else "the planted fault was not found"))
    return results


def main(arguments):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if arguments not in ([], ["--self-test"]):
        print("usage: tools/rules [--self-test]", file=sys.stderr)
        return 2
    results = self_test(root) if arguments else check(root)
    for name, findings in results:
        print(f"{'FAIL' if findings else 'ok  '}  {name}")
        for finding in [findings] if isinstance(findings, str) else findings or []:
            print(f"      {finding}")
    return any(findings for _, findings in results)
