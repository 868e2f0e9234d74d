"""From YAML text to an `Accelerator`, or to one line that says what is wrong and where.

The first problem in the order of the file is told, as ``file:line: dotted.field: expected ..., got ...``. Nothing but
`HardwareError` is raised for what a user can write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from accelsim.errors import HardwareError
from accelsim.hardware.accelerator import Accelerator
from accelsim.hardware.energy_table import EnergyTable
from accelsim.hardware.presets import energy_table_path, preset_path
from accelsim.hardware.problem import Problem, problems_of, quoted
from accelsim.hardware.quantity import Spec
from accelsim.hardware.yaml_tree import YamlTree, read_yaml

_Described = TypeVar("_Described", bound=Spec)

#: A description is some kilobytes; whoever passes a model file by mistake shall not wait for it to be parsed.
_MOST_BYTES = 2**20


def load_accelerator(name_or_path: str | Path) -> Accelerator:
    """Read a shipped accelerator by its name, or a YAML file by its path.

    Parameters
    ----------
    name_or_path : a name without suffix and without folder is a preset ("edge_16x16"), anything else a path.

    Raises
    ------
    HardwareError : the file cannot be read, or is not the description of a possible accelerator.

    Examples
    --------
    >>> load_accelerator("edge_16x16").pe_grid.rows
    16
    """
    path = Path(name_or_path)
    if not path.suffix and str(name_or_path) == path.name:
        path = preset_path(path.name)
    return parse_accelerator(_read_text(path), file=str(path))


def parse_accelerator(text: str, *, file: str) -> Accelerator:
    """Understand a YAML description; `file` is its name in messages.

    Raises
    ------
    HardwareError : the text is not the description of a possible accelerator.

    Examples
    --------
    >>> parse_accelerator("schema_version: 1\\nname: npu\\nclok: 1 GHz", file="npu.yaml")
    Traceback (most recent call last):
    accelsim.errors.HardwareError: npu.yaml:1: pe_grid: expected this key, which is missing
    """
    tree = read_yaml(text, file=file)
    problems: list[Problem] = []
    if isinstance(tree.data, dict) and not isinstance(tree.data.get("energy", {}), dict):
        try:
            tree.data["energy"] = load_energy_table(tree.data["energy"])
        except HardwareError as error:
            problems.append(Problem(("energy",), error.problem))
    return _validated(Accelerator, tree, problems)


def load_energy_table(name: object) -> EnergyTable:
    """Read a shipped energy table. Raises `HardwareError` for anything but the name of one.

    >>> load_energy_table("horowitz_45nm").multiply[0].energy_pj
    0.2
    """
    path = energy_table_path(name)
    return _validated(EnergyTable, read_yaml(_read_text(path), file=str(path)), [])


def _validated(model: type[_Described], tree: YamlTree, problems: list[Problem]) -> _Described:
    if not isinstance(tree.data, dict):
        text = f"expected a mapping of keys such as name and pe_grid, got {quoted(tree.data)}"
        raise tree.error([*problems, Problem((), text)])
    try:
        described = model.model_validate(tree.data)
    except ValidationError as error:
        found = problems_of(error, model=model, document=tree.data)
        known = {problem.path for problem in problems}
        raise tree.error(problems + [problem for problem in found if problem.path not in known]) from None
    if problems or tree.problems:
        raise tree.error(problems)
    return described


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise HardwareError("expected a file, found none of that name", file=str(path)) from None
    except IsADirectoryError:
        raise HardwareError("expected a file, got a folder", file=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise HardwareError(f"expected a readable file, got: {reason}", file=quoted(str(path)).strip('"')) from None
    if len(content) > _MOST_BYTES:
        raise HardwareError("expected an accelerator description of at most 1 MiB, got a larger file", file=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise HardwareError(f"expected UTF-8 text, got the byte 0x{byte:02x}", file=str(path), line=line) from None
