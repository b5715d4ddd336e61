# SPDX-License-Identifier: MIT
"""The main job: builds release, runs the race and the replays, prints the table, writes the reports."""
import argparse
import datetime
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import race    # noqa: E402
import table   # noqa: E402
from progress import Progress  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "release")
REPORT = os.path.join(ROOT, "build", "report")
BENCH = os.path.join(BUILD, "bench", "metaslot-bench")
REPLAY = os.path.join(BUILD, "bench", "metaslot-replay")
FILL = os.path.join(BUILD, "bench", "metaslot-fill")
README = os.path.join(ROOT, "README.md")
SCHEMA = "metaslot-report/1"
# Of the README, what is the table's.
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
SECTION = f"{BEGIN}.*?{END}"

# Seconds for the race and for the replays, or for all from the start of the build on: then rounds and replays shorten to
# fit; the fewest and most repetitions of the race; threads; how often each replay is run, and for how many seconds on each
# impl, once it is warm; seconds before a benchmark with more threads than processors is given up; the region that is filled, and
# the samples of each measure; what to leave out.
FULL = {"race": 300, "replay": 180, "shortens": False, "least": 5, "most": 9, "threads": (1, 2, 4, 8),
        "replays": (5, 0.5), "patience": 4, "fill": ("16G", "100000"), "without": None}
QUICK = {"all": 40, "shortens": True, "least": 1, "most": 3, "threads": (1, 2),
         "replays": (1, 0.4), "patience": 1.5, "fill": ("1G", "2000"),
         "without": "(raw|map)/hot|peek/own|segment/|alloc/.*(bulk|free)"}
# Of what is left of "all" after the build: for the fill levels and the reports, and not less for the rest; the race's
# share of that.
FILL_SECONDS, LEAST_SECONDS, RACE_SHARE = 1, 12, 0.45


def refuse(why):
    print(f"tools/bench: {why}", file=sys.stderr)
    sys.exit(2)


def check_output(option, path):
    """Refuses a path that cannot be written before anything is run for it; a file that is there stays as it is."""
    is_new = not os.path.lexists(path)
    try:
        # No pipe is opened: that would wait for its reader.
        if is_new or os.path.isfile(path) or os.path.isdir(path):
            open(path, "a").close()
        if is_new:
            os.remove(path)
    except OSError as error:
        refuse(f"{option} {path}: cannot be written: {error.strerror}")


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer threads and repetitions: about 40 s, build included")
    parser.add_argument("--filter", metavar="RE", default="", help="only operations of the table that match, e.g. get_drop/hot, ^replay_alloc/, redis-bgsave$")
    parser.add_argument("--json", metavar="FILE", help="also write the report there")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--from", dest="source", metavar="FILE", help="do not run: show the report in FILE")
    options = parser.parse_args()
    try:
        re.compile(options.filter)
    except re.error as error:
        refuse(f"--filter {options.filter}: {error}")
    if options.source and not os.path.isfile(options.source):
        refuse(f"--from {options.source}: no such file")
    if options.json is not None:
        check_output("--json", options.json)
    if options.readme:
        check_output("--readme", README)
        if not re.search(SECTION, open(README).read(), re.S):
            refuse(f"--readme: README.md has no {BEGIN} and {END}")
    if not options.source:
        try:
            os.makedirs(REPORT, exist_ok=True)
        except OSError as error:
            refuse(f"{REPORT}: cannot be made: {error.strerror}")
        for name in ("bench.json", "index.html"):
            check_output("the report", os.path.join(REPORT, name))
    return options


def build():
    """Only these programs, so that a first run is soon on its way."""
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        race.execute(["meson", "setup", BUILD, ROOT, "--buildtype=release"])
    race.execute(["ninja", "-C", BUILD, "bench/metaslot-bench", "bench/metaslot-replay", "bench/metaslot-fill"])


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return "?"


def machine():
    cpuinfo = open("/proc/cpuinfo").read()
    model = re.search(r"^(?:model name|Model)\s*: (.*)$", cpuinfo, re.M)
    return {"cpu": model.group(1) if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "compiler": first_line(["gcc", "--version"]),
            "commit": first_line(["git", "describe", "--always", "--dirty"]),
            "load_before": os.getloadavg()[0]}


def is_planned(name, plan):
    operation, _, count = race.split_name(name)
    # One row shows what happens with more threads than processors.
    if count not in plan["threads"] and not (count == 8 and "latency" in operation):
        return False
    return not (plan["without"] and re.search(plan["without"], operation))


def choose(wanted, plan):
    """What the filter leaves of the plan: names of benchmarks, (trace, mode) of replays, whether to fill regions."""
    listed = race.list_benchmarks(BENCH)
    matching = [name for name in listed if re.search(wanted, race.split_name(name)[0]) or re.search(wanted, name)]
    rows = [name for name in matching if not name.startswith("limit/")]
    names = [name for name in rows if is_planned(name, plan)]
    replays = [(trace, mode) for trace in sorted(glob.glob(os.path.join(ROOT, "bench", "traces", "*.trace.gz")))
               for mode in race.MODES if re.search(wanted, race.replay_operation(trace, mode))]
    fills = bool(re.search(wanted, "fill"))
    if not names and not replays and not fills:
        refuse(f"--filter {wanted}: " + ("not in --quick" if rows else
                                         "matches only limits, which have no rows: there is nothing to print" if matching
                                         else "no operation matches"))
    if names:
        # Every row is measured against them.
        names += [name for name in listed if name.startswith("limit/") and is_planned(name, plan)]
    return names, replays, fills


def share_out(plan, spent):
    """The plan with seconds for the race and for the replays, when so many are spent."""
    if "all" not in plan:
        return plan
    left = max(plan["all"] - spent - FILL_SECONDS, LEAST_SECONDS)
    return {**plan, "race": left * RACE_SHARE, "replay": left * (1 - RACE_SHARE)}


def measure(options, plan, start):
    """Gives the samples, the names of benchmarks that were given up, what the fill levels cost, and the raw files."""
    names, replays, fills = choose(options.filter, plan)
    raw = os.path.join(REPORT, "raw")
    shutil.rmtree(raw, ignore_errors=True)
    os.makedirs(raw)
    spent = time.monotonic() - start
    plan = share_out(plan, spent)
    if not names:
        plan = {**plan, "race": 0}
    progress = Progress(plan["race"] + (plan["replay"] if replays else 0))
    progress.line(f"race: {len(names)} benchmarks, {len(replays)} replays; about {progress.total:.0f} s, after "
                  f"{spent:.0f} s of building")
    samples, given_up = race.benchmarks(BENCH, names, plan, raw, progress) if names else (race.Samples(), [])
    if replays:
        # What the race left, or took too much.
        if plan["shortens"]:
            plan["replay"] = max(progress.total - (time.monotonic() - progress.start), LEAST_SECONDS / 2)
        samples.update(race.replays(REPLAY, replays, plan, raw, progress))
    fill = {}
    if fills:
        progress.at(progress.total, "fill")
        path = os.path.join(raw, "fill.json")
        race.execute([FILL, "--size", plan["fill"][0], "--samples", plan["fill"][1], "--json", path])
        with open(path) as file:
            fill = json.load(file)
    progress.clear()
    return samples, given_up, fill, sorted(os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(raw, "*.json")))


# What rows have beside their time: the counter, what it is called, why one looks at it.
COUNTERS = [("p999", "p99.9, ns", "Latency with more threads than processors too"),
            ("p99", "p99, ns", "Latency of one operation, clock included"),
            ("age_p50", "median age, ns", "From the last drop of a frame to its next use: the grace period and all that waits"),
            ("create_ns", "ns", "Making a region, without its end"),
            ("create_kib", "KiB", "Resident memory of a region that was just made")]


def further(report):
    """A table for each counter that some row has, and one of the fill levels: (heading, header cells, rows of cells)."""
    rows = report["rows"]
    for counter, head, heading in COUNTERS:
        found = [row for row in rows if any(counter in impl["counters"] for impl in row["impls"].values())]
        names = [table.OURS, *table.impls_of(found)]
        body = [[row["operation"], str(row["threads"]),
                 *(table.ns(row["impls"][name]["counters"][counter])
                   if counter in row["impls"].get(name, {}).get("counters", {}) else "-" for name in names)]
                for row in found]
        if body:
            yield heading, [head, "threads", *names], body
    if report.get("fill"):
        yield "Allocation in a region that is nearly full, clock included", *fill_levels(report["fill"])


def fill_levels(fill):
    """What one allocation costs at each level, as header cells and rows of cells."""
    measures = [("-", "clock", fill["clock"])] + [
        (f"{level['free_percent']:g} %", what, measure) for level in fill["levels"] for what, measure in level.items()
        if isinstance(measure, dict)]
    return ["free", f"ns, of {fill['frames']} frames", "p50", "p99", "p99.9"], [
        [free, what, *(table.ns(measure[key]) for key in ("p50", "p99", "p999"))] for free, what, measure in measures]


def notes(report):
    at = report["machine"]
    return [f"{at['cpu']}, {at['cpus']} processors, Linux {at['kernel']}, {at['compiler']}, commit {at['commit']}, "
            f"{report['date']}: `{report['command']}`",
            "Times are wall-clock nanoseconds from one finished operation to the next, all threads together: medians "
            f"of up to {report['repetitions']} interleaved repetitions, ± the interquartile range. 'Times faster' compares "
            "with the best baseline of the row, 'times the limit' with the bare instructions that the hardware needs."] + [
            f"Given up after {report['patience']} s: {', '.join(report['given_up'])}"] * bool(report["given_up"])


def plain(head, body):
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    return "\n".join("  ".join(value.ljust(width) if i == 0 else value.rjust(width)
                               for i, (value, width) in enumerate(zip(line, widths))) for line in [head, *body])


def show(report):
    rows = report["rows"]
    print("\n".join(notes(report)) + "\n")
    print(table.as_text(rows))
    for _, head, body in further(report):
        print("\n" + plain(head, body))


def write_json(report, path):
    with open(path, "w") as file:
        json.dump(report, file, indent=1)


def write_html(report):
    with open(os.path.join(REPORT, "index.html"), "w") as file:
        file.write(table.as_html("metaslot: the race", notes(report), report["rows"], list(further(report))))


def write_readme(report):
    text = open(README).read()
    section = f"{BEGIN}\n{notes(report)[0]}\n\n{table.as_markdown(report['rows'])}\n{END}"
    with open(README, "w") as file:
        file.write(re.sub(SECTION, lambda _: section, text, flags=re.S))


def read_report(path):
    try:
        with open(path) as file:
            report = json.load(file)
        if report["schema"] == SCHEMA:
            return report
    except (OSError, ValueError, TypeError, KeyError):
        pass
    refuse(f"--from {path}: no report of tools/bench")


def main():
    options = arguments()
    if options.source:
        report = read_report(options.source)
    else:
        start = time.monotonic()
        print("building", file=sys.stderr, flush=True)
        build()
        about = machine()
        plan = QUICK if options.quick else FULL
        samples, given_up, fill, raw = measure(options, plan, start)
        rows = table.make_rows(samples)
        report = {"schema": SCHEMA, "machine": about, "date": f"{datetime.date.today()}",
                  "command": " ".join(["tools/bench", *sys.argv[1:]]), "quick": options.quick,
                  "seconds": time.monotonic() - start, "raw": raw, "rows": rows, "given_up": given_up, "fill": fill,
                  "patience": plan["patience"],
                  "repetitions": max((impl["repetitions"] for row in rows for impl in row["impls"].values()), default=0),
                  "limits": table.limits_of(samples)}
        write_json(report, os.path.join(REPORT, "bench.json"))
        write_html(report)
    if options.json:
        write_json(report, options.json)
    show(report)
    if options.readme:
        write_readme(report)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (race.Broken, OSError) as broken:
        print(f"\ntools/bench: {broken}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
