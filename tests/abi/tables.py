# SPDX-License-Identifier: Apache-2.0
"""Reads FastGPU's own interface headers: what they declare, name and define. They are written to be read this way: no comments
inside a record, one prototype for each function."""
import pathlib
import re
import subprocess


# Switches of the vendor's headers, and names of ours.
NOT_THEIRS = {"__CUDA_API_VERSION_INTERNAL", "NVML_NO_UNVERSIONED_FUNC_DEFS", "CUDA_VERSION", "FG_CUDA_HEADER",
              "FG_NVML_HEADER"}


class Table:
    """One of the two interfaces: header, list of names, and how a compiler is told to use the vendor's types."""

    def __init__(self, folder, header, prefix, returns):
        self.folder, self.header, self.prefix, self.returns = pathlib.Path(folder), header, prefix, returns

    @property
    def include(self):
        return self.folder.parent

    def text(self):
        """The header and what it includes of ours, as written."""
        text = without_comments(self.folder / self.header)
        for name in re.findall(r'#include "(\w+\.h)"', text):
            text += without_comments(self.folder / name)
        return text

    def names(self):
        return re.findall(r"\bX\((\w+)\)", without_comments(self.folder / self.header.replace(".h", "_names.h")))

    def functions(self):
        return re.findall(r"^%s \*?(%s[A-Z]\w*)\(" % (self.returns, self.prefix), self.text(), flags=re.M)

    def constants(self):
        """Enumerators, and defines with a value."""
        found = []
        for body in re.findall(r"\benum(?: \w+)? \{(.*?)\}", self.text(), flags=re.S):
            found += [item.split("=")[0].strip() for item in body.split(",")]
        defines = re.findall(r"^#define (\w+) +(.+)", self.text(), flags=re.M)
        return found + [name for name, value in defines if not value.startswith('"') and name not in NOT_THEIRS]

    def records(self):
        """{name of the type: names of its members}, members of unnamed parts included."""
        found, text = {}, self.text()
        for match in re.finditer(r"^typedef (?:struct|union)(?: \w+)? \{", text, flags=re.M):
            end = closing(text, match.end())
            for name in text[end + 1:text.index(";", end)].split(","):
                found[name.strip()] = members(text[match.end():end])
        return found


def without_comments(file):
    return re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.S)


def closing(text, at):
    """Where the brace that was opened before `at` is closed."""
    depth = 1
    while depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    return at - 1


def members(body):
    names, at = [], 0
    while match := re.compile(r"\s*([^;{]*)([;{])").match(body, at):
        at = match.end()
        if match.group(2) == "{":
            end = closing(body, at)
            stop = body.index(";", end)
            declared = body[end + 1:stop].strip()
            names += [name_of(declared)] if declared else members(body[at:end])
            at = stop + 1
        else:
            first, *rest = split(match.group(1))
            names += [name_of(part) for part in [first, *rest]]
    return names


def split(declaration):
    """A declaration at the commas that are not inside brackets."""
    parts, depth = [""], 0
    for letter in declaration:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def name_of(declarator):
    pointer = re.search(r"\(\*(\w+)\)", declarator)
    return pointer.group(1) if pointer else re.search(r"(\w+)\s*(?:\[.*)?$", declarator.strip()).group(1)


def compile_and_run(compiler, include, source, folder):
    """What a C program prints."""
    code, program = folder / "values.c", folder / "values"
    code.write_text(source)
    subprocess.run([*compiler, "-std=gnu17", "-w", "-I", include, "-o", program, code], check=True)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


CUDA = ("cuda.h", "cu", "CUresult")
NVML = ("nvml.h", "nvml", r"(?:nvmlReturn_t|const char)")
