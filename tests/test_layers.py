"""The four packages depend on each other in one direction only, and importing them is cheap."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["scoring", "selection", "training", "tamis"]
HEAVY = ["torch", "transformers", "datasets", "faiss", "ray", "matplotlib", "sklearn", "pandas"]


def imported_modules(file: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." * node.level + (node.module or "")))
    return found


@pytest.mark.parametrize("package", LAYERS)
def test_no_package_imports_upward(package: str) -> None:
    above = LAYERS[LAYERS.index(package) + 1 :]
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files
        for line, module in imported_modules(file)
        if module.split(".")[0] in above or module.startswith(".")
    ]
    assert not wrong, wrong


def test_only_one_module_opens_faiss() -> None:
    users = [
        str(file.relative_to(ROOT))
        for package in LAYERS
        for file in (ROOT / package).rglob("*.py")
        if any(module.split(".")[0] == "faiss" for _, module in imported_modules(file))
    ]
    assert set(users) <= {"scoring/neighbors.py"}


def test_no_module_is_named_like_a_library_it_uses() -> None:
    files = [file for package in LAYERS for file in (ROOT / package).rglob("*.py")]
    used = {module.split(".")[0] for file in files for _, module in imported_modules(file)} - set(LAYERS)
    assert not [str(file.relative_to(ROOT)) for file in files if file.stem in used]


def test_the_layout_names_every_module() -> None:
    layout = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("## 7. Layout")[1]
    catalogued = ("scoring/scorers",)  # one line stands for all of them
    modules = [
        module for package in LAYERS for module in (ROOT / package).rglob("*.py") if module.stem != "__init__"
    ]
    wanted = {module.stem for module in modules if str(module.parent.relative_to(ROOT)) not in catalogued}
    assert wanted <= set(re.findall(r"\w+", layout)), sorted(wanted - set(re.findall(r"\w+", layout)))


@pytest.mark.parametrize("package", LAYERS)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from tamis.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as stop:\n    assert stop.code in (0, None), stop.code\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("package", LAYERS)
def test_every_public_name_exists(package: str) -> None:
    module = __import__(package)
    for name in getattr(module, "__all__", []):
        assert getattr(module, name) is not None
