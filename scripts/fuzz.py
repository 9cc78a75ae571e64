"""``make fuzz SECONDS=60``: give every door to the outside bytes that a coverage-guided fuzzer thinks of.

Each target (``tests/fuzz_targets.py``) has a process and a share of the time; they are forked from one that
has instrumented the product, which takes seconds. The fuzzer, Atheris, is in a venv of its own
(``.venv-fuzz``); the product's packages come from ``.venv``. It begins with ``tests/corpora`` and keeps what
reached new code in ``reports/fuzz``, so that the next run goes on from there. Input that broke something is
kept as ``tests/corpora/TARGET/found-...``, where ``make test`` tries it from then on.

Exit status 0: nothing found; 1: something was, or it could not be set up; 2: wrong use.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[1]
VENV: Final = ROOT / ".venv-fuzz"
CORPORA: Final = ROOT / "tests" / "corpora"
KEPT: Final = ROOT / "reports" / "fuzz"
LONGEST: Final = 65_536
"""Bytes of an input: a longer one finds nothing that a short one does not, and is slow."""
MEMORY_MB: Final = 3_000
STUCK_S: Final = 20
"""Seconds that one input may take."""
LEAST_S: Final = 2.0
WATCHED: Final = ["engine", "pages"]
"""Whose code the fuzzer sees: a new way through it makes an input worth keeping."""


def main() -> int:
    """Set up, run and report; or be one of the processes."""
    options = arguments().parse_args()
    sys.path.insert(0, str(ROOT))
    if options.inside:
        return inside(json.loads(options.inside))
    if options.rewrite:
        from tests.fuzz_seeds import write_all  # noqa: PLC0415 (the tests' own, not there in an image)

        print(f"{write_all(CORPORA)} seeds in {CORPORA.relative_to(ROOT)}")
        return 0
    names = chosen(options.only)
    if options.set_up and not set_up():
        return 1
    found = fuzzed(names, max(LEAST_S, options.seconds / len(names)))
    report = {
        "targets": len(names),
        "seconds": round(sum(one["seconds"] for one in found), 1),
        "runs": sum(one["runs"] for one in found),
        "found": [one for one in found if one["input"] or one["status"]],
    }
    if options.json:
        print(json.dumps(report | {"by_target": found}))
    else:
        print(told(report, found))
    return 1 if report["found"] else 0


def arguments() -> argparse.ArgumentParser:
    """Say what can be asked for."""
    made = argparse.ArgumentParser(prog="python scripts/fuzz.py", description=__doc__.split("\n")[0])
    made.add_argument("--seconds", type=float, default=60.0, help="for all targets together; 60")
    made.add_argument("--only", nargs="+", default=[], metavar="TARGET", help="these targets alone")
    made.add_argument("--set-up", action="store_true", help="install the extra `fuzz` into .venv-fuzz first")
    made.add_argument("--rewrite", action="store_true", help="write the seeds of tests/corpora anew, and end")
    made.add_argument("--json", action="store_true", help="print the report as JSON")
    made.add_argument("--inside", help=argparse.SUPPRESS)
    return made


def chosen(only: list[str]) -> list[str]:
    """Return the targets asked for; a name that is none ends the program with status 2."""
    known = sorted(path.name for path in CORPORA.iterdir() if path.is_dir())
    unknown = [name for name in only if name not in known]
    if unknown:
        print(f"no target {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        sys.exit(2)
    return only or known


def set_up() -> bool:
    """Make ``.venv-fuzz`` hold the extra ``fuzz``, and nothing else; say whether it does."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["fuzz"]
    note, said = VENV / "set-up.txt", "\n".join([sys.version, *wanted])
    if note.is_file() and note.read_text() == said:
        return True
    print(f"set-up: installing {', '.join(wanted)} into {VENV.name}", file=sys.stderr, flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    for command in (
        [base, "-m", "venv", "--clear", str(VENV)],
        [str(VENV / "bin" / "python"), *install, *wanted],
    ):
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
            print(f"{VENV.name} could not be made (the lines above say why)", file=sys.stderr)
            return False
    note.write_text(said)
    return True


def fuzzed(names: list[str], seconds: float) -> list[dict[str, Any]]:
    """Run targets one after the other, each for so long; keep what they found, and say what that was."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = {name: [*flags(folder, name, seconds), *corpora(name)] for name in names}
        command = [str(VENV / "bin" / "python"), __file__, "--inside", json.dumps(jobs)]
        done = subprocess.run(command, cwd=folder, env=environment(), check=False)
        if done.returncode:
            return [
                {
                    "target": "set-up",
                    "seconds": 0,
                    "runs": 0,
                    "status": done.returncode,
                    "input": [],
                    "words": [],
                }
            ]
        return [outcome(name, Path(folder) / name) for name in names]


def flags(folder: str, name: str, seconds: float) -> list[str]:
    """Return what libFuzzer is told."""
    return [
        f"-max_total_time={max(1, round(seconds))}", f"-max_len={LONGEST}", f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={STUCK_S}", f"-artifact_prefix={folder}/{name}/", "-print_final_stats=1",
    ]  # fmt: skip


def corpora(name: str) -> list[str]:
    """Return where a target's inputs lie: new ones go to the first."""
    own = KEPT / name
    own.mkdir(parents=True, exist_ok=True)
    return [str(own), str(CORPORA / name)]


def outcome(name: str, folder: Path) -> dict[str, Any]:
    """Read what a target's process left."""
    text = (folder / "said").read_text("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()]
    bad = [path for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
    status = int((folder / "status").read_text())
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "0")
    begun = next(
        (at for at, line in enumerate(lines) if "Uncaught Python exception" in line), len(lines) - 12
    )
    return {
        "target": name,
        "seconds": round(float((folder / "seconds").read_text()), 1),
        "runs": int(runs),
        "status": status,
        "input": [str(keep(name, path).relative_to(ROOT)) for path in bad],
        "words": lines[begun : begun + 30] if bad or status else [],
    }


def environment() -> dict[str, str]:
    """Return the variables of a target's process: the product's packages, and no settings of anybody's."""
    places = [str(ROOT), sysconfig.get_paths()["purelib"]]
    own = {"PYTHONPATH": os.pathsep.join(places), "ENV_FILE": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")} | own


def keep(name: str, path: Path) -> Path:
    """Keep an input that broke something, under a name made of what it holds."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return Path(shutil.copy(path, CORPORA / name / f"found-{path.name.split('-')[0]}-{digest}"))


def inside(jobs: dict[str, list[str]]) -> int:
    """Instrument the product, then be each target's process in turn."""
    import atheris  # noqa: PLC0415 (there in .venv-fuzz alone)

    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere), atheris.instrument_imports(WATCHED):
        from tests.fuzz_targets import TARGETS  # noqa: PLC0415 (instrumented)
    for name, given in jobs.items():
        folder = Path(name).absolute()
        folder.mkdir()
        began = time.monotonic()
        child = os.fork()
        if not child:
            be(atheris, TARGETS[name].run, folder, given)
        _, status = os.waitpid(child, 0)
        (folder / "status").write_text(str(os.waitstatus_to_exitcode(status)))
        (folder / "seconds").write_text(str(time.monotonic() - began))
    return 0


def be(atheris: Any, run: Callable[[bytes, Path], bool], folder: Path, given: list[str]) -> NoReturn:
    """Fuzz one target until its time is over, or something breaks; this process ends with it."""
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    read = folder / "read"
    read.mkdir()
    atheris.Setup([__file__, *given], lambda data: run(data, read) and None)
    atheris.Fuzz()
    os._exit(0)


def told(report: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """Write the report for people."""
    lines = [f"{one['target']:<14} {one['runs']:>9,} inputs in {one['seconds']:g} s" for one in found]
    for one in report["found"]:
        lines += ["", f"{one['target']}: {', '.join(one['input']) or 'no input kept'}", *one["words"]]
    lines.append(f"{report['runs']:,} inputs, {len(report['found'])} targets broke")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
