# SPDX-License-Identifier: MIT
"""From measurements to the table: medians, spread, times faster, times the limit; as text, Markdown and HTML."""
import html
import statistics

OURS = "mslot"
# What the hardware itself needs for an operation: how many of which bare instruction, on the same kind of line.
LIMITS = {"claim_drop": (2, "cas"), "claim_drop_rcu": (2, "cas"), "get_drop": (2, "xadd"), "raw": (2, "xadd"),
          "map": (2, "xadd"), "peek": (1, "load"), "pair": (2, "cas"), "bulk_alloc": (1, "cas"), "bulk_free": (1, "cas"),
          "random_free": (1, "cas"), "remote_free": (1, "cas"), "remote_random_free": (1, "cas")}


def measured(samples):
    """Median and spread (interquartile range over median) of repeated samples {per_second, counters}.

    ns is the wall-clock time from one finished operation to the next, all threads together.
    """
    per_second = [sample["per_second"] for sample in samples]
    median = statistics.median(per_second)
    spread = 0.0
    if len(per_second) > 1:
        low, _, high = statistics.quantiles(per_second, n=4, method="inclusive")
        spread = (high - low) / median
    return {"per_second": median, "ns": 1e9 / median, "spread": spread, "repetitions": len(per_second),
            "counters": {name: statistics.median(sample["counters"].get(name, 0.0) for sample in samples)
                         for name in samples[0]["counters"]}}


def limits_of(samples):
    """The bare instructions: one dictionary per limit and number of threads."""
    return [{"operation": operation, "threads": threads, **measured(impls["bare"])}
            for (operation, threads), impls in samples.items() if operation.startswith("limit/") and impls.get("bare")]


def make_rows(samples):
    """samples: {(operation, threads): {impl: [sample, ...]}}, the limits among them as operation limit/..."""
    limits = {(limit["operation"], limit["threads"]): limit for limit in limits_of(samples)}
    rows = []
    for (operation, threads), rates in samples.items():
        if operation.startswith("limit/"):
            continue
        impls = {impl: measured(values) for impl, values in rates.items() if values}
        baselines = {impl: value for impl, value in impls.items() if not impl.startswith(OURS)}
        row = {"operation": operation, "threads": threads, "impls": impls, "best_baseline": None,
               "times_faster": None, "limit": None, "times_limit": None}
        ours = impls.get(OURS)
        if baselines:
            row["best_baseline"] = min(baselines, key=lambda impl: baselines[impl]["ns"])
            if ours:
                row["times_faster"] = baselines[row["best_baseline"]]["ns"] / ours["ns"]
        parts = operation.split("/")
        count, instruction = LIMITS.get(parts[1], (0, "")) if parts[0] in ("frame", "alloc") else (0, "")
        # Reading costs the same whether others read the line or not.
        kind = "own" if instruction == "load" else parts[-1]
        bare = limits.get((f"limit/{instruction}/{kind}", threads))
        if bare:
            row["limit"] = {"what": f"{count} {instruction} {kind}", "ns": count * bare["ns"],
                            "spread": bare["spread"]}
            if ours:
                row["times_limit"] = ours["ns"] / row["limit"]["ns"]
        rows.append(row)
    return sorted(rows, key=lambda row: (row["operation"], row["threads"]))


def impls_of(rows):
    """The baselines of all rows, in a fixed order."""
    names = {impl for row in rows for impl in row["impls"] if impl != OURS}
    return sorted(names, key=lambda name: (name.split("-")[0], name))


def ns(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def cell(measurement):
    return ns(measurement["ns"]) if measurement else "-"


def with_spread(measurement):
    if not measurement:
        return "-"
    return cell(measurement) + (f" ±{measurement['spread']:.0%}" if measurement["repetitions"] > 1 else "")


def times(value):
    return f"{value:.2f}x" if value is not None else "-"


def cells(row, others):
    ours = row["impls"].get(OURS)
    return [row["operation"], str(row["threads"]), with_spread(ours),
            *(cell(row["impls"].get(impl)) for impl in others), times(row["times_faster"]), times(row["times_limit"])]


HEAD = ["operation", "threads", "lock-free"], ["times faster", "times the limit"]


def as_text(rows):
    others = impls_of(rows)
    # Names are split at the hyphen over two lines, so that the table fits more screens.
    head = [*HEAD[0], *others, *HEAD[1]]
    first = [name.replace(" ", "-").rpartition("-")[0] for name in head]
    second = [name.replace(" ", "-").rpartition("-")[2] for name in head]
    first[2], second[2] = "lock-free", "ns"
    lines = [first, second, *(cells(row, others) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    text = ["  ".join(value.ljust(width) if i == 0 else value.rjust(width)
                      for i, (value, width) in enumerate(zip(line, widths))) for line in lines]
    return "\n".join([*text[:2], rule, *text[2:]])


def as_markdown(rows):
    """Only the best baseline, so that it fits a page."""
    lines = ["| operation | threads | metaslot, ns | best baseline, ns | times faster | times the limit |",
             "|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        ours, best = row["impls"].get(OURS), row["best_baseline"]
        columns = [f"`{row['operation']}`", str(row["threads"]),
                   with_spread(ours),
                   f"{cell(row['impls'][best])} ({best})" if best else "",
                   f"{row['times_faster']:.1f}" if row["times_faster"] else "",
                   f"{row['times_limit']:.2f} of {row['limit']['what']}" if row["times_limit"] else ""]
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def as_html(title, notes, rows, further):
    """One page without any outside file. further: [(heading, header cells, rows of cells)]."""
    others = impls_of(rows)

    def table(head, body):
        head = "".join(f"<th>{html.escape(value)}</th>" for value in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(value)}</td>" for value in line) + "</tr>\n"
                       for line in body)
        return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"

    parts = [table([*HEAD[0], *others, *HEAD[1]], [cells(row, others) for row in rows])]
    parts += [f"<h2>{html.escape(heading)}</h2>\n{table(head, body)}" for heading, head, body in further]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; font-family: monospace; }}
td:nth-child(3) {{ font-weight: 600; }}
</style></head><body>
<h1>{html.escape(title)}</h1>
{"".join(f"<p>{html.escape(note)}</p>" for note in notes)}
{"".join(parts)}</body></html>
"""
