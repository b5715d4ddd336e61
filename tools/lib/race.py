# SPDX-License-Identifier: MIT
"""Runs metaslot-bench and metaslot-replay and collects their samples.

A sample is {"per_second": operations a second over all threads, "counters": {name: value}}. Samples are kept by
(operation, threads) and impl. Repetitions are interleaved: every round runs everything once, so that a slow minute
of the machine falls on all alike.
"""
import collections
import json
import os
import re
import subprocess
import time

# What Google Benchmark writes beside a benchmark's own counters.
STANDARD = {"name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions",
            "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit", "items_per_second",
            "aggregate_name", "aggregate_unit", "label", "error_occurred", "error_message"}

# No benchmark and no replay measures for less than so many seconds.
SHORTEST = 0.002
# Seconds that a replay of all impls takes beside what it is told to measure, until that is known: reading the trace,
# making the tables, and a round to become warm.
REPLAY_BESIDE = 1.0


class Broken(Exception):
    """A program failed: what it was and what it said."""


class TooSlow(Exception):
    """A program did not end in its time."""


def execute(command, timeout=None):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise TooSlow from late
    if done.returncode:
        raise Broken(f"{' '.join(command)}\n{done.stdout[-4000:]}\nexit code {done.returncode}")
    return done.stdout


def split_name(name):
    """frame/get_drop/hot/slot-mcs/.../threads:2 -> ("frame/get_drop/hot", "slot-mcs", 2)"""
    parts = [part for part in name.split("/") if part not in ("real_time", "process_time", "manual_time")]
    threads = next((int(part[8:]) for part in parts if part.startswith("threads:")), 1)
    parts = [part for part in parts if not re.match(r"(threads|repeats|iterations|min_time|min_warmup_time):", part)]
    return "/".join([*parts[:3], *parts[4:]]), parts[3] if len(parts) > 3 else "", threads


class Samples(dict):
    """{(operation, threads): {impl: [sample, ...]}}"""

    def add(self, operation, threads, impl, per_second, counters):
        if per_second > 0:
            sample = {"per_second": per_second, "counters": counters}
            self.setdefault((operation, threads), {}).setdefault(impl, []).append(sample)


def nr_cpus():
    """Processors that this process, and so what it starts, may use."""
    return len(os.sched_getaffinity(0))


def list_benchmarks(binary):
    return [line.strip() for line in execute([binary, "--benchmark_list_tests"]).splitlines() if "/" in line]


def run_group(binary, names, min_time, timeout, raw, samples):
    pattern = "^(" + "|".join(re.escape(name).replace("\\-", "-").replace("\\:", ":") for name in names) + ")$"
    execute([binary, f"--benchmark_filter={pattern}", f"--benchmark_min_time={min_time:.4f}",
             f"--benchmark_out={raw}", "--benchmark_out_format=json"], timeout)
    with open(raw) as file:
        for result in json.load(file)["benchmarks"]:
            if result.get("run_type") == "aggregate" or result.get("error_occurred"):
                continue
            operation, impl, threads = split_name(result["name"])
            counters = {key: value for key, value in result.items()
                        if key not in STANDARD and isinstance(value, (int, float))}
            samples.add(operation, threads, impl, result.get("items_per_second", 0.0), counters)


def group_of(name):
    """What runs in one process: an operation with all its impls, so that they meet the same machine.

    With more threads than processors a queue lock may need milliseconds an operation; those run alone, and are given up
    where they do not end.
    """
    if split_name(name)[2] > nr_cpus():
        return name
    return "limit" if name.startswith("limit/") else "/".join(name.split("/")[:3])


def benchmarks(binary, names, plan, raw_folder, progress):
    """Rounds over all names until the time is used, at least and at most as many as the plan says.

    Where they would not all fit, the next ones are shorter; where even those do not, there are fewer. Gives the samples,
    and the names of those that were given up.
    """
    samples, groups, given_up = Samples(), collections.OrderedDict(), []
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    # Finding its iteration count costs a benchmark about as much again as measuring.
    min_time = min(max(plan["race"] / (len(names) * plan["most"]) / 2.5, SHORTEST), 0.3)
    start = time.monotonic()
    for i in range(plan["most"]):
        began = time.monotonic()
        for nr, (group, members) in enumerate(groups.items()):
            if group in given_up:
                continue
            progress.at(plan["race"] * (i + nr / len(groups)) / plan["most"], f"{i + 1}/{plan['most']} {group}")
            raw = os.path.join(raw_folder, f"{group.replace('/', '-').replace(':', '-')}-{i + 1}.json")
            try:
                run_group(binary, members, min_time, plan["patience"] if group == members[0] else None, raw, samples)
            except TooSlow:
                given_up.append(group)
        took, left = time.monotonic() - began, plan["race"] - (time.monotonic() - start)
        rounds_left = plan["most"] - i - 1
        # A share of a round does not depend on how long it measures.
        if i + 1 >= plan["least"] and left < took / 2:
            break
        if rounds_left and plan["shortens"]:
            min_time = max(min_time * min(left / (rounds_left * took), 1), SHORTEST)
    return samples, given_up


def replay_impls(binary, mode):
    """The impls that --help lists, one a line."""
    before = r"--impl\b.*" if mode == "address" else rf" --mode {mode} one of"
    listed = re.search(before + r"\n((?: +[a-z][\w-]*\n)+)", execute([binary, "--help"]))
    return listed.group(1).split() if listed else []


MODES = ("address", "alloc")


def trace_name(trace):
    return os.path.basename(trace).split(".")[0]


def replay_operation(trace, mode):
    return ("replay/" if mode == "address" else f"replay_{mode}/") + trace_name(trace)


def replay_in_turns(command, impls, raw):
    """The first impl and the others, whose rounds take turns: what the JSON says of each.

    Where memory does not hold the tables of all at once, half of the others at a time.
    """
    ours, *others = impls
    try:
        execute([*command, "--impl", ours, "--against", ",".join(others), "--json", f"{raw}.json"])
    except Broken as broken:
        if "nothing was run" not in str(broken) or len(others) < 2:
            raise
        half = len(others) // 2
        return [result for nr, part in enumerate((others[:half], others[half:]))
                for result in replay_in_turns(command, [ours, *part], f"{raw}-{nr + 1}")]
    with open(f"{raw}.json") as file:
        result = json.load(file)
    return [result, *result["against"]]


def add_rounds(samples, operation, threads, result):
    """Each round is a sample."""
    latency = {key: value for key, value in result["latency_ns"].items() if isinstance(value, (int, float))}
    for seconds in result["round_seconds"]:
        samples.add(operation, threads, result["impl"], result["events"] / seconds if seconds else 0, latency)


def replays(binary, wanted, plan, raw_folder, progress):
    """Each (trace, mode) as often and as long as the plan says; shorter, then fewer times, where that takes too long."""
    samples, (repetitions, longest) = Samples(), plan["replays"]
    impls = {mode: replay_impls(binary, mode) for mode in MODES}
    runs = [(trace, mode, count) for trace, mode in wanted for count in plan["threads"]
            if count > 1 and (mode == "address" or count <= nr_cpus())]
    # On how many impls the replay is measured in the mean.
    width = sum(len(impls[mode]) for _, mode, _ in runs) / max(len(runs), 1)
    start, seconds, measured, beside = time.monotonic(), longest, 0.0, REPLAY_BESIDE
    for done, (i, run) in enumerate((i, run) for i in range(repetitions) for run in runs):
        (trace, mode, count), spent = run, time.monotonic() - start
        if done:
            beside = (spent - measured) / done
        if plan["shortens"]:
            left = plan["replay"] - spent
            if done and done % len(runs) == 0 and left < len(runs) * (beside + width * SHORTEST):
                break
            seconds = min(max((left / (repetitions * len(runs) - done) - beside) / width, SHORTEST), longest)
        measured += seconds * len(impls[mode])
        operation, name = replay_operation(trace, mode), trace_name(trace)
        progress.at(plan["race"] + plan["replay"] * done / (repetitions * len(runs)), f"{i + 1}/{repetitions} {operation}")
        # Reclaim is each mode's own: immediate by address; the library defers where it chooses the frames.
        command = [binary, "--threads", str(count), "--mode", mode, "--seconds", f"{seconds:.4f}", trace]
        raw = os.path.join(raw_folder, f"replay-{mode}-{name}-{count}-{i + 1}")
        for result in replay_in_turns(command, impls[mode], raw):
            add_rounds(samples, operation, count, result)
    return samples
