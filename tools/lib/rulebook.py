# SPDX-License-Identifier: MIT
"""The house rules that a machine can check.

A rule is a function from the tree (path -> text of every file) to a list of findings, `path:line: what`.
Beside each rule stands a fault to plant, which the rule must find: a rule that cannot fail is worth nothing.
"""
import re

RULES = []


def rule(name, path, old, new):
    """Registers a rule; replacing `old` by `new` in `path` (old None: the file is `new`) must break it."""
    return lambda function: RULES.append((name, function, (path, old, new))) or function


def at(path, text, offset, what):
    return f"{path}:{text.count(chr(10), 0, offset) + 1}: {what}"


def of_kind(tree, folders, suffixes):
    return {path: text for path, text in tree.items() if path.startswith(folders) and path.endswith(suffixes)}


def library(tree):
    return of_kind(tree, ("src/", "include/"), (".c", ".h"))


def blank_comments(text):
    """Spaces for comments and strings, so that offsets stay."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def comment_above(text, offset):
    """The comment that ends on the line before the one of `offset`, or on that line before it."""
    line = text.rfind("\n", 0, offset) + 1
    for before in (text[line:offset].rstrip(), text[:line].rstrip()):
        if before.endswith("*/"):
            return before[before.rfind("/*"):]
    return ""
