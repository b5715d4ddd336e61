#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs what is for the desk, beyond CI: GenMC and herd7, where they are on the PATH; says what it skips.

usage: tests/model/desk.py [--build DIR] [--src DIR] [--only FILE[,FILE...]] [--limit SECONDS]

  genmc   scenarios of tests/model/*.c with the shipped sources, in all executions that RC11 allows (genmc/engine.c)
  herd7   tests/model/herd/*.litmus, one edge each, under RC11, AArch64 or the Linux kernel's model. What a test names
          never happens; and for each order in it, taken away, it does, or is a race.

A line a scenario, as tests/model/run prints it: name, tool, threads, executions, seconds, result. Where GenMC has found
nothing when --limit seconds are over, the scenario is skipped.
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
# Who needs before who is needed.
SHIPPED = ["handle/segment.c", "handle/unique.c", "handle/frame.c", "reclaim/read.c", "reclaim/reclaim.c", "table/scarce.c",
           "table/region.c", "table/fault.c", "table/slot.c", "alloc/free_index.c"]
# What GenMC cannot do.
NOT_GENMC = {"retire": "needs the grace-period thread",
             "alloc": "GenMC has no pointers to another thread's own data",
             "hole": "allocates, see alloc.c", "proof": "allocates, see alloc.c"}
C_FLAGS = ["-std=c11", "-O1", "-gline-tables-only", "-D_GNU_SOURCE", "-DNDEBUG", "-fno-builtin", "-fno-vectorize",
           "-fno-slp-vectorize", "-fno-pie", "-D__builtin_prefetch(...)=((void)0)",
           "-Dmemcpy=copy_words", "-Dmemset=clear_words", "-include", "base/check.h", "-w"]
# What GenMC does not know becomes a function of genmc/engine.c; and what is not called goes.
LOWERED = [(r"call void @llvm\.memset\.p0i8\.i64\((.*?), i8 0, (i64 \d+), i1 false\)", r"call void @zero_words(\1, \2)"),
           (r"call i64 @llvm\.usub\.sat\.i64\(", "call i64 @less_by(")]
OPT_FLAGS = ["-passes=internalize,default<O1>", "--internalize-public-api-list=main"]
GENMC_FLAGS = ["--rc11", "-v1", "--disable-ipr", "--disable-estimation", "--disable-warn-on-unfreed-memory",
               "--input-from-bitcode-file"]
SCENARIO = re.compile(r'\{\s*"([^"]+)",\s*\d+,\s*\w+,\s*\w+,\s*\{([\w\s,]+)\}\s*\}')
# What herd7 is to miss: an order of C11, of AArch64, of the kernel, by what stands there without it.
ORDERS = [(r"memory_order_(?:acquire|release)", "memory_order_relaxed"),
          (r"(load\w+\(\w+, )memory_order_seq_cst", r"\1memory_order_acquire"),
          (r"(store\w+\(\w+, \w+, )memory_order_seq_cst", r"\1memory_order_release"),
          (r"(exchange\w+\(\w+, \w+, \w+, )memory_order_seq_cst", r"\1memory_order_acq_rel"),
          (r"(fence)\(memory_order_seq_cst", r"\1(memory_order_release"), (r"smp_mb\(\);", ""),
          (r"\bLDAR\b", "LDR"), (r"\bSTLR\b", "STR"), (r"\b(CAS|LDADD|LDSET|LDCLR|SWP)[AL]\b", r"\1"),
          (r"synchronize_rcu\(\);", ""), (r"smp_store_release\(", "WRITE_ONCE(*"),
          (r"smp_load_acquire\(", "READ_ONCE(*")]
# By the end of a test's name, and else C11.
MODELS = {"rc11": ["-model", "rc11.cat"], "aarch64": []}

Result = collections.namedtuple("Result", "name tool threads executions seconds verdict")


class Failed(Exception):
    pass


def call(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr.strip()}")


def skipped(what, why):
    print(f"skipped: {what}, {why}", flush=True)


# ---- GenMC ----

def llvm_tools():
    """clang, llvm-link and opt of GenMC's LLVM, or None: it reads no other's bitcode."""
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    version = re.search(r"LLVM (\d+)", output("genmc", "--version")).group(1)
    tools = [next((found for found in (f"{name}-{version}", name) if shutil.which(found)), None)
             for name in ("clang", "llvm-link", "opt")]
    if None in tools or any(not re.search(rf"version {version}\.", output(tool, "--version")) for tool in tools):
        skipped("genmc", f"needs clang and llvm {version}")
        return None
    return tools


def bitcode(clang, src, path, out, *flags):
    call(clang, *C_FLAGS, *flags, "-I", HERE / "standin", "-I", HERE, "-I", ROOT / "include", "-I", src,
         "-emit-llvm", "-c", path, "-o", out)
    return out


def scenarios_of(path):
    text = path.read_text()
    found = SCENARIO.findall(text)
    if len(found) != len(re.findall(rf'\{{\s*"{path.stem.replace("_", "-")}/', text)):
        raise Failed(f"{path}: not every scenario is found")
    return [(name, len([fn for fn in threads.split(",") if fn.strip() not in ("", "model_daemon")]))
            for name, threads in found]


def genmc_programs(args):
    """Builds a program for each scenario; gives (name, threads, program)."""
    tools = llvm_tools()
    if not tools:
        return []
    clang, link, opt = tools
    build = args.build / "genmc"
    build.mkdir(parents=True, exist_ok=True)
    objects = [bitcode(clang, args.src, args.src / name, build / (name.replace("/", "_")[:-2] + ".bc")) for name in SHIPPED]
    programs = []
    for path in sorted(HERE.glob("*.c")):
        if path.stem == "frames" or args.only and path.stem not in args.only:
            continue
        if path.stem in NOT_GENMC:
            skipped(f"{path.stem}.c under genmc", NOT_GENMC[path.stem])
            continue
        scenario = bitcode(clang, args.src, path, build / f"test_{path.stem}.bc")
        for index, (name, threads) in enumerate(scenarios_of(path)):
            engine = bitcode(clang, args.src, HERE / "genmc" / "engine.c", build / f"engine_{index}.bc",
                             f"-DMODEL_INDEX={index}")
            linked, out = build / "linked.ll", build / (name.replace("/", "_") + ".bc")
            call(link, "-S", "--only-needed", "-o", linked, engine, scenario, *objects)
            text = linked.read_text()
            for pattern, instead in LOWERED:
                text = re.sub(pattern, instead, text)
            linked.write_text(text)
            call(opt, *OPT_FLAGS, "-o", out, linked)
            programs.append((name, threads, out))
    return programs


def run_genmc(args, program):
    name, threads, path = program
    start = time.monotonic()
    try:
        done = subprocess.run(["genmc", *GENMC_FLAGS, str(path)], capture_output=True, text=True,
                              timeout=args.limit, check=False)
    except subprocess.TimeoutExpired:
        skipped(f"{name} under genmc", f"not finished after {args.limit} s, nothing found until then")
        return None, ""
    seconds = time.monotonic() - start
    output = done.stdout + done.stderr
    executions = re.search(r"complete executions explored: (\d+)", output)
    if done.returncode == 0 and executions and "No errors were detected" in output:
        return Result(name, "genmc rc11", threads, int(executions.group(1)), seconds, "held"), ""
    why = re.search(r"^Error: (.*?)!?$", output, re.MULTILINE)
    return Result(name, "genmc rc11", threads, int(executions.group(1)) if executions else 0, seconds,
                  why.group(1).lower() if why else f"genmc failed with status {done.returncode}"), output


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
        for program in genmc_programs(args):
            yield run_genmc, program
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
    parser.add_argument("--src", type=pathlib.Path, default=ROOT / "src")
    parser.add_argument("--only", default="", type=lambda names: names.split(",") if names else [])
    parser.add_argument("--limit", type=int, default=60)
    args = parser.parse_args()
    failed = 0
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for result, said in pool.map(lambda task: task[0](args, task[1]), list(tasks(args))):
                if not result:
                    continue
                failed += result.verdict != "held"
                print(f"{result.name:35} {result.tool}  {result.threads} threads  {result.executions:9} executions  "
                      f"{result.seconds:6.2f} s  {result.verdict}", flush=True)
                if said:
                    print(said[-4000:], flush=True)
    except Failed as why:
        print(why, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
