import inspect
import io
import itertools
import shutil
import signal
import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lamina import Client, Engine, ImageApi, SystemApi, blocking
from lamina.errors import ImageNotFound, LaminaError, NotFound, Unavailable
from lamina.models import EventMessage, ImageSummary
from lamina.progress import LayerProgress
from tests.real.archives import docker_archive
from tests.real.images import file, layer, make_image, small_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon

FIRST, SECOND = small_image("first blocking"), small_image("second blocking")
NAMES = ["blocking:1", "blocking:2"]
ARCHIVE = tar_of(docker_archive((FIRST, NAMES[:1]), (SECOND, NAMES[1:])))
# A layer that is told of while it comes.
LARGE = tar_of(docker_archive((make_image(layer(file("large", bytes(8 << 20)))), ["blocking:3"])))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def engine(root: Path) -> Iterator[blocking.Api]:
    with blocking.use(Engine.open(root)) as engine:
        yield engine


@pytest.fixture
def client(lamina_daemon: LaminaDaemon) -> Iterator[blocking.Api]:
    with blocking.use(Client.connect(lamina_daemon.host)) as client:
        yield client
        for image in client.image_list(filters={"reference": "blocking"}):
            client.image_delete(image.id, force=True)


@pytest.fixture(params=["engine", "client"])
def api(request: pytest.FixtureRequest) -> blocking.Api:
    found: blocking.Api = request.getfixturevalue(request.param)
    return found


def names(api: blocking.Api) -> list[str]:
    images: list[ImageSummary] = api.image_list(filters={"reference": "blocking"})
    return sorted(name for image in images for name in image.repo_tags)


@pytest.mark.parametrize("protocol", [ImageApi, SystemApi])
def test_every_operation_is_there(protocol: type) -> None:
    operations = [name for name in vars(protocol) if not name.startswith("_")]
    assert operations
    for name in operations:
        ours, theirs = (inspect.signature(getattr(of, name)) for of in (blocking.Api, protocol))
        assert ours == theirs, name
        assert getattr(blocking.Api, name).__doc__ == getattr(protocol, name).__doc__


def test_a_life(api: blocking.Api) -> None:
    assert api.image_load(io.BytesIO(ARCHIVE)).result() == NAMES
    assert names(api) == NAMES
    assert api.image_inspect("blocking:1").id == FIRST.id
    assert len(api.image_history("blocking:1")) == len(FIRST.parsed_config["history"])
    api.image_tag("blocking:1", repo="blocking", tag="3")
    assert [item.untagged for item in api.image_delete("blocking:3")] == ["blocking:3"]
    with pytest.raises(ImageNotFound, match="No such image: blocking:3"):
        api.image_inspect("blocking:3")
    assert api.system_ping().os_type == "linux"
    assert api.system_data_usage(types=["image"]).layers_size > 0


def test_bytes_of_every_kind(api: blocking.Api, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    path.write_bytes(ARCHIVE)
    assert api.image_load(path).result() == NAMES
    assert api.image_load([ARCHIVE[:1000], b"", ARCHIVE[1000:]]).result() == NAMES
    with path.open("rb") as file:
        assert api.image_load(iter(lambda: file.read(999), b"")).result() == NAMES
    with path.open("rb") as file:
        assert api.image_load(file).result() == NAMES


def test_the_events_of_an_operation(api: blocking.Api) -> None:
    operation = api.image_load([ARCHIVE])
    assert len(list(operation)) > 2
    assert operation.result() == NAMES
    with pytest.raises(RuntimeError, match="runs once"):
        list(operation)


def test_what_fails(api: blocking.Api) -> None:
    with pytest.raises(LaminaError, match="invalid tar header"):
        list(api.image_load([b"no archive" * 100]))

    def source() -> Iterator[bytes]:
        yield ARCHIVE[:1000]
        raise LookupError("of my own")

    with pytest.raises(LookupError, match="of my own"):
        api.image_load(source()).result()
    assert names(api) == []


class Endless:
    """Half of an archive, and nothing more for ever; `goes_on` tells of that."""

    def __init__(self, data: bytes = ARCHIVE) -> None:
        self._data = data
        self.goes_on = threading.Event()
        self.turns = 0

    def __iter__(self) -> Iterator[bytes]:
        yield self._data[: len(self._data) // 2]
        for self.turns in itertools.count():
            self.goes_on.set()
            yield b""


def test_who_leaves_early_cancels(engine: blocking.Api) -> None:
    # Only what is saved says beforehand what comes.
    engine.image_load([LARGE]).result()
    with engine.image_get("blocking:3") as archive:
        source = Endless(archive.read())
    engine.image_delete("blocking:3")
    for event in engine.image_load(source):
        assert isinstance(event, LayerProgress)
        break
    turns = source.turns
    assert engine.image_load([ARCHIVE]).result() == NAMES
    # One was on its way.
    assert source.turns <= turns + 1
    assert names(engine) == NAMES


def test_who_is_interrupted_cancels(api: blocking.Api) -> None:
    main = threading.main_thread().ident
    assert main is not None
    source = Endless()

    def interrupt() -> None:
        source.goes_on.wait()
        signal.pthread_kill(main, signal.SIGINT)

    with ThreadPoolExecutor() as threads:
        interrupted = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            api.image_load(source).result()
        interrupted.result()
    assert names(api) == []


def test_an_archive_in_chunks(api: blocking.Api, tmp_path: Path) -> None:
    api.image_load([ARCHIVE]).result()
    with api.image_get_all(NAMES) as archive:
        data = b"".join(archive)
    assert archive.size in (None, len(data))
    with blocking.use(Engine.open(tmp_path / "other")) as other:
        assert other.image_load([data]).result() == NAMES
    with pytest.raises(ValueError, match="closed"):
        archive.read()


def test_an_archive_as_a_file(api: blocking.Api, tmp_path: Path) -> None:
    api.image_load([ARCHIVE]).result()
    path = tmp_path / "1.tar"
    with api.image_get("blocking:1") as archive, path.open("wb") as file:
        start = archive.read(5)
        shutil.copyfileobj(archive, file)
    with api.image_get("blocking:1") as archive:
        assert archive.read(3) + next(archive) + archive.read() == start + path.read_bytes()
        assert list(archive) == []
    with api.image_get("blocking:1") as archive, tarfile.open(fileobj=archive, mode="r|") as tar:
        assert "manifest.json" in tar.getnames()


def test_from_one_to_the_other(engine: blocking.Api, client: blocking.Api) -> None:
    client.image_load([ARCHIVE]).result()
    with client.image_get_all(NAMES) as archive:
        assert engine.image_load(archive).result() == NAMES
    assert names(engine) == names(client)


def test_an_archive_left_early(api: blocking.Api) -> None:
    api.image_load([ARCHIVE]).result()
    with api.image_get("blocking:1") as archive:
        next(archive)
    with pytest.raises(NotFound), api.image_get("blocking:absent"):
        pass
    assert names(api) == NAMES


def test_events(api: blocking.Api) -> None:
    api.image_load([ARCHIVE]).result()
    api.image_tag("blocking:1", repo="blocking", tag="3")
    wanted = {"event": "tag", "type": "image", "image": "blocking:3"}
    with closing(api.system_events(since="1h", filters=wanted)) as events:
        event: EventMessage = next(events)
    assert event.actor.attributes["name"] == "blocking:3"


def test_several_threads(api: blocking.Api) -> None:
    api.image_load([ARCHIVE]).result()

    def tag(number: int) -> str:
        api.image_tag("blocking:1", repo="blocking", tag=f"tag{number}")
        return api.image_inspect(f"blocking:tag{number}").id

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(tag, range(16))) == {FIRST.id}


def test_the_end_for_others(root: Path) -> None:
    """What other threads wait for is cancelled, and nothing goes on."""
    source = Endless()
    with ThreadPoolExecutor() as threads:
        with blocking.use(Engine.open(root)) as engine:
            engine.image_load([tar_of(docker_archive((FIRST, ["blocking:1"])))]).result()
            events = engine.system_events(since="1h")
            next(events)
            loading = threads.submit(engine.image_load(source).result)
            source.goes_on.wait()
        with pytest.raises(RuntimeError, match="closed while it was used"):
            loading.result()
    with pytest.raises(RuntimeError, match="closed while it was used"):
        next(events)
    with pytest.raises(RuntimeError, match="used after it was closed"):
        engine.image_list()
    with blocking.use(Engine.open(root)) as engine:
        assert names(engine) == ["blocking:1"]


def test_the_loop_cannot_wait_for_itself(engine: blocking.Api) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield ARCHIVE[: len(engine.image_list())]

    with pytest.raises(RuntimeError, match="own thread cannot wait"):
        engine.image_load(source()).result()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    with pytest.raises(Unavailable), blocking.use(Client.connect(host)):
        pass
