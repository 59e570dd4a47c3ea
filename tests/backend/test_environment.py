# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the worker's environment with a real pip, from small wheels made here."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from backend import (
    cli,
    environment,
    groups,
    host_python,
    installation,
    pip_output,
    torch_builds,
)
from backend.environment import Environment, State
from backend.errors import Canceled, FormatError, InstallError, Remedy, UsageError
from backend.groups import GROUPS, Group, fingerprint, pins
from backend.host import Host

ROOT = Path(__file__).resolve().parents[2]
HOST = Path(sys.executable)
VERSION = sys.version_info[:2]
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
CLOSED_SERVER = "http://127.0.0.1:9/simple"


@dataclass
class Recorder:
    """Keeps what an installation tells; `on_status` may raise."""

    on_status: Callable[[str], None] = lambda _text: None
    statuses: list[str] = field(default_factory=list)
    counts: list[tuple[int, int, str]] = field(default_factory=list)

    def status(self, text: str) -> None:
        self.statuses.append(text)
        self.on_status(text)

    def progress(self, done: int, total: int, unit: str) -> None:
        self.counts.append((done, total, unit))

    def warning(self, text: str) -> None:
        raise AssertionError(text)

    def check(self) -> None:
        pass


def make_wheel(
    folder: Path, name: str, files: Mapping[str, str], version: str = "1.0", python: str = ">=3"
) -> None:
    """A wheel of these files for these Pythons, as the format's description has it."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content = dict(files) | {
        f"{info}/METADATA": f"{metadata}Requires-Python: {python}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = ""
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        record += f"{path},sha256={digest.rstrip('=')},{len(text.encode())}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


BIG = {f"big/part_{number}.py": f"X = {number}\n" * 150 for number in range(1200)}
"""Takes pip some seconds, so that it can be killed in the middle."""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "small", {"small.py": "VALUE = 7\n"})
    make_wheel(folder, "small", {"small.py": "VALUE = 8\n"}, version="2.0")
    make_wheel(folder, "other", {"other.py": "import small\n"})
    make_wheel(folder, "big", {"big/__init__.py": "", **BIG})
    needs_library = "import ctypes\nctypes.CDLL('libnowhere.so.6')\n"
    make_wheel(folder, "bare", {"bare.py": needs_library})
    make_wheel(folder, "old", {"old.py": "VALUE = 9\n"}, python="<=3.10")
    make_wheel(folder, "torn", {"torn.py": "raise RuntimeError('out of tune')\n"})
    return folder


@dataclass
class Table:
    """The groups of a test: changes what is in the requirement files."""

    folder: Path
    patch: pytest.MonkeyPatch

    def add(self, name: str, lines: Sequence[str], **fields: object) -> None:
        modules = tuple(line.partition("==")[0] for line in lines)
        group = replace(Group(modules, (VERSION,), megabytes=1), **fields)  # type: ignore[arg-type]
        self.patch.setitem(GROUPS, name, group)
        self.set(name, lines)

    def set(self, name: str, lines: Sequence[str]) -> None:
        (self.folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def table(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Groups of our own, from the test's wheels alone: no network."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    monkeypatch.setattr(groups, "REQUIREMENTS", folder)
    for name in list(GROUPS):
        monkeypatch.delitem(GROUPS, name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return Table(folder, monkeypatch)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment as it is before the first package, to copy from."""
    venv = tmp_path_factory.mktemp("template") / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", str(venv)], check=True)
    return venv


def begin(home: Path, names: Sequence[str], template: Path, ready: bool = False) -> Environment:
    """An environment folder as an installation leaves it that was stopped after its first step."""
    host = host_python.probe([sys.executable])
    assert host is not None
    pinned = pins(names, host.version)
    folder = home / "environments" / fingerprint(host.version, host.platform, pinned)
    shutil.copytree(template, folder / "venv", symlinks=True)
    version = host_python.dotted(host.version)
    made = Environment(folder, version, host.platform, tuple(names))
    if ready:
        made = replace(made, ready=tuple(names), pins=pinned, finished=time.time())
    made.save()
    return made


def install(home: Path, names: Sequence[str], report: Recorder | None = None) -> Path:
    return environment.install(home, names, HOST, report or Recorder(), online=True)


def value_of(python: Path, expression: str, module: str) -> str:
    program = f"import {module}; print({expression})"
    return subprocess.run(
        [str(python), "-I", "-B", "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


# From nothing to ready, the way every user goes


def test_install_makes_a_python_that_has_the_groups(table: Table, tmp_path: Path) -> None:
    table.add("one", ["small==1.0", "other==1.0"])
    home, report = tmp_path / "home", Recorder()
    assert environment.state(home, ["one"]) == (State.MISSING, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PIP_NO_INDEX")
        patch.delenv("PIP_FIND_LINKS")
        patch.setenv("PIP_INDEX_URL", CLOSED_SERVER)
        with pytest.raises(InstallError, match="package server cannot be reached") as caught:
            install(home, ["one"])
    assert caught.value.remedy is Remedy.INSTALL_ENVIRONMENT
    assert environment.state(home, ["one"])[0] is State.INCOMPLETE
    assert environment.find(home, ["one"]) is None

    python = install(home, ["one"], report)
    assert not any("Making" in text for text in report.statuses), "the first step was done"
    assert value_of(python, "small.VALUE", "small") == "7"
    assert report.counts[-1] == (2, 2, "packages")
    done = [count[0] for count in report.counts]
    assert done == sorted(done)
    state, found = environment.state(home, ["one"])
    assert state is State.READY
    assert found is not None
    assert found.python == python == environment.find(home, ["one"])
    assert found.pins == ("small==1.0", "other==1.0")
    assert not (found.folder / "tmp").exists()


def test_what_is_ready_needs_no_network(table: Table, tmp_path: Path, template: Path) -> None:
    table.add("one", ["small==1.0"])
    home = tmp_path / "home"
    begin(home, ["one"], template, ready=True)
    report = Recorder()
    assert environment.install(home, ["one"], Path("/none"), report, online=False).is_file()
    assert report.statuses == []


def test_offline_is_told_before_anything_is_made(table: Table, tmp_path: Path) -> None:
    table.add("one", ["small==1.0"])
    with pytest.raises(InstallError) as caught:
        environment.install(tmp_path / "home", ["one"], HOST, Recorder(), online=False)
    assert caught.value.remedy is Remedy.ALLOW_ONLINE
    assert not (tmp_path / "home").exists()


# What must survive


def test_a_failed_install_leaves_the_old_one_ready(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    table.add("two", ["small==1.0", "big==9.9"])
    home = tmp_path / "home"
    begin(home, ["one"], template)
    old = install(home, ["one"])
    begin(home, ["one", "two"], template)
    with pytest.raises(InstallError, match=r"no build of big 9\.9 for this machine \(Python 3"):
        install(home, ["one", "two"])
    assert environment.find(home, ["one"]) is not None
    assert value_of(old, "small.VALUE", "small") == "7"
    assert environment.state(home, ["two"])[0] is State.INCOMPLETE


def test_new_pins_make_a_new_environment_and_the_old_one_goes(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    home = tmp_path / "home"
    old = begin(home, ["one"], template, ready=True)
    used = old.folder.with_name("usedusedused")
    shutil.copytree(old.folder, used, symlinks=True)
    table.set("one", ["small==2.0"])
    assert environment.find(home, ["one"]) is None
    begin(home, ["one"], template)
    with environment.in_use(Environment.load(used).python):
        python = install(home, ["one"])
        assert value_of(python, "small.VALUE", "small") == "8"
        assert not old.folder.exists()
        assert used.is_dir()
        assert environment.remove(home) == [used]
    assert environment.remove(home) == []
    assert list((home / "environments").iterdir()) == []


KILLED_INSTALL = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from backend import environment, groups
groups.REQUIREMENTS = Path({requirements!r})
groups.GROUPS.clear()
groups.GROUPS["one"] = groups.Group(("small", "big"), (sys.version_info[:2],), 1)
class Report:
    def status(self, text): print(text, flush=True)
    def progress(self, *_): pass
    def check(self): pass
environment.install(Path({home!r}), ["one"], Path(sys.executable), Report(), True)
"""


def test_a_killed_install_goes_on_where_it_was(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0", "big==1.0"])
    home = tmp_path / "home"
    begun = begin(home, ["one"], template)
    program = KILLED_INSTALL.format(root=str(ROOT), requirements=str(table.folder), home=str(home))
    victim = subprocess.Popen([sys.executable, "-B", "-c", program], stdout=subprocess.DEVNULL)
    (site,) = installation.site_packages(begun.venv)
    wait_for(lambda: (site / "big").is_dir() and len(list((site / "big").iterdir())) > 100)
    victim.kill()
    victim.wait()
    time.sleep(0.5)  # for pip, which dies with it
    assert environment.state(home, ["one"])[0] is State.INCOMPLETE
    assert not any(installation.is_whole(info) for info in installation.packages(begun.venv, "big"))
    (small,) = installation.packages(begun.venv, "small")
    before = (small / "RECORD").stat().st_mtime_ns

    report = Recorder()
    python = install(home, ["one"], report)
    assert value_of(python, "big.part_1199.X", "big.part_1199") == "1199"
    assert (small / "RECORD").stat().st_mtime_ns == before
    assert "Installing small" not in report.statuses


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("damage", ["no record of its end", "a file cut short"])
def test_what_pip_did_not_finish_is_installed_again(
    table: Table, tmp_path: Path, template: Path, damage: str
) -> None:
    """Killed just before its end, pip leaves a package that pip itself takes for installed."""
    table.add("one", ["small==1.0"])
    home = tmp_path / "home"
    begun = begin(home, ["one"], template)
    install(home, ["one"])
    (info,) = installation.packages(begun.venv, "small")
    assert installation.is_whole(info)
    if damage == "a file cut short":
        (info.parent / "small.py").write_text("")
    else:
        record = (info / "RECORD").read_text().splitlines()
        kept = [line for line in record if "INSTALLER" not in line]
        (info / "RECORD").write_text("\n".join(kept) + "\n")
    assert not installation.is_whole(info)
    replace(begun, ready=(), pins=()).save()
    report = Recorder()
    assert value_of(install(home, ["one"], report), "small.VALUE", "small") == "7"
    assert "Installing small" in report.statuses
    assert installation.is_whole(info)


def test_cancel_stops_pip_at_once_and_keeps_the_rest(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0", "big==1.0"])
    home = tmp_path / "home"
    begun = begin(home, ["one"], template)
    (site,) = installation.site_packages(begun.venv)
    report = CancelWhen((site / "big").is_dir)
    with pytest.raises(Canceled):
        install(home, ["one"], report)
    written = set(begun.venv.rglob("*"))
    time.sleep(0.5)
    assert set(begun.venv.rglob("*")) == written, "pip went on"
    assert not any(map(installation.is_whole, installation.packages(begun.venv, "big")))
    assert not (begun.folder / "tmp").exists()
    assert environment.state(home, ["one"])[0] is State.INCOMPLETE
    assert install(home, ["one"]).is_file()


class CancelWhen(Recorder):
    def __init__(self, condition: Callable[[], bool]) -> None:
        super().__init__()
        self._condition = condition

    def check(self) -> None:
        if self._condition():
            raise Canceled


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_and_is_made_larger(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0", "big==1.0"])
    home = tmp_path / "home"
    used = sum(file.lstat().st_blocks for file in template.rglob("*")) * 512 // 2**20
    with small_disk(home, used + 5):
        begin(home, ["one"], template)
        with pytest.raises(InstallError, match="disk became full while big was installed"):
            install(home, ["one"])
        assert environment.state(home, ["one"])[0] is State.INCOMPLETE
        subprocess.run(["mount", "-o", "remount,size=400m", str(home)], check=True)
        assert install(home, ["one"]).is_file()


def test_too_little_space_is_told_before_anything_is_made(table: Table, tmp_path: Path) -> None:
    table.add("one", ["small==1.0"], megabytes=10**12)
    report = Recorder()
    with pytest.raises(InstallError, match=r"needs about \d+ MB more.*SHOT_GOPHER_HOME"):
        install(tmp_path / "home", ["one"], report)
    assert not list((tmp_path / "home").glob("environments/*/venv"))
    assert not any("Making" in text for text in report.statuses)


def test_a_home_that_cannot_be_written(table: Table, tmp_path: Path) -> None:
    table.add("one", ["small==1.0"])
    (tmp_path / "home").write_text("a file")
    with pytest.raises(InstallError) as caught:
        install(tmp_path / "home", ["one"])
    assert str(tmp_path / "home") in caught.value.reason


# Groups become ready one by one; what does not work is said


def test_a_group_that_fails_does_not_hold_up_another(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    table.add("two", ["bare==1.0"], libraries=("libelsewhere.so.3",))
    home = tmp_path / "home"
    begin(home, ["one", "two"], template)
    with pytest.raises(InstallError) as caught:
        install(home, ["two", "one"])
    assert "bare needs the system libraries libnowhere.so.6, libelsewhere.so.3" in str(caught.value)
    python = environment.find(home, ["one"])
    assert python is not None
    assert install(home, ["one"]) == python
    assert environment.find(home, ["one", "two"]) is None
    state, found = environment.state(home, ["two"])
    assert state is State.INCOMPLETE
    assert found is not None
    assert found.ready == ("one",)
    log = (found.folder / "install.log").read_text()
    assert "libnowhere.so.6: cannot open shared object file" in log


def test_a_package_that_cannot_be_imported(table: Table, tmp_path: Path, template: Path) -> None:
    table.add("one", ["torn==1.0"])
    begin(tmp_path / "home", ["one"], template)
    with pytest.raises(InstallError, match=r"torn was installed but cannot be used: .*out of tune"):
        install(tmp_path / "home", ["one"])


def test_an_environment_with_more_groups_serves_fewer(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    table.add("two", ["other==1.0"])
    home = tmp_path / "home"
    made = begin(home, ["one", "two"], template, ready=True)
    for names in (["one"], ["two"], ["two", "one"]):
        assert environment.find(home, names) == made.python
    table.set("two", ["other==1.1"])
    assert environment.find(home, ["one"]) == made.python
    assert environment.find(home, ["two"]) is None


def test_the_newest_ready_environment_is_taken(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    home = tmp_path / "home"
    older = begin(home, ["one"], template, ready=True)
    newer = replace(older, folder=older.folder.with_name("newer"), finished=time.time() + 9)
    shutil.copytree(older.folder, newer.folder, symlinks=True)
    newer.save()
    assert environment.find(home, ["one"]) == newer.python


# State is what the disk says


def test_an_environment_whose_python_is_gone_is_made_again(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    home = tmp_path / "home"
    made = begin(home, ["one"], template, ready=True)
    config = made.venv / "pyvenv.cfg"
    text = config.read_text()
    lines = ["home = /gone/bin" if row.startswith("home") else row for row in text.splitlines()]
    config.write_text("\n".join(lines))
    assert environment.state(home, ["one"])[0] is State.INCOMPLETE

    def stop(text: str) -> None:
        if text == "Installing small":
            raise Canceled

    report = Recorder(on_status=stop)
    with pytest.raises(Canceled):
        install(home, ["one"], report)
    assert any("Making an environment" in text for text in report.statuses)
    assert environment.state(home, ["one"])[0] is State.INCOMPLETE
    assert value_of(install(home, ["one"]), "small.VALUE", "small") == "7"


@pytest.mark.parametrize(
    "damage", ["", "{}", "[]", '{"asked": 3}', '{"python_version": "three"}', "\0\0\0"]
)
def test_a_damaged_record_is_no_environment(
    table: Table, tmp_path: Path, template: Path, damage: str
) -> None:
    table.add("one", ["small==1.0"])
    made = begin(tmp_path, ["one"], template, ready=True)
    (made.folder / environment.RECORD).write_text(damage)
    with pytest.raises(FormatError):
        Environment.load(made.folder)
    assert environment.state(tmp_path, ["one"]) == (State.MISSING, None)


def test_in_use_says_when_the_environment_is_gone(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["small==1.0"])
    made = begin(tmp_path, ["one"], template, ready=True)
    with environment.in_use(made.python), environment.in_use(made.python):
        assert environment.is_used(made.folder)
    assert not environment.is_used(made.folder)
    assert environment.remove(tmp_path) == []
    with pytest.raises(InstallError) as caught, environment.in_use(made.python):
        pass
    assert caught.value.remedy is Remedy.INSTALL_ENVIRONMENT
    with environment.in_use(HOST):
        pass  # a Python that is none of ours


def test_a_use_ends_with_its_process(table: Table, tmp_path: Path, template: Path) -> None:
    table.add("one", ["small==1.0"])
    made = begin(tmp_path, ["one"], template, ready=True)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom backend import environment\n"
        f"with environment.in_use(Path({str(made.python)!r})): print('held', flush=True); input()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-B", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        assert environment.remove(tmp_path) == [made.folder]
        holder.send_signal(signal.SIGKILL)
    assert environment.remove(tmp_path) == []
    assert not made.folder.exists()


def test_remove_waits_for_no_installation(tmp_path: Path) -> None:
    lock = environment.FileLock(tmp_path / "locks" / "environments.lock")
    assert lock.acquire()
    with pytest.raises(InstallError, match="being installed"):
        environment.remove(tmp_path)
    lock.release()
    assert environment.remove(tmp_path) == []


def test_a_second_installation_waits_for_the_first(table: Table, tmp_path: Path) -> None:
    table.add("one", ["small==1.0"])
    lock = environment.FileLock(tmp_path / "locks" / "environments.lock")
    assert lock.acquire()

    def stop(text: str) -> None:
        if text.startswith("Waiting"):
            raise Canceled

    with pytest.raises(Canceled):
        install(tmp_path, ["one"], Recorder(on_status=stop))
    lock.release()


# The verb


def run_verb(home: Path, *words: str, online: bool = True) -> int:
    host = Host(python=HOST, home=home, online=online)
    return cli.main(["environment", *words], host)


def test_the_verb_shows_installs_and_removes(
    table: Table, tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.add("core", ["small==1.0"])
    table.add("extra", ["other==1.0"])
    home = tmp_path / "home"
    assert run_verb(home) == 0
    shown = capsys.readouterr().out
    assert str(home) in shown
    assert [line.split()[:2] for line in shown.splitlines()[2:]] == [
        ["core", "missing"],
        ["extra", "missing"],
    ]
    assert run_verb(home, "install", online=False) == 1
    assert "online access is off" in capsys.readouterr().err
    made = begin(home, ["core"], template)
    assert run_verb(home, "install") == 0
    assert f"ready: {made.python}" in capsys.readouterr().out
    assert run_verb(home, "status") == 0
    assert f"core   ready    {made.python_version}" in capsys.readouterr().out
    with environment.in_use(made.python):
        assert run_verb(home, "remove") == 1
    assert "is in use" in capsys.readouterr().err
    assert run_verb(home, "remove") == 0
    assert not made.folder.exists()
    assert run_verb(home, "install", "--group", "none") == 2


# Packages with a build for each kind of GPU


CUDA_13 = "| NVIDIA-SMI 580.95   Driver Version: 580.95   CUDA Version: 13.0     |"


@pytest.mark.parametrize(
    ("said", "build"),
    [
        (CUDA_13, "cu130"),
        (CUDA_13.replace("13.0", "13.2"), "cu130"),
        (CUDA_13.replace("13.0", "12.8"), "cu126"),
        (CUDA_13.replace("13.0", "11.4"), "cpu"),
        ("NVIDIA-SMI has failed", "cpu"),
    ],
)
def test_the_driver_chooses_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, build: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert torch_builds.choose("linux", {}) == build
    assert torch_builds.choose("darwin", {}) == torch_builds.USUAL
    assert torch_builds.choose("linux", {torch_builds.VARIABLE: "cu126"}) == "cu126"
    with pytest.raises(UsageError, match="it takes usual, cpu, cu130"):
        torch_builds.choose("linux", {torch_builds.VARIABLE: "cu11"})


def test_a_machine_without_a_driver_computes_on_its_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert torch_builds.choose("linux", {}) == torch_builds.CPU


def test_builds_come_from_one_index(
    table: Table, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`small` and `twin` have a CUDA build at the vendor's and another at the usual server's."""
    vendor = tmp_path / "vendor" / "cu130"
    for name in ("small", "twin"):
        (vendor / name).mkdir(parents=True)
        make_wheel(vendor / name, name, {f"{name}.py": "VALUE = 'cuda'\n"}, version="1.0+cu130")
        file = next((vendor / name).glob("*.whl")).name
        link = f'<a href="{file.replace("+", "%2B")}">{file}</a>'
        (vendor / name / "index.html").write_text(link, encoding="utf-8")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED_SERVER)
    monkeypatch.setenv(torch_builds.VARIABLE, "cu130")
    monkeypatch.setattr(torch_builds, "INDEX", f"{(tmp_path / 'vendor').as_uri()}/{{build}}")
    answers = iter([True, False])
    monkeypatch.setattr(torch_builds, "reachable", lambda _build: next(answers))
    table.add("one", ["small==1.0", "twin==1.0"], built=("small", "twin"))
    home, report = tmp_path / "home", Recorder()
    begin(home, ["one"], template)
    python = install(home, ["one"], report)
    assert value_of(python, "small.VALUE", "small") == "cuda"
    assert value_of(python, "twin.VALUE", "twin") == "cuda"


def test_an_index_that_cannot_be_reached_is_told_and_passed_over(
    table: Table, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(torch_builds.VARIABLE, "cpu")
    monkeypatch.setattr(torch_builds, "INDEX", "http://127.0.0.1:9/{build}")
    table.add("one", ["small==1.0"], built=("small",))
    home = tmp_path / "home"
    begin(home, ["one"], template)
    told: list[str] = []
    report = Recorder()
    monkeypatch.setattr(report, "warning", told.append)
    assert value_of(install(home, ["one"], report), "small.VALUE", "small") == "7"
    assert len(told) == 1
    assert "(cpu) cannot be reached" in told[0]


def test_a_package_that_works_with_newer_pythons_than_it_says(
    table: Table, tmp_path: Path, template: Path
) -> None:
    table.add("one", ["old==1.0"])
    home = tmp_path / "home"
    begin(home, ["one"], template)
    with pytest.raises(InstallError):
        install(home, ["one"])
    table.add("one", ["old==1.0"], unbound=("old",))
    assert value_of(install(home, ["one"]), "old.VALUE", "old") == "9"


@pytest.mark.parametrize(
    ("program", "warnings", "error"),
    [
        ('{"error": "", "warnings": []}', [], ""),
        ('{"error": "", "warnings": ["They are an odd pair."]}', ["They are an odd pair."], ""),
        ('{"error": "It computes wrongly.", "warnings": []}', [], "It computes wrongly."),
        ("ModuleNotFoundError: No module named 'torch'", [], "torch was installed but cannot"),
    ],
)
def test_a_group_is_tried_out(
    table: Table, tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch,
    program: str, warnings: list[str], error: str,
) -> None:  # fmt: skip
    (tmp_path / "try.py").write_text(f"print({program!r})\n")
    monkeypatch.setattr(installation, "WORKER", tmp_path)
    table.add("one", ["small==1.0"], check="try.py")
    home = tmp_path / "home"
    begin(home, ["one"], template)
    told: list[str] = []
    report = Recorder()
    monkeypatch.setattr(report, "warning", told.append)
    if error:
        with pytest.raises(InstallError, match=error):
            install(home, ["one"], report)
        assert environment.state(home, ["one"])[0] is State.INCOMPLETE
    else:
        install(home, ["one"], report)
    assert told == warnings


# The real requirements


def test_torch_comes_last_and_all_it_needs_before() -> None:
    for version in PYTHONS:
        assert [pin.partition("==")[0] for pin in pins(("ml",), version)][-2:] == [
            "torch", "torchvision",
        ]  # fmt: skip
    assert set(GROUPS["ml"].built) == {"torch", "torchvision"}
    assert "numpy==1.26.4" in pins(("core", "ml"), (3, 11))
    assert (installation.WORKER / GROUPS["ml"].check).is_file()


@pytest.mark.parametrize("version", PYTHONS)
def test_every_requirement_is_an_exact_pin_once(version: tuple[int, int]) -> None:
    for name, group in GROUPS.items():
        if version not in group.versions:
            continue
        pinned = pins((name,), version)
        names = [pin.partition("==")[0] for pin in pinned]
        assert len(names) == len(set(names)), name
        assert len(pinned) >= len(group.modules), name
    assert groups.installer_pins(version)


def test_groups_agree_where_they_meet() -> None:
    together = tuple(name for name, group in GROUPS.items() if not group.alone)
    for version in groups.usable_versions(together):
        names = [pin.partition("==")[0] for pin in pins(together, version)]
        assert len(names) == len(set(names))


def test_what_has_the_files_of_others_takes_no_others_in() -> None:
    """Both of these have a folder `pycolmap`."""
    with pytest.raises(UsageError, match="to itself"):
        pins(("core", "colmap-cuda"), (3, 11))
    assert "pycolmap-cuda12==4.2.1" in pins(("colmap-cuda",), (3, 11))


def test_python_311_stays_below_numpy_2() -> None:
    assert "numpy==1.26.4" in pins(("core", "blender"), (3, 11))
    assert not any(pin.startswith("numpy==1") for pin in pins(("core",), (3, 12)))


def test_every_requirements_file_belongs_to_a_group() -> None:
    files = {file.stem for file in groups.REQUIREMENTS.glob("*.txt")}
    assert files == set(GROUPS) | {groups.INSTALLER}


def test_conditions_and_mistakes(table: Table) -> None:
    table.add("one", ['a==1 ; python_version < "3.12"', 'b==2 ; python_version >= "3.12"  # why'])
    assert pins(["one"], (3, 11)) == ("a==1",)
    assert pins(["one"], (3, 12)) == ("b==2",)
    table.set("one", ["a>=1"])
    with pytest.raises(ValueError, match="no exact pin"):
        pins(["one"], (3, 11))
    with pytest.raises(UsageError, match="no group 'tow'"):
        pins(["tow"], (3, 11))


def test_the_fingerprint_tells_what_differs() -> None:
    base = fingerprint((3, 11), "linux-x86_64", ["a==1", "b==2"])
    assert base == fingerprint((3, 11), "linux-x86_64", ["b==2", "a==1"])
    assert len(base) == 12
    others = {
        fingerprint((3, 12), "linux-x86_64", ["a==1", "b==2"]),
        fingerprint((3, 11), "win-amd64", ["a==1", "b==2"]),
        fingerprint((3, 11), "linux-x86_64", ["a==1", "b==3"]),
    }
    assert len(others | {base}) == 4


def test_where_a_venv_has_its_python() -> None:
    assert installation.venv_python(Path("v"), "win32") == Path("v/Scripts/python.exe")
    assert installation.venv_python(Path("v"), "darwin") == Path("v/bin/python")


def test_pip_keeps_the_users_servers_and_nothing_that_leads_elsewhere(tmp_path: Path) -> None:
    base = {"PIP_INDEX_URL": "u", "HTTPS_PROXY": "p", "PIP_TARGET": "/t", "PIP_USER": "1"}
    made = installation.pip_environment(tmp_path, base)
    assert made["PIP_INDEX_URL"] == "u"
    assert made["HTTPS_PROXY"] == "p"
    assert "PIP_TARGET" not in made
    assert made["PIP_USER"] == "0"
    assert made["TMPDIR"] == str(tmp_path)


# Which Python


def test_a_real_python_tells_what_it_is() -> None:
    python = host_python.probe([sys.executable])
    assert python is not None
    assert python.version == VERSION
    assert python.problem == ""
    assert host_python.probe(["/no/such/python"]) is None
    assert host_python.probe(["/bin/false"]) is None


def stand_in(folder: Path, version: tuple[int, int], **facts: object) -> Path:
    """A program that answers the probe as a Python of that kind would."""
    folder.mkdir(exist_ok=True)
    file = folder / f"python{version[0]}.{version[1]}"
    answer = {"executable": str(file), "version": version, "platform": "p"}
    answer |= {"usual": True, "wide": True, "venv": True} | facts
    program = f"#!{sys.executable}\nimport json\nprint(json.dumps({answer!r}))\n"
    file.write_text(program)
    file.chmod(0o755)
    return file


def test_the_given_python_comes_first_then_the_best(tmp_path: Path) -> None:
    newer, best = stand_in(tmp_path, (3, 13)), stand_in(tmp_path, (3, 11))
    environ = {"PATH": str(tmp_path)}

    def chosen(given: Path, versions: Sequence[tuple[int, int]]) -> Path:
        return host_python.choose(given, versions, "linux", environ).executable

    assert chosen(newer, PYTHONS) == newer
    assert chosen(newer, [(3, 11)]) == best
    assert chosen(tmp_path / "none", PYTHONS) == best
    stand_in(tmp_path, (3, 11), venv=False)
    assert chosen(best, PYTHONS) == newer


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"venv": False}, "sudo apt install python3.11-venv"),
        ({"wide": False}, "32-bit"),
        ({"usual": False}, "not the usual build"),
    ],
)
def test_why_a_python_cannot_be_used(tmp_path: Path, facts: dict[str, bool], said: str) -> None:
    given = stand_in(tmp_path, (3, 11), **facts)
    with pytest.raises(InstallError, match=said):
        host_python.choose(given, [(3, 11)], "linux", {"PATH": ""})


def test_a_wrong_python_is_named_and_the_right_one_too(tmp_path: Path) -> None:
    given = stand_in(tmp_path, (3, 9))
    with pytest.raises(InstallError) as caught:
        host_python.choose(given, [(3, 11)], "linux", {"PATH": str(tmp_path)})
    assert "needs Python 3.11" in caught.value.reason
    assert f"Python 3.9 ({given})" in caught.value.reason


def test_where_pythons_are_looked_for(tmp_path: Path) -> None:
    program = stand_in(tmp_path, (3, 12))
    environ = {"PATH": f"{tmp_path}{os.pathsep}/no/such"}
    versions = ((3, 11), (3, 12))
    found = list(host_python.candidates(versions, "linux", environ))
    assert found == [[str(program)]]
    windows = list(host_python.candidates(versions, "win32", environ))
    assert windows == [["py", "-3.11"], ["py", "-3.12"]]
    assert [str(program)] in list(host_python.candidates(versions, "darwin", environ))


# What pip says (recorded from pip 23.2.1 and 26.3), and what the user is told

RETRY = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after"
    " connection broken by '{}': /simple/six/"
)
UNMET = (
    "ERROR: Could not find a version that satisfies the requirement six==1.16.0 (from versions: "
    "none)\nERROR: No matching distribution found for six==1.16.0"
)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            RETRY.format(
                "NewConnectionError(\"HTTPConnection(host='127.0.0.1', port=9): Failed to "
                'establish a new connection: [Errno 111] Connection refused")'
            )
            + "\n"
            + UNMET,
            "server cannot be reached",
        ),
        (
            RETRY.format(
                "NameResolutionError(\"HTTPSConnection(host='no.such.host', port=443): Failed to "
                "resolve 'no.such.host' ([Errno -2] Name or service not known)\")"
            )
            + "\n"
            + UNMET,
            "server cannot be reached",
        ),
        (
            RETRY.format(
                "ProxyError('Cannot connect to proxy.', NewConnectionError('<pip._vendor.urllib3."
                "connection.HTTPSConnection object at 0x7f08f8773380>: Failed to establish a new "
                "connection: [Errno 111] Connection refused'))"
            )
            + "\n"
            + UNMET,
            "proxy cannot be reached",
        ),
        (
            RETRY.format("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'")
            + "\n"
            + UNMET,
            "PIP_CERT",
        ),
        (UNMET, "no build of six 1.16.0 for this machine (Python 3.11, linux-x86_64)"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on "
            "device",
            "disk became full while six was installed",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: "
            "'/opt/x'",
            "check the rights of /home/env",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "download of six arrived damaged",
        ),
        ("ERROR: HTTP error 503 while getting https://x/six.whl", "server refused to give six"),
        (
            "The virtual environment was not created successfully because ensurepip is not "
            "available.",
            "apt install python3-venv",
        ),
        ("Looking in links\nERROR: Something new.\n", "six could not be installed: Something new."),
        ("", "six could not be installed: it said nothing."),
    ],
)
def test_pips_words_become_one_sentence(output: str, said: str) -> None:
    told = pip_output.explain_install(
        output.splitlines(), "six", "Python 3.11, linux-x86_64", "/home/env"
    )
    assert said in told


def test_a_missing_system_library_names_the_packages() -> None:
    said = textwrap.dedent(
        """\
        Traceback (most recent call last):
          File "<string>", line 1, in <module>
        ImportError: libSM.so.6: cannot open shared object file: No such file or directory"""
    ).splitlines()
    library = pip_output.missing_library(said)
    assert library == "libSM.so.6"
    told = pip_output.explain_libraries("bpy", [library, "libXi.so.6"])
    assert "sudo apt install libsm6 libxi6;" in told
    assert "sudo dnf install libSM libXi." in told
    assert pip_output.missing_library(["ImportError: No module named x"]) == ""


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("ImportError: DLL load failed while importing av: not found", 1, "Visual C++"),
        ("ImportError: /lib/libc.so.6: version `GLIBC_2.28' not found", 1, "newer Linux"),
        ("", -signal.SIGILL, "crashes on this machine"),
        ("", 0xC000001D, "crashes on this machine"),
        ("Traceback\nValueError: no", 1, "ValueError: no"),
    ],
)
def test_why_a_package_cannot_be_used(output: str, status: int, said: str) -> None:
    assert said in pip_output.explain_import(output.splitlines(), "av", status)


def test_libraries_of_the_table_have_packages() -> None:
    for group in GROUPS.values():
        assert set(group.libraries) <= set(pip_output.SYSTEM_LIBRARIES)


def test_a_big_download_is_told_of_by_tenths() -> None:
    download = pip_output.DownloadProgress("bpy")
    begin = download.read("  Downloading bpy-4.5.15-cp311-cp311-manylinux.whl (372.8 MB)")
    assert begin == "Downloading bpy (372.8 MB)"
    lines = [f"Progress {done * 10**6} of 372800000" for done in range(372)]
    assert all(pip_output.is_raw_progress(line) for line in lines)
    told = [text for line in lines if (text := download.read(line))]
    assert len(told) == 9
    assert told[0] == "Downloading bpy: 38 of 372 MB"


def test_a_small_download_is_not() -> None:
    download = pip_output.DownloadProgress("idna")
    lines = ("  Downloading idna-3.20-py3-none-any.whl (70 kB)", "Progress 50000 of 70000")
    assert not any(download.read(line) for line in lines)
