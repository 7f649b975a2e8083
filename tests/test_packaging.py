"""The wheel: one package, with its data, and no top-level names that a host may have itself."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("graph", "nodes", "tools", "traces", "cli", "testing")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=180)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what git tracks or would track."""
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.split("\n")
    for name in filter(None, listed):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            (source / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            (source / name).write_bytes((ROOT / name).read_bytes())
    built = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (source / "dist").glob("*.whl")
    return found


def test_the_wheel_holds_one_package_with_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2
    assert "opencodeinterpreter" in tops
    for room in ROOMS:
        assert f"opencodeinterpreter/{room}/py.typed" in names
    for folder, ending in (
        ("nodes/prompts", ".txt"),
        ("traces/examples", ".jsonl"),
        ("cli/demo_tasks", ".toml"),
        ("cli/demo_live", ".toml"),
    ):
        inside = {name for name in names if name.startswith(f"opencodeinterpreter/{folder}/")}
        tracked = {path.name for path in (ROOT / folder).glob(f"*{ending}")}
        assert tracked
        assert {Path(name).name for name in inside} == tracked


def test_an_installed_wheel_runs_and_takes_no_bare_names(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import importlib.util, sys\n"
        "sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"sys.path.insert(0, {str(site)!r})\n"
        "import opencodeinterpreter.cli.main as main\n"
        f"assert main.__file__.startswith({str(site)!r}), main.__file__\n"
        f"found = [n for n in {ROOMS!r} if importlib.util.find_spec(n)]\n"
        "assert not found, found\n"
        "sys.argv = ['opencodeinterpreter', '--help']\n"
        "main.main()\n"
    )
    done = run(sys.executable, "-P", "-c", program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "solve" in done.stdout
