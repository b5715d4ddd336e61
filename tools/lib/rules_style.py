# SPDX-License-Identifier: MIT
"""Rules on rooms, public calls, and what holds for every file."""
import os
import re
import subprocess
import tempfile

from rulebook import at, blank_comments, comment_above, library, of_kind, rule

# ---- rooms ----

ROOMS = ["base", "table", "reclaim", "handle", "alloc", "audit"]
ROOM_OF_HEADER = {"error": "base", "region": "table", "reclaim": "reclaim", "frame": "handle", "unique": "handle",
                  "segment": "handle", "alloc": "alloc", "audit": "audit"}


@rule("includes look only down", "src/table/slot.c", '#include "base/check.h"',
      '#include "base/check.h"\n#include "reclaim/reclaim.h"')
def rooms(tree):
    found = []
    for path, text in library(tree).items():
        parts = path.split("/")
        own = parts[1] if parts[0] == "src" else ROOM_OF_HEADER.get(parts[-1][:-2])
        if own not in ROOMS:
            if parts[0] == "src":
                found.append(f"{path}:1: {own} is no room: {' < '.join(ROOMS)}")
            continue
        for include in re.finditer(r'^#include ["<](metaslot/)?(\w+)[/.]', text, re.M):
            other = ROOM_OF_HEADER.get(include.group(2)) if include.group(1) else include.group(2)
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(own):
                found.append(at(path, text, include.start(), f"{own} looks up to {other}"))
    return found


DOORS = {r"urcu": r"src/reclaim/", r"hwloc": r"(?:src/base/numa|bench/place)\.c$|tests/", r"benchmark/": r"bench/gbench\.cc$",
         r"ck_\w+\.h": r"bench/", r"(?:jansson|zlib)": r"bench/|stress/|tests/"}


@rule("libraries come in by their doors", "src/handle/frame.c", '#include "handle/handle.h"',
      '#include "handle/handle.h"\n#include <urcu/urcu-memb.h>')
def doors(tree):
    return [at(path, text, include.start(), f"{include.group()} outside its door")
            for path, text in tree.items() if path.endswith((".c", ".h", ".cc"))
            for library_name, place in DOORS.items()
            for include in re.finditer(rf'^#include [<"]{library_name}[^\n]*', text, re.M) if not re.match(place, path)]


# ---- public calls ----

# These read what does not change while the handle lives.
NO_ORDER = re.compile(r"_(?:paddr|region|type|meta|memory|base|nr_frames|frame_shift|name|flavor)$|^mslot_range_(?:not_)?in_")


def public_calls(tree):
    for path, text in of_kind(tree, ("include/",), (".h",)).items():
        code = blank_comments(text)
        for call in re.finditer(r"^MSLOT_API[^;]*?\b(mslot_\w+)\s*\(", code, re.M):
            yield path, text, call.start(), call.group(1), comment_above(text, call.start())


@rule("public calls say their progress", "include/metaslot/frame.h",
      " * Progress: wait-free, at most one RMW; at the count's limit lock-free, as a drop takes it back.\n", "")
def progress(tree):
    described = {name for _, _, _, name, comment in public_calls(tree) if "Progress:" in comment}
    return [at(path, text, offset, f"{name}() says no Progress:") for path, text, offset, name, comment
            in public_calls(tree) if "Progress:" not in comment and not refers(comment, described) and name not in described]


@rule("public calls on shared state say their order", "include/metaslot/reclaim.h",
      " * Order:    acquires `recycle` of each.\n", "")
def order(tree):
    described = {name for _, _, _, name, comment in public_calls(tree) if "Order:" in comment}
    return [at(path, text, offset, f"{name}() says no Order:") for path, text, offset, name, comment
            in public_calls(tree) if "Order:" not in comment and not refers(comment, described)
            and not NO_ORDER.search(name) and name not in described]


def refers(comment, described):
    """Whether a comment says `as mslot_x()` of a call that is described."""
    return any(name in described for name in re.findall(r"\bas\s+(?:\*\s+)?(mslot_\w+)\(\)", comment, re.I))


# ---- every file ----

TEXT = (".c", ".h", ".cc", ".py", ".build", ".md", ".txt", ".sh")
LONGEST = 380
# Longer, for a reason.
LONGER = {
    "src/table/slot.c": 470,   # one file owns every order of the state word
    "bench/test_impl.c": 400,  # one table of facts, run on each impl
}


def is_script(text):
    return text.startswith("#!")


@rule("files stay short", "src/long.c", None, "/* SPDX-License-Identifier: MIT */\n" * 400)
def short(tree):
    return [f"{path}:{LONGEST}: {text.count(chr(10))} lines" for path, text in tree.items()
            if path.endswith((".c", ".h", ".cc", ".py")) and text.count("\n") > LONGER.get(path, LONGEST)]


@rule("source files name their license", "src/bare.c", None, "int x;\n")
def license_named(tree):
    return [f"{path}:1: no SPDX-License-Identifier" for path, text in tree.items()
            if (path.endswith((".c", ".h", ".cc", ".py")) or is_script(text))
            and "SPDX-License-Identifier: MIT" not in text[:200]]


# Written so that this file does not name what it forbids.
MACHINE = re.compile(r"(?<![\w.])(?:/wor[k]/|/tm[p]/\w|/hom[e]/\w|/roo[t]/|\.\./share[d])")
UNFINISHED = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")


@rule("no machine's paths, nothing unfinished", "docs/here.md", None, "see /hom" + "e/me/metaslot\n")
def places(tree):
    return [at(path, text, hit.start(), hit.group()) for path, text in tree.items()
            if path.endswith(TEXT) or is_script(text)
            for pattern in (MACHINE, UNFINISHED) for hit in pattern.finditer(text)]


@rule("links in the docs lead somewhere", "docs/here.md", None, "[a page](no-such-page.md)\n")
def links(tree):
    folders = {os.path.dirname(path) for path in tree} | {os.path.dirname(os.path.dirname(path)) for path in tree}
    found = []
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        for link in re.finditer(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            target = os.path.normpath(os.path.join(os.path.dirname(path), link.group(1)))
            if target not in tree and target not in folders:
                found.append(at(path, text, link.start(), f"{link.group(1)} does not exist"))
    return found


@rule("the README shows examples/hello.c", "examples/hello.c", "#include <stdio.h>\n", "")
def example(tree):
    text = tree["examples/hello.c"]
    shown = re.search(r"```c\n(.*?)```", tree["README.md"], re.S)
    same = shown and shown.group(1) == text[text.index("#include"):]
    return [] if same else ["README.md:1: the C block is not examples/hello.c from its first #include on"]


# clang-format runs lines together that are too long, unless what follows them is indented.
LABEL = r"(?:Promises|Needs|Read|Proves|Oracles?|Knobs|Limits):(?=\s)"


def in_opening(tree, pattern):
    """What a pattern finds in the comment that a file begins with."""
    return [at(path, text, hit.start(1), hit.group(1)) for path, text in tree.items() if path.endswith((".c", ".h", ".cc"))
            for hit in re.finditer(pattern, text[:text.find("*/")], re.M)]


@rule("labels of opening comments begin lines", "bench/place.c", "\n * Needs:", " Needs:")
def labels(tree):
    return in_opening(tree, rf"^ \* .*\S +({LABEL})")


@rule("what a label begins goes on indented", "bench/place.c", "\n *           orders.", "\n * orders.")
def hanging(tree):
    return in_opening(tree, rf"^ \* {LABEL}.*(?:\n \*   .*)*\n \* (?!{LABEL})(\S.*)")


@rule("clang-format agrees", "src/ugly.c", None, "/* SPDX-License-Identifier: MIT */\nint  x ;\n")
def formatted(tree):
    sources = of_kind(tree, ("src/", "include/", "bench/", "stress/", "tests/", "examples/"), (".c", ".h", ".cc"))
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in {**sources, ".clang-format": tree[".clang-format"]}.items():
            os.makedirs(os.path.dirname(os.path.join(scratch, path)), exist_ok=True)
            with open(os.path.join(scratch, path), "w") as file:
                file.write(text)
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources], cwd=scratch, capture_output=True,
                              text=True)
    return re.findall(r"^\S+?:\d+:\d+: error.*", done.stderr, re.M) or ([done.stderr] if done.returncode else [])
