# SPDX-License-Identifier: MIT
"""Rules on atomics: every order is chosen, tagged, and one end of an edge that the docs describe."""
import re

from rulebook import at, blank_comments, comment_above, library, of_kind, rule

TAG = re.compile(r"\[(relaxed|acquire|release|acq_rel|seq_cst)(?::([a-z][a-z-]*))?\]")
LITMUS = "tests/model/herd/"
ATOMIC = re.compile(r"\batomic_(?:load|store|exchange|compare_exchange|fetch|flag)\w*\s*\(")


def call_end(code, start):
    depth = 0
    for i in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        if depth == 0 and code[i] == ")":
            return i
    return len(code)


def statement_start(code, offset):
    before = max(code.rfind(end, 0, offset) for end in ";{}") + 1
    return before + len(code[before:]) - len(code[before:].lstrip())


def atomics(path, text):
    """Each order of each atomic call: (offset, memory order, its tag or None).

    Tags stand, one for each order, in the comment above the call or its statement. A later order's may also stand
    directly above it inside the call.
    """
    code = blank_comments(text)
    for call in ATOMIC.finditer(code):
        end = call_end(code, call.end() - 1)
        tags = (list(TAG.finditer(comment_above(text, call.start()))) or
                list(TAG.finditer(comment_above(text, statement_start(code, call.start())))))
        for i, order in enumerate(re.finditer(r"\bmemory_order_(\w+)", code[call.start():end])):
            offset = call.start() + order.start()
            inside = TAG.search(comment_above(text[call.start():], order.start())) if i else None
            yield offset, order.group(1), inside or (tags[i] if i < len(tags) else None)


@rule("atomics are _explicit", "src/table/slot.c", "atomic_load_explicit(&slot->type, memory_order_relaxed)",
      "atomic_load(&slot->type)")
def explicit(tree):
    found = []
    for path, text in library(tree).items():
        code = blank_comments(text)
        found += [at(path, text, call.start(), f"{call.group()}...) chooses no order")
                  for call in ATOMIC.finditer(code) if "_explicit" not in call.group()]
        found += [at(path, text, call.start(), f"{call.group()}: only <stdatomic.h>")
                  for call in re.finditer(r"\b__(?:atomic|sync)_\w+", code)]
    return found


# What the door takes from liburcu, which has it in its own sections.
DOOR = ("src/reclaim/grace.h", "cmm_smp_mb")


@rule("no fences; no seq_cst without a litmus test", "src/table/slot.c", "[seq_cst:retire]", "[seq_cst:claim]")
def orders_allowed(tree):
    found = [at(path, text, use.start(), use.group()) for path, text in library(tree).items()
             for use in re.finditer(r"\batomic_(?:thread|signal)_fence|\bmemory_order_consume\b|\bcmm_smp_\w+|\bck_pr_\w+",
                                    blank_comments(text)) if (path, use.group()) != DOOR]
    for path, text in library(tree).items():
        found += [at(path, text, tag.start(), f"{LITMUS}{tag.group(1)}.litmus is missing")
                  for tag in re.finditer(r"\[seq_cst:([a-z-]+)\]", text) if f"{LITMUS}{tag.group(1)}.litmus" not in tree]
    return found


def kinds(tag):
    """Of the comment that the tag stands in."""
    return {other.group(1) for other in TAG.finditer(tag.string)} - {"relaxed"}


@rule("each order has its tag directly above", "src/table/slot.c",
      "[acquire:forget]", "")
def tagged(tree):
    found = []
    for path, text in library(tree).items():
        for offset, order, tag in atomics(path, text):
            if not tag:
                found.append(at(path, text, offset, f"memory_order_{order} without a tag directly above"))
            elif order == "seq_cst" and tag.group(1) != "seq_cst":
                found.append(at(path, text, offset, f"memory_order_{order} under the tag {tag.group()}"))
            elif order == "acq_rel" and kinds(tag) == {"acquire", "release"} and all(
                    other.group(2) for other in TAG.finditer(tag.string) if other.group(1) != "relaxed"):
                pass  # both ends, of different edges
            elif tag.group(1) != order:
                found.append(at(path, text, offset, f"memory_order_{order} under the tag {tag.group()}"))
            elif (order == "relaxed") != (tag.group(2) is None):
                found.append(at(path, text, offset, f"{tag.group()}: an edge is named unless relaxed"))
            elif not re.match(r"\s*(?:\*\s*)?\w", tag.string[tag.end():]):
                found.append(at(path, text, offset, f"{tag.group()} without a reason"))
    return found


@rule("a tag says the order that is used", "src/table/slot.c", "memory_order_release", "memory_order_relaxed")
def tag_matches(tree):
    return [finding for finding in tagged(tree) if "under the tag" in finding]


def enclosing_function(text, offset):
    """The function that `offset` lies in, or whose comment it is."""
    definition = r"^(?!static [^(]*=|#|typedef|struct \w+ \{)[A-Za-z][^\n;={}]*?\b(\w+)\([^;{}]*\)\s*\{"
    line = text.rfind("\n", 0, offset) + 1
    is_top = text[line:offset].startswith(("/*", " *")) or text[line:offset] == ""
    if is_top:
        after = re.compile(definition, re.M).search(text, offset)
        return after.group(1) if after else None
    before = [m.group(1) for m in re.finditer(definition, text[:offset] + "{}", re.M) if m.start() < offset]
    return before[-1] if before else None


def edges_in_source(tree):
    """edge -> {"release": functions, "acquire": functions}"""
    edges = {}
    for path, text in of_kind(tree, ("src/",), (".c", ".h")).items():
        for comment in re.finditer(r"/\*.*?\*/", text, re.S):
            for tag in TAG.finditer(comment.group()):
                if not tag.group(2):
                    continue
                ends = edges.setdefault(tag.group(2), {"release": set(), "acquire": set(), "at": set()})
                ends["at"].add(at(path, text, comment.start() + tag.start(), ""))
                function = enclosing_function(text, comment.start() + tag.start())
                for end in ("release", "acquire") if tag.group(1) in ("acq_rel", "seq_cst") else (tag.group(1),):
                    ends[end].add(function)
    return edges


def edges_in_docs(tree):
    """edge -> [functions released by, functions acquired by], from the table's rows."""
    rows = re.findall(r"^\| `([a-z-]+)` \|([^|]*)\|([^|]*)\|", tree.get("docs/memory-ordering.md", ""), re.M)
    return {edge: [set(re.findall(r"`(\w+)`", cell)) for cell in cells] for edge, *cells in rows}


@rule("edges have both ends, and a row that names them", "docs/memory-ordering.md", "| `recycle` |", "| `recycling` |")
def edges(tree):
    source, docs, found = edges_in_source(tree), edges_in_docs(tree), []
    where = "docs/memory-ordering.md:1: "
    for edge, ends in sorted(source.items()):
        first = sorted(ends["at"])[0]
        found += [f"{first}nothing has [{end}:{edge}]" for end in ("release", "acquire") if not ends[end]]
        if edge not in docs:
            found.append(f"{first}the edge {edge} has no row in docs/memory-ordering.md")
            continue
        for end, named in zip(("release", "acquire"), docs[edge]):
            found += [f"{where}{edge}: {end}d in {name}(), which the row leaves out" for name in ends[end] - named]
            found += [f"{where}{edge}: {name}() has no [{end}:{edge}]" for name in named - ends[end]]
    # An edge without a tag is liburcu's; its row says so.
    found += [f"{where}{edge}: no such edge in src" for edge in docs
              if edge not in source and any(docs[edge])]
    for path, text in of_kind(tree, ("include/",), (".h",)).items():
        for order in re.finditer(r"\bOrder:(.*?)(?=\b[A-Z]\w+:|\*/)", text, re.S):
            named = re.findall(r"(?:acquires|releases) ((?:`[a-z-]+`(?:,| and| or)?\s*)+)", order.group(1))
            found += [at(path, text, order.start(), f"the edge {edge} has no row in docs/memory-ordering.md")
                      for edge in re.findall(r"`([a-z-]+)`", " ".join(named)) if edge not in docs]
    return found


@rule("no edge ends in the air", "src/table/slot.c", "/* [acquire:type]", "/* [acquire:kind]")
def edges_end(tree):
    return [finding for finding in edges(tree) if "nothing has" in finding]
