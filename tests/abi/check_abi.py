#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_abi.py: do src/abi/{cuda,nvml}.h say what the vendor's headers say?

usage: check_abi.py --abi FOLDER [--include FOLDER]... [--fetched FOLDER [--fetch]] [--header NAME] [--only-tables]

Looks at every cuda.h and nvml.h in the folders given, in FASTGPU_CUDA_INCLUDE (folders, ':' between them), in the places
where a toolkit puts them, and below the folder that fetch_headers.sh fills (--fetch: which it does first). For each:
signatures, sizes and offsets of records, values of constants, and whether the lists of names have every function. --only-tables looks at our
own tables alone.
Exit status 1: something differs; 77: no header of the vendor's was found.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tables

# The interfaces that the tables describe; older headers lack types that the tables need.
OLDEST = {"cuda.h": 11080, "nvml.h": 12}
NEWEST = {"cuda.h": 13050, "nvml.h": 13}
# Records that were longer, or aligned otherwise, in later versions, and padding that shrank for it; the offsets of older
# members are checked all the same.
GREW = {"CUDA_CHILD_GRAPH_NODE_PARAMS", "CUDA_EVENT_RECORD_NODE_PARAMS", "CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2",
        "CUDA_EXT_SEM_WAIT_NODE_PARAMS_v2", "CUDA_HOST_NODE_PARAMS_v2", "CUdevSmResource", "CUtensorMap"}
PADDING = {"reserved"}
# Names that meant something else in 11.x: the first form of a record, the first form of a question.
RENAMED = {"CUDA_KERNEL_NODE_PARAMS", "CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS",
           "CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR"}
ABSENT = re.compile(r"has no member named|undeclared|unknown type name")
COMPILER = os.environ.get("CC", "cc").split()


def find_headers(name, folders, fetched):
    found = [pathlib.Path(folder) / name for folder in folders]
    if fetched:
        found += sorted(pathlib.Path(fetched).rglob(name))
    return [path for path in dict.fromkeys(path.resolve() for path in found) if path.is_file()]


def run_compiler(source, options, folder):
    file = folder / "check.c"
    file.write_text(source)
    return subprocess.run([*COMPILER, "-std=gnu17", "-fmax-errors=0", *options, file], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"})


def check_signatures(table, vendor, folder):
    """The vendor's declarations and ours, one after the other."""
    sizes = pathlib.Path(__file__).with_name(f"sizes_{table.header[:4]}.c")
    done = run_compiler(sizes.read_text(), ["-fsyntax-only", "-Werror", "-DFG_ABI_REAL", "-I", table.include, "-isystem",
                                             vendor.parent], folder)
    return [line for line in done.stderr.splitlines() if "error:" in line]


def measured(table, folder):
    """[(expression, value)] of everything that our header defines."""
    expressions = table.constants()
    for record, names in table.records().items():
        expressions.append(f"sizeof({record})")
        expressions += [f"offsetof({record}, {member})" for member in names]
    lines = "\n".join(f'show("{text}", (long long)({text}));' for text in dict.fromkeys(expressions))
    printed = tables.compile_and_run(COMPILER, table.include, f"""#include <stdio.h>
#include <stddef.h>
#include "abi/{table.header}"
static void show(const char *text, long long value)
{{
        printf("%s\\t%lld\\n", text, value);
}}
int main(void)
{{
{lines}
return 0;
}}
""", folder)
    return [line.split("\t") for line in printed.splitlines()]


def expected_difference(text, version):
    """Did an older version mean something else by it?"""
    kind, record, member = re.match(r"(?:(sizeof|offsetof)\()?(\w+)(?:, (\w+))?", text).groups()
    if record in RENAMED:
        return version < 12000
    return version < 13050 and (kind == "sizeof" and record in GREW or member in PADDING)


def messages_by_line(done):
    found = {}
    for line, text in re.findall(r"check\.c:(\d+):\d+: error: (.*)", done.stderr):
        found.setdefault(int(line), []).append(text)
    return found


def check_values(table, vendor, version, folder):
    """One assertion a line. What an older header lacks is not compared; what it has must agree."""
    older = version < NEWEST[table.header]
    known = set(re.findall(r"\w+", vendor.read_text(errors="replace"))) | {"sizeof", "offsetof"}
    rows = [(text, value) for text, value in measured(table, folder) if set(re.findall(r"[A-Za-z_]\w*", text)) <= known
            and not (older and table.header == "cuda.h" and expected_difference(text, version))]
    start = f"#include <stddef.h>\n#define __CUDA_API_VERSION_INTERNAL 1\n#include <{table.header}>\n"
    asserts = "\n".join(f'_Static_assert((long long)({text}) == {value}LL, "{text} is not {value}");' for text, value in rows)
    done = run_compiler(f"{start}{asserts}\n", ["-fsyntax-only", "-w", "-isystem", vendor.parent], folder)
    messages = messages_by_line(done).values()
    missing = [texts for texts in messages if any(ABSENT.search(text) for text in texts)]
    wrong = [text for texts in messages if texts not in missing or not older for text in texts]
    if len(rows) - len(missing) < 20:
        wrong.append(f"only {len(rows) - len(missing)} values were compared")
    return len(rows) - len(missing), wrong


def vendor_functions(table, vendor, folder):
    """Every function that the header declares, in any of its modes; functions that it defines itself are not exported."""
    found = set()
    for mode in ([], ["-D__CUDA_API_VERSION_INTERNAL"], ["-DCUDA_API_PER_THREAD_DEFAULT_STREAM"],
                 ["-DNVML_NO_UNVERSIONED_FUNC_DEFS"]):
        done = run_compiler(f"#include <{table.header}>\n", ["-E", "-P", *mode, "-isystem", vendor.parent], folder)
        text = re.sub(r"static inline [^;{]*", "", done.stdout)
        found |= set(re.findall(r"\b%s\s+\*?\s*(%s[A-Z]\w*)\s*\(" % (table.returns, table.prefix), text))
    # Graphics and video interfaces have headers that need other packages to compile.
    for beside in vendor.parent.glob("cuda[A-Z]*.h") if table.header == "cuda.h" else []:
        found |= set(re.findall(r"\bCUDAAPI (cu[A-Z]\w*)\(", beside.read_text(errors="replace")))
    return found - {"cuWGLGetDevice"}


def version_of(table, vendor):
    name = {"cuda.h": "CUDA_VERSION", "nvml.h": "NVML_API_VERSION"}[table.header]
    match = re.search(r"^\s*#define %s\s+(\d+)" % name, vendor.read_text(errors="replace"), flags=re.M)
    return int(match.group(1)) if match else 0


def check_header(table, vendor, folder):
    version = version_of(table, vendor)
    wrong = check_signatures(table, vendor, folder)
    count, differ = check_values(table, vendor, version, folder)
    functions = vendor_functions(table, vendor, folder)
    wrong += differ
    if version <= NEWEST[table.header]:
        wrong += [f"{name} is not in the list of names" for name in sorted(functions - set(table.names()))]
    shared = len(functions & set(table.functions()))
    print(f"{vendor}: version {version}: {shared} signatures, {count} values, {len(functions)} names: "
          f"{len(wrong) or 'nothing'} wrong")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    return not wrong


def check_tables(table, folder):
    """What can be said without a header of the vendor's."""
    names, functions = table.names(), table.functions()
    wrong = [f"{name} is declared and not in the list of names" for name in functions if name not in set(names)]
    for kind, given in (("name", names), ("prototype", functions)):
        wrong += [f"{name} has two {kind}s" for name in sorted({name for name in given if given.count(name) > 1})]
    both = "".join(f'#include "abi/{name}"\n' for name in (table.header, table.header.replace(".", "_names.")))
    done = run_compiler(both, ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", table.include], folder)
    wrong += [line for line in done.stderr.splitlines() if "error:" in line]
    print(f"{table.header}: {len(functions)} prototypes, {len(names)} names: {len(wrong) or 'nothing'} wrong")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    return not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--abi", required=True)
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--fetched")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--header", choices=list(NEWEST))
    parser.add_argument("--only-tables", action="store_true")
    given = parser.parse_args()
    folders = given.include + [path for path in os.environ.get("FASTGPU_CUDA_INCLUDE", "").split(":") if path]
    if not given.include:
        folders += ["/usr/local/cuda/include", "/usr/include"]
    if given.fetch:
        subprocess.run([pathlib.Path(__file__).with_name("fetch_headers.sh"), given.fetched], check=False)
    good, compared = True, 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for row in [row for row in (tables.CUDA, tables.NVML) if given.header in (None, row[0])]:
            table = tables.Table(pathlib.Path(given.abi).resolve(), *row)
            good = check_tables(table, scratch) and good
            for vendor in [] if given.only_tables else find_headers(table.header, folders, given.fetched):
                if version_of(table, vendor) < OLDEST[table.header]:
                    print(f"{vendor}: too old to be compared")
                    continue
                good = check_header(table, vendor, scratch) and good
                compared += 1
    if not good:
        return 1
    return 0 if compared or given.only_tables else 77


if __name__ == "__main__":
    sys.exit(main())
