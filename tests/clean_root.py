"""Execute a Dockerfile without Docker: each stage in a folder that becomes the root, by mounts and chroot.

The base image's place is taken by this machine: its ``/usr`` read-only, this test's own Python as
``/usr/local``, an ``/etc`` of its own, nothing else. Needs root and ``unshare``. An instruction it does not
know is an error.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FROM_ETC = (
    "login.defs",
    "nsswitch.conf",
    "ssl",
    "ld.so.conf",
    "ld.so.conf.d",
    "resolv.conf",
    "hosts",
    "default",
)
LINKS = ("bin", "sbin", "lib", "lib64")
USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\nshadow:x:42:\n"


def missing() -> str:
    """Say why nothing can be executed here; empty where it can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "executing the Dockerfile needs root"
    if shutil.which("ip") is None:
        return "executing the Dockerfile needs ip: on Debian, apt-get install iproute2"
    tried = subprocess.run(["unshare", "-mnpf", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "executing the Dockerfile needs unshare and mount namespaces"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions in order, continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word]


class Stage:
    """What a stage has built so far: its root folder, and what its instructions said of the process."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.variables = {
            "PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin",
            "HOME": "/root",
        }
        self.cwd, self.user = "/", "0"
        self.command: list[str] = []
        self.check: list[str] = []
        self.stop = "TERM"
        self.volumes: list[str] = []
        self.binds: dict[str, Path] = {}
        """Folders of this machine that stand in for what an instruction would have made; read-only."""
        self._prepare()

    def _prepare(self) -> None:
        for name in ("usr", "etc", "proc", "dev", "tmp", "home", "opt", "var/log", "root", "run"):
            (self.root / name).mkdir(parents=True)
        (self.root / "tmp").chmod(0o1777)
        for name in LINKS:
            (self.root / name).symlink_to(f"usr/{name}")
        for name in FROM_ETC:
            source, place = Path("/etc", name), self.root / "etc" / name
            if source.is_dir():
                shutil.copytree(source, place, symlinks=True)
            elif source.exists():
                shutil.copy(source, place)
        (self.root / "etc/passwd").write_text(USERS)
        (self.root / "etc/group").write_text(GROUPS)
        self.run(["ldconfig"])

    def mounts(self) -> str:
        """Return the commands that make the folder a system, for a mount namespace of its own."""
        root = self.root
        devices = " ".join(
            f"touch {root}/dev/{name}; mount --bind /dev/{name} {root}/dev/{name};"
            for name in ("null", "zero", "urandom", "random")
        )
        binds = "".join(
            f"mount --bind {source} {root}{place}; mount -o remount,bind,ro {root}{place}; "
            for place, source in self.binds.items()
        )
        return (
            f"set -e; mount --make-rprivate /; mount --bind {root} {root}; "
            f"mount --bind /usr {root}/usr; mount -o remount,bind,ro {root}/usr; "
            f"mount --bind {sys.base_prefix} {root}/usr/local; mount -o remount,bind,ro {root}/usr/local; "
            f"mount -t proc proc {root}/proc; {devices}{binds}"
        )

    def inside(self, command: list[str]) -> list[str]:
        """Return the command that runs another in the root, as the stage's user, with its variables alone."""
        variables = [f"{name}={value}" for name, value in self.variables.items()]
        home = "/root" if self.user == "0" else f"/home/{self.named(self.user)}"
        shell = ["sh", "-c", 'cd "$0" && exec "$@"', self.cwd, *command]
        who = f"--userspec={self.user}:{self.user}"
        return ["chroot", who, "--groups=", str(self.root), "env", "-i", *variables, f"HOME={home}", *shell]

    def named(self, number: str) -> str:
        """Return a user's name."""
        rows = (line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines())
        return next((row[0] for row in rows if row[2] == number), number)

    def run(self, command: list[str]) -> None:
        """Run a command in the root, to its end.

        Raises:
            AssertionError: It failed; what it said is told.
        """
        script = f'{self.mounts()} exec "$@"'
        done = subprocess.run(
            ["unshare", "-mpf", "--kill-child", "sh", "-c", script, "sh", *self.inside(command)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


class Build:
    """A Dockerfile executed instruction by instruction.

    Args:
        folder: Where the roots are made.
        instead: RUN instructions that contain a key are replaced by what its value does.
        variables: What each RUN has besides, as ``docker build --build-arg`` gives it.
        folders: Folders of this machine that each stage has at the same place, read-only.
    """

    def __init__(
        self,
        folder: Path,
        instead: dict[str, object] | None = None,
        variables: dict[str, str] | None = None,
        folders: list[str] | None = None,
    ) -> None:
        self._folder = folder
        self._folders = folders or []
        self._variables = variables or {}
        self._instead = instead or {}
        self.stages: dict[str, Stage] = {}
        self.stage = Stage.__new__(Stage)
        self.done: list[str] = []

    def execute(self, text: str) -> Stage:
        """Execute everything and return the last stage."""
        for word, rest in instructions(text):
            getattr(self, f"do_{word.lower()}")(rest)
            self.done.append(word)
        return self.stage

    def do_from(self, rest: str) -> None:
        image, _, name = rest.partition(" AS ")
        assert re.fullmatch(r"python:3\.1[123]-slim", image), "the base is taken by this machine's own Python"
        name = name or f"stage {len(self.stages)}"
        (self._folder / name.replace(" ", "-")).mkdir()
        self.stage = self.stages[name] = Stage(self._folder / name.replace(" ", "-"))
        for folder in self._folders:
            self._path(folder).mkdir(parents=True)
            self.stage.binds[folder] = Path(folder)

    def do_workdir(self, rest: str) -> None:
        self.stage.cwd = rest
        self._path(rest).mkdir(parents=True, exist_ok=True)

    def do_env(self, rest: str) -> None:
        for name, value in re.findall(r"(\w+)=(\S+)", rest):
            filled = re.sub(r"\$(\w+)", lambda found: self.stage.variables[found[1]], value)
            self.stage.variables[name] = filled

    def do_copy(self, rest: str) -> None:
        words = rest.split()
        from_stage = re.fullmatch(r"--from=(\w+)", words[0])
        if from_stage:
            source, place = words[1:]
            self.stage.binds |= self.stages[from_stage[1]].binds
            built = self.stages[from_stage[1]].root / source.lstrip("/")
            # Linked, not copied: it is half a gigabyte, and nobody writes into it.
            shutil.copytree(
                built, self._path(place), symlinks=True, copy_function=os.link, dirs_exist_ok=True
            )
            return
        *sources, place = words
        assert len(sources) == 1 or place.endswith("/"), "several files need a folder"
        for source in sources:
            self._copy(ROOT / source, self._path(place), into=place.endswith("/"))

    def _copy(self, source: Path, place: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, place, ignore=ignored, dirs_exist_ok=True)
        else:
            (place if into else place.parent).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place / source.name if into else place)

    def do_run(self, rest: str) -> None:
        for words, act in self._instead.items():
            if words in rest:
                act(self.stage)  # type: ignore[operator]
                return
        kept = dict(self.stage.variables)
        self.stage.variables |= self._variables
        self.stage.run(["sh", "-c", rest])
        self.stage.variables = kept

    def do_user(self, rest: str) -> None:
        self.stage.user = rest

    def do_volume(self, rest: str) -> None:
        self.stage.volumes.append(rest)
        self._path(rest).mkdir(exist_ok=True)

    def do_expose(self, rest: str) -> None:
        assert rest.isdecimal()

    def do_stopsignal(self, rest: str) -> None:
        self.stage.stop = rest.removeprefix("SIG")

    def do_healthcheck(self, rest: str) -> None:
        self.stage.check = json.loads(rest[rest.index("CMD") + 3 :])

    def do_cmd(self, rest: str) -> None:
        self.stage.command = json.loads(rest)

    def _path(self, place: str) -> Path:
        return self.stage.root / (place if place.startswith("/") else f"{self.stage.cwd}/{place}").lstrip("/")


def ignored(folder: str, names: list[str]) -> set[str]:
    """Return what .dockerignore keeps out of a folder: all but what it lets in."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    let_in = [line[1:] for line in lines if line[0] == "!"]
    out = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    left = set()
    for name in names:
        path = Path(folder, name).relative_to(ROOT).as_posix()
        known = any(f"{path}/".startswith(f"{one}/") or one.startswith(f"{path}/") for one in let_in)
        if not known or any(fnmatch.fnmatch(name, pattern) for pattern in out):
            left.add(name)
    return left


CONTAINER = """{mounts}
ip link set lo up
{binds}
mount -o remount,bind,ro {root}
mount -t tmpfs -o size=64m tmpfs {root}/tmp
"$@" >{log} 2>&1 &
process=$!
tries=0
until {check} >>{log} 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ] || ! kill -0 $process; then echo unwell; kill -9 $process; exit 1; fi
    sleep 0.2
done
echo well
grep -E '^(Uid|CapEff|NoNewPrivs|VmRSS):' /proc/$process/status
kill -{stop} $process
began=$(date +%s%N)
set +e
wait $process
echo status $?
echo took $((($(date +%s%N) - began) / 1000000))
"""


def live(stage: Stage, volume: Path | None, log: Path, **variables: str) -> dict[str, str]:
    """Run a stage's CMD as a container with a read-only root until its HEALTHCHECK holds; then stop it.

    Args:
        stage: The last one of a build.
        volume: What is mounted at its volume; None is an anonymous one, as Docker makes it.
        log: Takes what the process says.
        variables: As ``docker run --env`` gives them.
    Returns:
        ``state`` well or unwell; ``Uid``, ``VmRSS`` of the process; ``status`` and ``took`` (ms) of its end.
    """
    stage.variables |= variables
    (place,) = stage.volumes
    inside = stage.root / place.lstrip("/")
    if volume is None:
        volume = log.parent / "anonymous"
        shutil.copytree(inside, volume)
        about = inside.stat()
        os.chown(volume, about.st_uid, about.st_gid)
    quoted = " ".join(
        f"'{word}'" if "'" not in word else json.dumps(word) for word in stage.inside(stage.check)
    )
    script = CONTAINER.format(
        mounts=stage.mounts(),
        binds=f"mount --bind {volume} {inside}",
        root=stage.root,
        log=log,
        check=quoted,
        stop=stage.stop,
    )
    alone = ["unshare", "-mnpf", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*alone, "sh", "-c", script, "sh", *stage.inside(stage.command)],
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    told = {"state": "unwell", "said": done.stdout + done.stderr}
    for line in done.stdout.splitlines():
        word, _, rest = line.replace(":", " ", 1).partition(" ")
        if word in ("well", "unwell"):
            told["state"] = word
        else:
            told[word] = rest.strip()
    return told
