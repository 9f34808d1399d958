"""The embedded PostgreSQL: shared by processes, healed after every kind of death, polite to files.

Every test has a folder of its own, in memory where there is some, because pytest's tmp_path is
closed to the account that runs PostgreSQL for root.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import app
from app.database import embedded, embedded_home
from app.database.embedded import EmbeddedServer
from app.database.embedded_home import EmbeddedPostgresError, EmbeddedPostgresMissing, pg_bin
from app.database.url import DatabaseUrl

PROJECT = Path(next(iter(app.__path__))).parent
MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of ours within, made private
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server an account")
NOT_AS_ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
USER = """
import sys
from pathlib import Path
from app.database import embedded as postgres
server = postgres.start(Path(sys.argv[1]), fast=True)
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.release()
"""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="sb-", dir=MEMORY if MEMORY.is_dir() else None)).resolve()
    top.chmod(0o755)
    yield top / "pg"
    embedded.stop(top / "pg")
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with temporary_folder() as folder:
        started(folder).release()
        yield folder / "data"


@pytest.fixture
def empty() -> Iterator[Path]:
    """Return a folder that does not exist yet."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def folder(empty: Path, cluster: Path) -> Path:
    """Return a folder with a cluster that was stopped cleanly."""
    empty.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", cluster, empty], check=True)
    return empty


@pytest.fixture
def another_user(empty: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a function that starts another process which uses the server of the folder."""
    started: list[subprocess.Popen[str]] = []

    def spawn() -> subprocess.Popen[str]:
        started.append(user_process(empty))
        return started[-1]

    yield spawn
    for process in started:
        process.kill()
        process.communicate()


def user_process(folder: Path, python: str = sys.executable, **how: Any) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(PROJECT), str(pg_bin().parents[2])])
    return subprocess.Popen(
        [python, "-c", USER, folder],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": path},
        **how,
    )


def pid_told_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[0])


def query(server: EmbeddedServer, sql: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(**DatabaseUrl.parse(server.url).connect_args())
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def dies(pid: int, seconds: float = 10) -> bool:
    give_up = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < give_up:
        time.sleep(0.02)
    return not is_alive(pid)


def child_of(server: EmbeddedServer) -> int:
    """Return the process id of some PostgreSQL worker, which must not die with its parent."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return int(children[0])


def kill_server(server: EmbeddedServer) -> None:
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert dies(pid)


def started(folder: Path, **how: Any) -> EmbeddedServer:
    return embedded.start(folder, fast=True, **how)


def test_a_server_as_the_service_wants_it(empty: Path) -> None:
    said: list[str] = []
    with embedded.start(empty, say=said.append) as server:
        assert [words.split()[0] for words in said] == ["Creating", "Starting"]
        assert str(query(server, "show server_version")).startswith("18.")
        settings = {
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "listen_addresses": "",
            "max_connections": "200",
            "fsync": "on",
            "log_timezone": "UTC",
            "unix_socket_permissions": "0700",
        }
        assert {name: query(server, f"show {name}") for name in settings} == settings
        assert query(server, "select current_user || current_database()") == "postgressignalbook"
        assert (
            query(
                server,
                "select datlocprovider::text || datlocale || upper('é') from "
                "pg_database where datname = 'signalbook'",
            )
            == "bC.UTF-8É"
        )
    assert server.pid is None


def test_data_survives_and_fast_gives_up_durability(folder: Path) -> None:
    with started(folder, database="odd 'name\"/%") as server:
        query(server, "create table camera as select 7 as channel")
    with started(folder, database="odd 'name\"/%") as server:
        assert query(server, "select channel from camera") == 7
        assert [
            query(server, f"show {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ] == ["off"] * 3


def test_processes_share_one_server_until_the_last_releases(
    empty: Path, another_user: Callable[[], subprocess.Popen[str]]
) -> None:
    first, second = another_user(), another_user()  # at the same time: one of them starts it
    server = started(empty)
    assert server.pid
    pid = server.pid
    assert {pid_told_by(first), pid_told_by(second)} == {pid}
    first.communicate()
    server.release()
    server.release()
    assert is_alive(pid)
    second.communicate()
    assert not is_alive(pid)


def test_two_uses_in_one_process_count_twice(folder: Path) -> None:
    first, second = started(folder), started(folder, database="other")
    first.release()
    assert query(second, "select current_database()") == "other"
    second.release()
    assert second.pid is None


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_user_does_not_count_as_living(
    another_user: Callable[[], subprocess.Popen[str]], death: int
) -> None:
    killed, last = another_user(), another_user()
    pid = pid_told_by(killed)
    assert pid_told_by(last) == pid
    killed.send_signal(death)
    killed.communicate()
    assert is_alive(pid)
    last.send_signal(death)  # nobody is left to stop the server but its watcher
    last.communicate()
    assert dies(pid)


def test_ctrl_c_reaches_the_user_and_not_the_server(folder: Path) -> None:
    process = user_process(folder, start_new_session=True, stderr=subprocess.DEVNULL)
    pid = pid_told_by(process)
    with started(folder):
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        process.communicate()
        assert is_alive(pid)
    assert not is_alive(pid)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 on, with threads
def test_a_forked_child_does_not_release_for_its_parent(folder: Path) -> None:
    with started(folder) as server:
        if (child := os.fork()) == 0:
            server.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert query(server, "select 1") == 1


def test_stop_whoever_uses_it(folder: Path) -> None:
    server = started(folder)
    assert server.pid
    embedded.stop(folder)
    assert server.pid is None
    server.release()
    embedded.stop(folder)
    embedded.stop(folder / "never")


def test_a_killed_server_with_live_children_heals(folder: Path) -> None:
    with embedded.start(folder) as server:  # durable: "fast" may lose the last commits
        query(server, "create table camera as select 7 as channel")
        stuck = child_of(server)
        os.kill(stuck, signal.SIGSTOP)  # it cannot notice the death and keeps shared memory
        kill_server(server)
        assert server.pid is None
        with started(folder) as again:
            assert dies(stuck)
            assert query(again, "select channel from camera") == 7


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage\n",
        b"\xff\x00\xfe",
        b"-5\n",
        b"99999999999999\n",
        b"2147483600\nx",
        "{}\n",
        "{}\n{}\n1700000000\n5432\n{}/run\n\n  1234567         0\nready   \n",
    ],
)
def test_a_stale_pid_file_heals(cluster: Path, content: bytes | str) -> None:
    data, folder = cluster, cluster.parent
    owner = None if os.geteuid() else data.owner()  # PostgreSQL believes pids of its own user
    stranger = subprocess.Popen(["sleep", "60"], user=owner)
    text = str(content).format(stranger.pid, data, folder)
    (data / "postmaster.pid").write_bytes(content if isinstance(content, bytes) else text.encode())
    try:
        with started(folder) as server:
            assert query(server, "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_pid_file_scribbled_over_while_the_server_runs_heals(folder: Path) -> None:
    with started(folder) as server:
        doomed = server.pid
        assert doomed
        (folder / "data/postmaster.pid").write_text("garbage")
        with started(folder) as again:
            assert dies(doomed)
            assert query(again, "select 1") == 1


def test_a_server_whose_socket_is_gone_is_replaced(folder: Path) -> None:
    with started(folder) as server:
        doomed = server.pid
        assert doomed
        shutil.rmtree(folder / "run")
        with started(folder) as again:
            assert dies(doomed)
            assert query(again, "select 1") == 1


def test_an_interrupted_initdb_heals(empty: Path) -> None:
    half = empty / "data.new"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with started(empty) as server:
        assert query(server, "select 1") == 1
    assert not half.exists()


def test_a_starter_killed_in_the_middle_heals(
    empty: Path, another_user: Callable[[], subprocess.Popen[str]]
) -> None:
    for seconds in (0.2, 0.5):
        starter = another_user()
        time.sleep(seconds)
        starter.kill()
    with started(empty) as server:
        assert query(server, "select 1") == 1


def test_another_major_version_is_refused(empty: Path) -> None:
    (empty / "data").mkdir(parents=True)
    (empty / "data/PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match=r"by PostgreSQL 15 .* is 18\.\d+: move"):
        started(empty)


def test_a_server_that_does_not_start_shows_its_log(folder: Path) -> None:
    started(folder).release()
    with (folder / "data/postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        started(folder)


def test_a_folder_that_cannot_be_made_is_named(empty: Path) -> None:
    empty.write_text("a file")
    with pytest.raises(EmbeddedPostgresError, match=f"{empty}.*set DATA_DIR to another"):
        started(empty)
    empty.unlink()


@NOT_AS_ROOT
def test_a_folder_that_cannot_be_written_is_named(empty: Path) -> None:
    empty.mkdir(mode=0o500)
    with pytest.raises(EmbeddedPostgresError, match=f"{empty}.*make that folder writable"):
        started(empty)


@pytest.mark.parametrize("name", ["n" * 120, 'Bühne, "1"'])
def test_a_folder_unfit_for_a_socket_gets_a_private_one(empty: Path, name: str) -> None:
    odd = empty / name
    try:
        with started(odd) as server:
            socket_folder = Path(DatabaseUrl.parse(server.url).host)
            assert len(str(socket_folder)) < 50
            assert not socket_folder.is_relative_to(odd)
            assert socket_folder.stat().st_mode & 0o777 == 0o700
            assert query(server, "select 1") == 1
    finally:
        socket_folder.rmdir()


def test_a_socket_folder_of_somebody_else_is_refused(empty: Path) -> None:
    home = embedded_home.prepare_home(empty / ("n" * 120), lambda _: None)
    home.socket_folder.symlink_to(empty)
    try:
        with pytest.raises(EmbeddedPostgresError, match="not a folder of mode 0700"):
            started(empty / ("n" * 120))
    finally:
        home.socket_folder.unlink()


def test_without_the_wheel(monkeypatch: pytest.MonkeyPatch, empty: Path) -> None:
    monkeypatch.setattr(embedded_home, "_WHEEL", None)
    with pytest.raises(EmbeddedPostgresMissing, match="set DATABASE_URL"):
        started(empty)


def test_importing_needs_neither_the_wheel_nor_anything_else() -> None:
    # -S: no site-packages at all, as a production image without the optional extra, and more so.
    subprocess.run(
        [sys.executable, "-S", "-c", "import app.database.embedded, app.database.url"],
        env={"PYTHONPATH": str(PROJECT)},
        check=True,
    )


def test_pg_bin_holds_working_programs() -> None:
    for program in ("psql", "pg_dump", "pgbench"):
        subprocess.run([pg_bin() / program, "--version"], check=True, stdout=subprocess.DEVNULL)


@AS_ROOT
@pytest.mark.parametrize("missing", [(), ("postgres",)])
def test_root_lends_the_server_an_account(
    empty: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    everybody = [entry for entry in pwd.getpwall() if entry.pw_name not in missing]
    monkeypatch.setattr(pwd, "getpwall", lambda: everybody)
    names = {entry.pw_name for entry in everybody}
    with started(empty) as server:
        expected = "postgres" if "postgres" in names else "nobody"
        assert Path(f"/proc/{server.pid}").owner() == expected
        assert "Groups:\t \n" in Path(f"/proc/{server.pid}/status").read_text()
        assert (empty / "data").owner() == expected


@AS_ROOT
def test_root_moves_out_of_a_closed_folder_and_leaves_its_permissions(empty: Path) -> None:
    empty.parent.chmod(0o700)
    said: list[str] = []
    moved = Path("/nowhere")
    try:
        with started(empty, say=said.append) as server:
            moved = next(Path(word.rstrip(",")) for word in said[0].split() if word[0] == "/")
            assert moved.parent == Path("/var/lib/signalbook")
            query(server, "create table camera as select 7 as channel")
        empty.parent.chmod(0o755)  # now it could live there, but its data is where it is
        with started(empty) as server:
            assert query(server, "select channel from camera") == 7
            embedded.stop(empty)
            assert server.pid is None
        empty.parent.chmod(0o700)
        assert list(empty.iterdir()) == []
        assert empty.parent.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(moved)


@AS_ROOT
def test_an_ordinary_user_and_root_share_the_users_folder(empty: Path) -> None:
    python = shutil.which("python3.11", path="/usr/bin:/usr/local/bin")
    nobody = pwd.getpwnam("nobody")
    reachable = (
        python
        and subprocess.run(
            [python, "-c", f"import os, sys; os.stat({str(pg_bin() / 'postgres')!r})"],
            check=False,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
        ).returncode
        == 0
    )
    if not python or not reachable:
        pytest.skip("no Python 3.11 that an ordinary user can run, or the wheel is out of reach")
    os.chown(empty.parent, nobody.pw_uid, nobody.pw_gid)
    process = user_process(empty, python, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    try:
        pid = pid_told_by(process)
        assert Path(f"/proc/{pid}").owner() == "nobody"
        with started(empty) as server:  # root joins, ...
            assert server.pid == pid
        process.communicate()
        assert not is_alive(pid)
        with started(empty) as server:  # ... and root alone still runs it as its owner
            assert Path(f"/proc/{server.pid}").owner() == "nobody"
        assert {entry.owner() for entry in empty.iterdir()} == {"nobody"}
    finally:
        process.kill()
        process.communicate()
