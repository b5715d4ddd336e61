# SPDX-License-Identifier: MIT
"""What a user of the library meets: installs it into a prefix, then works with nothing but that and pkg-config."""
import glob
import os
import re
import shlex
import shutil
import subprocess

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(command, cwd, env=None):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    return None if done.returncode == 0 else f"{shlex.join(command)}\n{done.stdout}\nexit code {done.returncode}"


def pkg_config(where, *options):
    done = subprocess.run(["pkg-config", *options, "metaslot"], env={**os.environ, **where}, capture_output=True,
                          text=True, check=True)
    return done.stdout.split()


def declared_calls(include):
    text = "".join(open(path).read() for path in sorted(glob.glob(f"{include}/metaslot/*.h")))
    return sorted(set(re.findall(r"^MSLOT_API[^;(]*(?:\([^;()]*\)[^;(]*)?\b(mslot_\w+)\(", text, re.M)))


def write_every_call(path, calls):
    """A program that needs every public call to link; it runs one."""
    with open(path, "w") as file:
        file.write("#include <metaslot/metaslot.h>\n#include <stdio.h>\n\n"
                   "static void (*const volatile every[])(void) = {\n"
                   + "".join(f"\t(void (*)(void))(uintptr_t){call},\n" for call in calls)
                   + "};\n\nint main(void)\n{\n"
                   "\tfor (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++)\n\t\tif (!every[i])\n\t\t\treturn 1;\n"
                   '\treturn puts(mslot_err_name(MSLOT_OK)) < 0;\n}\n')


def headers_alone(include, scratch):
    """Each header by itself, as C11 and as C++17."""
    faults = []
    for header in sorted(glob.glob(f"{include}/metaslot/*.h")):
        line = f"#include <metaslot/{os.path.basename(header)}>\n"
        for name, compiler in (("alone.c", ["gcc", "-std=c11"]), ("alone.cc", ["g++", "-std=c++17"]),
                               ("alone.c", ["clang", "-std=c11"]), ("alone.cc", ["clang++", "-std=c++17"])):
            with open(os.path.join(scratch, name), "w") as file:
                file.write(line)
            faults.append(run([*compiler, *WARNINGS, "-fsyntax-only", f"-I{include}", name], scratch))
    return "\n".join(filter(None, faults)) or None


def exported_are_declared(library, calls):
    table = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in table.splitlines()}
    wrong = exported ^ set(calls)
    return f"exported or declared, but not both: {' '.join(sorted(wrong))}" if wrong else None


def example_in_readme(root):
    """The README shows examples/hello.c from its first #include on."""
    example, readme = (os.path.join(root, name) for name in ("examples/hello.c", "README.md"))
    if not os.path.exists(example):
        return "examples/hello.c does not exist"
    shown = re.search(r"```c\n(.*?)```", open(readme).read(), re.S)
    text = open(example).read()
    same = shown and shown.group(1) == text[text.index("#include"):]
    return None if same else "the C block in README.md is not examples/hello.c from its first #include on"


def linking_in_readme(root, scratch, where):
    """Runs the README's `cc hello.c ...` lines as they stand."""
    commands = re.findall(r"^(cc .*hello.*)$", open(os.path.join(root, "README.md")).read(), re.M)
    if not commands:
        return "README.md shows no `cc hello.c ...`"
    shutil.copy(os.path.join(root, "examples/hello.c"), scratch)
    return run(["sh", "-ec", "\n".join(commands)], scratch, where)


def checks(root, build, prefix):
    """(name, why it failed or None) of each check."""
    shutil.rmtree(prefix, ignore_errors=True)
    scratch = os.path.join(prefix, "user")
    os.makedirs(scratch)
    fault = run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", prefix], root)
    yield "meson install", fault
    found = glob.glob(f"{prefix}/**/metaslot.pc", recursive=True)
    yield "metaslot.pc is installed", None if found else f"none below {prefix}"
    if fault or not found:
        return
    pc_dir, library_dir = os.path.dirname(found[0]), os.path.dirname(os.path.dirname(found[0]))
    where = {"PKG_CONFIG_PATH": pc_dir, "PKG_CONFIG_SYSROOT_DIR": prefix, "LD_LIBRARY_PATH": library_dir}
    include = os.path.join(glob.glob(f"{prefix}/**/include/metaslot", recursive=True)[0], "..")
    include = os.path.normpath(include)
    calls = declared_calls(include)
    yield f"{len(calls)} calls are declared", None if len(calls) > 40 else " ".join(calls)
    yield "each header compiles alone, as C11 and C++17", headers_alone(include, scratch)
    yield "what is exported is what is declared", exported_are_declared(f"{library_dir}/libmetaslot.so", calls)
    write_every_call(os.path.join(scratch, "every.c"), calls)
    for kind, options in (("shared", ["--cflags", "--libs"]), ("static", ["--static", "--cflags", "--libs"])):
        flags = [flag.replace("-lmetaslot", "-l:libmetaslot.a") if kind == "static" else flag
                 for flag in pkg_config(where, *options)]
        program = f"every-{kind}"
        yield (f"a program with every call links {kind} and runs",
               run(["cc", "-std=c11", "every.c", "-o", program, *flags], scratch, where)
               or run([f"./{program}"], scratch, where))
    fault = example_in_readme(root)
    yield "README shows examples/hello.c", fault
    if os.path.exists(os.path.join(root, "examples/hello.c")):
        yield "README's linking works and hello runs", linking_in_readme(root, scratch, where) or run(
            ["./hello"], scratch, where)
