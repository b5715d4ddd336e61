#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs what is for the desk, beyond CI: GenMC and herd7, where they are on the PATH; says what it skips.

usage: tests/model/desk.py [--build DIR] [--only FILE[,FILE...]]

  herd7   tests/model/herd/*.litmus, one edge each, under RC11, AArch64 or the Linux kernel's model. What a test names
          never happens; and for each order in it, taken away, it does, or is a race.

A line a scenario, as tests/model/run prints it: name, tool, threads, executions, seconds, result.
The kernel's model comes with its source: it is looked for in the folder that the environment names as LKMM.
Exit status: that of what ran: 0 all held, 1 one did not, or did not build.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What herd7 is to miss: an order of C11, of AArch64, of the kernel, by what stands there without it.
ORDERS = [(r"memory_order_(?:acquire|release)", "memory_order_relaxed"),
          (r"\bLDAR\b", "LDR"), (r"\bSTLR\b", "STR"), (r"\b(CAS|LDADD|LDSET|LDCLR|SWP)[AL]\b", r"\1"),
          (r"synchronize_rcu\(\);", ""), (r"smp_store_release\(", "WRITE_ONCE(*")]
# By the end of a test's name, and else C11.
MODELS = {"rc11": ["-model", "rc11.cat"], "aarch64": []}

Result = collections.namedtuple("Result", "name tool threads executions seconds verdict")


class Failed(Exception):
    pass


def skipped(what, why):
    print(f"skipped: {what}, {why}", flush=True)


# ---- herd7 ----

def herd(text, path, model):
    """What herd7 says of a test: Never, Sometimes, or Race; and of how many executions."""
    path.write_text(text)
    done = subprocess.run(["herd7", *model, str(path)], capture_output=True, text=True, check=False)
    observed = re.search(r"^Observation \S+ (\w+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if not observed:
        raise Failed(f"herd7 {path}: {done.stderr.strip() or done.stdout.strip()}")
    is_race = re.search(r"^Undef|^Flag.*(?:race|Dr)", done.stdout, re.MULTILINE)
    return "Race" if is_race else observed.group(1), int(observed.group(2)) + int(observed.group(3))


def weakened(text):
    """The test without one of its orders, for each of them."""
    begin = text.index("{")
    for pattern, instead in ORDERS:
        for match in re.finditer(pattern, text):
            if match.start() > begin:
                yield text[:match.start()] + match.expand(instead) + text[match.end():]


def model_of(path):
    end = path.stem.rpartition("-")[2]
    return end if end in ("aarch64", "lkmm") else "rc11"


def run_herd(args, path):
    text = path.read_text()
    name = model_of(path)
    model = MODELS[name]
    folder = args.build / "herd"
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    verdict, executions = herd(text, folder / path.name, model)
    needless = []
    weaker_ones = list(weakened(text))
    for nr, weaker in enumerate(weaker_ones):
        found, more = herd(weaker, folder / f"{path.stem}-without-{nr}.litmus", model)
        executions += more
        if found == "Never":
            needless.append(str(folder / f"{path.stem}-without-{nr}.litmus"))
    threads = len(set(re.findall(r"\bP(\d+)\b", text)))
    result = Result("herd/" + path.stem, f"herd7 {name}", threads, executions, time.monotonic() - start,
                    f"observed: {verdict.lower()}" if verdict != "Never" else
                    "an order is not needed" if needless else "held" if weaker_ones else "no order is in it")
    return result, "\n".join(needless)


# ---- both ----

def tasks(args):
    """Gives what is to be run, and says what is not."""
    if not shutil.which("genmc"):
        skipped("genmc", "is not on the PATH")
    else:
        skipped("genmc", "no scenarios are written for it")
    if args.only:
        return
    if not shutil.which("herd7"):
        skipped("herd7", "is not on the PATH")
        return
    lkmm = os.environ.get("LKMM")
    if lkmm:
        MODELS["lkmm"] = ["-I", lkmm, "-conf", str(pathlib.Path(lkmm) / "linux-kernel.cfg")]
    else:
        skipped("herd7 lkmm", "the environment names no folder as LKMM")
    for path in sorted((HERE / "herd").glob("*.litmus")):
        if model_of(path) in MODELS:
            yield run_herd, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "model")
    parser.add_argument("--only", default="", type=lambda names: names.split(",") if names else [])
    args = parser.parse_args()
    failed = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for result, said in pool.map(lambda task: task[0](args, task[1]), list(tasks(args))):
                failed += result.verdict != "held"
                print(f"{result.name:35} {result.tool}  {result.threads} threads  {result.executions:9} executions  "
                      f"{result.seconds:6.2f} s  {result.verdict}", flush=True)
                if said:
                    print(said[:4000], flush=True)
    except Failed as why:
        print(why, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
