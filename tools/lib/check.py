# SPDX-License-Identifier: MIT
"""The checks behind tools/check: builds, runs meson's tests in each, and counts.

Every build has a directory of its own under build/check/. A check is one line of output, with its log below it if it
failed. To add one, write a function and name it in MODES.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build", "check")
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import rules  # noqa: E402

GCC = {"CC": "gcc", "CXX": "g++"}
CLANG = {"CC": "clang", "CXX": "clang++"}
# Sanitized shared libraries leave the runtime's symbols to the program.
TSAN = ["-Db_sanitize=thread", "--buildtype=debugoptimized"]
ASAN = ["-Db_sanitize=address,undefined", "--buildtype=debugoptimized"]

passed = failed = 0


def report(name, ok, seconds=None, log=""):
    """Counts one check and prints its line."""
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    took = f"  {seconds:.1f} s" if seconds is not None and seconds >= 0.1 else ""
    print(f"{'ok  ' if ok else 'FAIL'}  {name}{took}", flush=True)
    if not ok and log:
        # Of a build, what failed; not the steps that went well.
        lines = [line for line in log.rstrip().splitlines() if not re.match(r"\[\d+/\d+\] ", line)]
        print("\n".join("      | " + line for line in lines[-80:]), flush=True)
    return ok


def run(name, command, **options):
    """One command is one check: it passes if it exits with 0."""
    start = time.monotonic()
    ok, log = execute(command, **options)
    return report(name, ok, time.monotonic() - start, log)


def execute(command, cwd=ROOT, env=None, timeout=600):
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True,
                              errors="replace")
        return done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        return False, output.decode(errors="replace") + f"\nno end within {timeout} s"
    except OSError as error:
        return False, str(error)


def build(name, compiler, options, whole=True):
    """Configures build/check/<name>, and builds it if it is wanted whole; gives the directory, or None."""
    path = os.path.join(BUILD, name)
    stamp, wanted = os.path.join(path, "check.options"), json.dumps([compiler, options])
    if not (os.path.exists(stamp) and open(stamp).read() == wanted):
        shutil.rmtree(path, ignore_errors=True)
        if not run(f"{name}: configure", ["meson", "setup", path, ROOT, "-Dwerror=true", *options], env=compiler):
            return None
        with open(stamp, "w") as file:
            file.write(wanted)
    return path if not whole or run(f"{name}: build", ["ninja", "-C", path, "-j", str(os.cpu_count() or 2)]) else None


def meson_tests(path, *selection, env=None):
    """Every test of meson's is one check, and what it needs is built. Having none is a failure: nothing would have been
    checked."""
    name = os.path.basename(path)
    log = os.path.join(path, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.remove(log)
    _, output = execute(["meson", "test", "-C", path, *selection], timeout=1200, env=env)
    tests = [json.loads(line) for line in open(log)] if os.path.exists(log) else []
    for test in tests:
        label = f"{name}: {test['name']}"
        if test["result"] == "SKIP":
            print(f"skip  {label}", flush=True)
            continue
        report(label, test["result"] in ("OK", "EXPECTEDFAIL"), test.get("duration"),
               f"{test['result']}: {' '.join(test.get('command', []))}\n"
               f"{test.get('stdout', '')}\n{test.get('stderr', '')}")
    if not tests:
        report(f"{name}: meson test {' '.join(selection)}", False, log="no tests ran\n" + output)


UNIT = ["--no-suite", "stress", "--no-suite", "model"]
# Without the replays of whole traces, which neither the compiler nor checks of arguments bear on.
LIGHT = [*UNIT, "--no-suite", "replay"]
# The replays that the library takes part in; the others are of what it is compared with.
REPLAY = ["--suite", "replay", "replay immediate", "replay deferred", "replay alloc mslot 1", "replay alloc mslot 4"]
STRESS = ["--suite", "stress"]
# Where another build has run all of it: each mix that the builds differ in, and faults that meet grace periods.
SOME_STRESS = [*STRESS, *("stress " + name for name in (
    "claim 2", "refcount 8", "raw 8", "unique 8", "peek 8", "alloc 8", "everything 8", "fault exit", "fault stall",
    "fault last-frame"))]


def tested(name, compiler, options, *selections, whole=False, env=None):
    """Unless it is wanted whole, only what its tests need is built."""
    path = build(name, compiler, options, whole)
    for selection in selections if path else ():
        meson_tests(path, *selection, env=env)
    return path


# ---- the modes ----

def house_rules():
    for name, findings in rules.check(ROOT):
        report(f"rules: {name}", not findings, log="\n".join(findings))
    for name, fault in rules.self_test(ROOT):
        report(f"rules: '{name}' can fail", not fault, log=fault)
    report("check: every mode that is named is run", steps_of(["tsan", "asan", "tsan"]) == [tsan, asan])
    wrong = subprocess.run([os.path.join(ROOT, "tools", "check"), "quick", "nosuch"], capture_output=True, text=True)
    report("check: a mode that is not there is refused", wrong.returncode == 2 and "nosuch" in wrong.stderr,
           log=f"exit status {wrong.returncode}: {wrong.stderr}")
    run("rules: each mutant applies, and has its row", [os.path.join(ROOT, "tests", "mutants", "run"), "--check"])


def release():
    tested("release", GCC, ["--buildtype=release"], UNIT, whole=True)


def debug():
    # What is installed does not depend on the compiler.
    tested("debug", CLANG, ["--buildtype=debug"], [*LIGHT, "--no-suite", "install"], whole=True)


def stress():
    tested("release", GCC, ["--buildtype=release"], STRESS)


def tsan():
    # Else each program waits a second at its end, for races of threads that still run; none does but the library's own.
    env = {"TSAN_OPTIONS": "atexit_sleep_ms=50"}
    tested("tsan-gcc", GCC, TSAN, UNIT, STRESS, env=env)
    tested("tsan-clang", CLANG, TSAN, LIGHT, SOME_STRESS, env=env)


def asan():
    tested("asan", GCC, ASAN, UNIT, STRESS)


def model():
    """Each scenario under each tool is one check, with its threads, executions and seconds; so is the run as a whole,
    which also fails if one does not build. What is skipped is said."""
    start = time.monotonic()
    ok, output = execute([os.path.join(ROOT, "tests", "model", "run")], timeout=900)
    for line in output.splitlines():
        if line.startswith("skipped: "):
            print(f"skip  model: {line[9:]}", flush=True)
        elif scenario := re.match(r"(\S+/\S+)  .* executions .* s  (\S.*)$", line):
            report(f"model: {line[:scenario.start(2)].rstrip()}", scenario.group(2) == "held", log=scenario.group(2))
    report("model: all ran", ok, time.monotonic() - start, output)


def fuzz():
    """Both targets side by side; a finding becomes a file of the corpus, which the unit tests replay."""
    run("fuzz: 30 s of walks, 30 s of traces", [os.path.join(ROOT, "tests", "fuzz", "run"), "30"])


def flavors():
    for flavor in ("qsbr", "mb", "bp"):
        tested(flavor, GCC, ["--buildtype=release", f"-Dflavor={flavor}"],
               *([LIGHT, REPLAY, STRESS] if flavor == "qsbr" else [LIGHT, SOME_STRESS]))


def hardened():
    tested("hardened", GCC, ["--buildtype=debugoptimized", "-Dhardened=true"], LIGHT)


def bench():
    """The table comes out and has the rows that matter; its numbers are not judged on a shared machine."""
    out = os.path.join(BUILD, "bench.json")
    if not run("bench: tools/bench --quick", [os.path.join(ROOT, "tools", "bench"), "--quick", "--json", out]):
        return
    rows = {row["operation"] for row in json.load(open(out))["rows"] if row["impls"].get("mslot")}
    for operation in ("frame/claim_drop/own", "frame/get_drop/hot", "frame/raw/own", "frame/map/own", "frame/peek/hot"):
        report(f"bench: has a row {operation}", operation in rows, log=str(sorted(rows)))
    # By the names that the table prints.
    wanted = ["frame/raw/own", "replay_alloc/redis-bgsave"]
    if run("bench: tools/bench --filter", [os.path.join(ROOT, "tools", "bench"), "--quick", "--json", out, "--filter",
                                           f"^({'|'.join(wanted)})$"]):
        rows = sorted({row["operation"] for row in json.load(open(out))["rows"]})
        report("bench: a filter leaves what matches it", rows == wanted, log=str(rows))
    for what, option, value in (("a filter that nothing matches", "--filter", "nosuch"),
                                ("a filter of limits alone", "--filter", "limit/xadd"),
                                ("a filter of what only the full run has", "--filter", "segment/clone512"),
                                ("a file that cannot be written", "--json", "/nonexistent/file")):
        wrong = subprocess.run([os.path.join(ROOT, "tools", "bench"), "--quick", option, value],
                               capture_output=True, text=True)
        report(f"bench: {what} is refused", wrong.returncode == 2 and value in wrong.stderr,
               log=f"exit status {wrong.returncode}: {wrong.stderr}")


MODES = {
    "quick": [house_rules, release, debug],
    "tsan": [tsan],
    "asan": [asan],
    "model": [model],
    "full": [house_rules, release, debug, stress, model, fuzz, tsan, asan, flavors, hardened, bench],
}


def steps_of(modes):
    """What several have in common is run once."""
    return list(dict.fromkeys(step for mode in modes for step in MODES[mode]))


def main(modes):
    start = time.monotonic()
    os.makedirs(BUILD, exist_ok=True)
    for step in steps_of(modes):
        begin = time.monotonic()
        step()
        print(f"time  {step.__name__}: {time.monotonic() - begin:.0f} s", flush=True)
    print(f"{' '.join(modes)}: {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
