"""Unpacking a layer's tar stream into a directory that nothing in it can leave.

Two forms (`Form`): a layer on its own, with whiteouts and opaque directories as overlayfs has
them, or onto the tree that the layers below it have left, where a whiteout removes.

The stream is pushed; nothing is held but the data just fed, a few open directories, and the
attributes of directories. Those are set when a directory is closed, since what is made in it later
would change its time, and could not be made in it at all if its mode forbade that.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lamina.errors import InvalidLayer
from lamina.layers.attributes import SPECIAL, Attributes
from lamina.layers.copying import copy_content
from lamina.layers.directories import (
    OPEN_DIRECTORY,
    Directories,
    Directory,
    remove,
)
from lamina.layers.footprint import WHITEOUT_PREFIX, is_whiteout, unpack_error
from lamina.layers.implied import MAX_IMPLIED, ImpliedDirectories
from lamina.layers.index import OPAQUE_MARKER
from lamina.layers.ownership import Ownership
from lamina.layers.sparse import SparseData
from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tarstream import TarScanner

__all__ = ["Applied", "ApplyOptions", "Form", "LayerApplier", "apply_layer"]

_REGULAR: Final = int(EntryType.REGULAR)
_SPARSE: Final = int(EntryType.GNU_SPARSE)
_HARD_LINK: Final = int(EntryType.HARD_LINK)
_SYMLINK: Final = int(EntryType.SYMLINK)
_DIRECTORY: Final = int(EntryType.DIRECTORY)
_VERBS: Final = {_HARD_LINK: "link", _SYMLINK: "symlink", _DIRECTORY: "mkdir"}

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_META_PREFIX: Final = ".wh..wh."
_IMPLIED_MODE: Final = 0o755

# What the file system refuses because of what the layer says, not because of the disk's state.
_LAYERS_FAULT: Final = frozenset((
    errno.E2BIG, errno.EEXIST, errno.EFBIG, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.EMLINK,
    errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EOVERFLOW, errno.ERANGE, errno.EILSEQ,
))  # fmt: skip


class Form(Enum):
    """What a layer's whiteouts become."""

    OVERLAY = "overlay"
    """Whiteouts and opaque directories of overlayfs: the directory is one of its lower ones."""
    MERGED = "merged"
    """The removal of what the layers below have left in the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How a layer is unpacked."""

    form: Form = Form.OVERLAY
    ownership: Ownership = Ownership.SET
    overlay_xattrs: str = "trusted.overlay."
    """Prefix of overlayfs's attributes; ``user.overlay.`` for mounts with ``userxattr``."""
    whiteouts: bool = True
    """Whether names of whiteouts mean something; else it is an archive of files, and no layer."""
    max_implied: int = MAX_IMPLIED
    """Bytes of memory, about, for directories that have no entry."""
    adapt: Callable[[TarHeader], TarHeader] | None = None
    """Gives what is to be made in the place of an entry, or raises LaminaError."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a layer."""

    entries: int
    implied: tuple[str, ...]
    """Directories that were made because something is in them, and that the layer says nothing of;
    empty text for the root. On overlayfs they hide what a layer below says of them."""


def apply_layer(
    chunks: Iterable[bytes | memoryview], root: Path, options: ApplyOptions | None = None
) -> Applied:
    """Unpack the uncompressed tar stream that `chunks` are into the directory `root`.

    Raises InvalidLayer, or OSError for what is not the layer's fault; what is there then is part of
    the layer.
    """
    fd = os.open(root, OPEN_DIRECTORY)
    try:
        with LayerApplier(fd, options) as applier:
            for chunk in chunks:
                applier.feed(chunk)
            return applier.finish()
    finally:
        os.close(fd)


class LayerApplier:
    """Unpacks what is pushed below `root`, the descriptor of a directory, which stays the caller's.

    A context manager: it closes what is open if the layer is not finished.
    """

    def __init__(self, root: int, options: ApplyOptions | None = None) -> None:
        self._options = options or ApplyOptions()
        self._merged = self._options.form is Form.MERGED
        self._recorded = self._options.ownership is Ownership.RECORDED
        self._opaque = f"{self._options.overlay_xattrs}opaque"
        self._scanner = TarScanner(
            self._on_entry, on_data=self._on_data, on_end=self._on_end, error=unpack_error
        )
        self._directories = Directories(
            root, fresh=_is_plain(root), make=self._imply, closing=self._closing
        )
        self._attributes = Attributes(self._options.ownership)
        # By true path: what the layer says of a directory, and directories it is silent about.
        self._said: dict[str, TarHeader] = {}
        self._implied: dict[str, None] = {}
        self._remembered = ImpliedDirectories(unpack_error, limit=self._options.max_implied)
        # Merged: the true paths of what this layer has made, and of what leads there.
        self._made: set[str] = set()
        self._added = 0
        self._file = -1
        self._fresh = False
        self._header: TarHeader | None = None
        self._sparse: SparseData | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._directories.abandon()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the uncompressed stream. Raises InvalidLayer, OSError."""
        self._scanner.feed(data)

    def add(self, header: TarHeader, content: int | None = None) -> None:
        """Take an entry that is not in a stream; `content` is an open file. Between two streams."""
        self._added += 1
        if self._on_entry(header):
            try:
                if content is not None:
                    copy_content(content, self._file)
            finally:
                self._on_end()

    def finish(self) -> Applied:
        """Say that the stream ends here. Raises InvalidLayer if it is not complete, OSError."""
        self._scanner.close()
        self._directories.finish()
        implied = [path for path in self._implied if path not in self._said]
        if "" not in self._said:
            implied.append("")
        return Applied(self._scanner.entries + self._added, tuple(sorted(implied)))

    # What the scanner calls.

    def _on_entry(self, header: TarHeader) -> bool:
        try:
            return self._apply(header)
        except OSError as error:
            raise _blamed(error, header) from error

    def _on_data(self, data: memoryview) -> None:
        if self._sparse is None:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
            return
        try:
            self._sparse.feed(data)
        except ValueError as broken:
            raise unpack_error(f"archive/tar: invalid tar header: {broken}") from broken

    def _on_end(self) -> None:
        header = self._header
        assert header is not None
        try:
            if self._sparse is not None:
                self._sparse.close()
                os.ftruncate(self._file, header.size)
            self._attributes.settle(self._file, header, fresh=self._fresh)
        except ValueError as broken:
            raise unpack_error(f"archive/tar: invalid tar header: {broken}") from broken
        except OSError as error:
            raise _blamed(error, header) from error
        finally:
            file, self._file, self._sparse = self._file, -1, None
            os.close(file)

    def _write_at(self, data: memoryview, offset: int) -> None:
        while data:
            written = os.pwrite(self._file, data, offset)
            data = data[written:]
            offset += written

    # One entry.

    def _apply(self, header: TarHeader) -> bool:
        """Make what the header says; tell whether its data is wanted."""
        if self._options.adapt is not None:
            header = self._options.adapt(header)
        path = header.path
        if (
            self._options.whiteouts
            and WHITEOUT_PREFIX in path
            and (is_whiteout(path) or path.startswith(_META_PREFIX))
        ):
            self._remove(path)
            return False
        above, _, name = path.rpartition("/")
        if not name:
            if header.type != _DIRECTORY:
                raise unpack_error("the root is no directory")
            self._said[""] = header
            return False
        parent = self._directories.get(above)
        if self._merged:
            self._note(f"{parent.path}/{name}" if parent.path else name)
        type = header.type
        if type in (_REGULAR, _SPARSE):
            self._begin_file(parent, above, name, header)
            return True
        if type == _DIRECTORY:
            self._make_directory(parent, above, name, header)
        elif type == _SYMLINK:
            try:
                os.symlink(header.link, name, dir_fd=parent.fd)
            except FileExistsError:
                parent = self._cleared(above, name)
                os.symlink(header.link, name, dir_fd=parent.fd)
            self._attributes.settle_symlink(parent, name, header)
        elif type == _HARD_LINK:
            self._link(parent, above, name, header)
        elif type in SPECIAL:
            self._make_special(parent, above, name, header)
        else:
            raise unpack_error(f"unhandled tar header type {type}")
        return False

    def _begin_file(self, parent: Directory, above: str, name: str, header: TarHeader) -> None:
        # A record can only be kept with a file that its owner may write.
        mode = header.mode & 0o777 | (0o600 if self._recorded else 0)
        try:
            self._file = os.open(name, _CREATE, mode, dir_fd=parent.fd)
        except FileExistsError:
            parent = self._cleared(above, name)
            self._file = os.open(name, _CREATE, mode, dir_fd=parent.fd)
        self._header = header
        self._fresh = parent.fresh
        if header.sparse:
            try:
                self._sparse = SparseData(header, self._write_at)
            except ValueError as broken:
                raise unpack_error(f"archive/tar: invalid tar header: {broken}") from broken

    def _make_directory(self, parent: Directory, above: str, name: str, header: TarHeader) -> None:
        opaque = False
        fresh = True
        try:
            os.mkdir(name, 0o700, dir_fd=parent.fd)
        except FileExistsError:
            there = os.lstat(name, dir_fd=parent.fd)
            fresh = not stat.S_ISDIR(there.st_mode)
            if fresh:
                opaque = self._is_overlay_whiteout(there)
                parent = self._cleared(above, name)
                os.mkdir(name, 0o700, dir_fd=parent.fd)
        made = self._directories.enter(parent, name, fresh=fresh and parent.fresh)
        self._said[made.path] = header
        if opaque:
            os.setxattr(made.fd, self._opaque, b"y")

    def _imply(self, parent: Directory, name: str, there: bool) -> None:  # noqa: FBT001
        """Make the directory that a path leads through."""
        path = f"{parent.path}/{name}" if parent.path else name
        if there:
            # Files of the layers below give way, as whiteouts do; those of this one do not.
            given = (
                path not in self._made
                if self._merged
                else self._is_overlay_whiteout(os.lstat(name, dir_fd=parent.fd))
            )
            if not given:
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            os.unlink(name, dir_fd=parent.fd)
        os.mkdir(name, 0o700, dir_fd=parent.fd)
        # A directory of this path may have been there and been replaced.
        self._said.pop(path, None)
        self._remembered.add(path)
        self._implied[path] = None
        if there and not self._merged:
            made = self._directories.enter(parent, name, fresh=parent.fresh)
            os.setxattr(made.fd, self._opaque, b"y")

    def _link(self, parent: Directory, above: str, name: str, header: TarHeader) -> None:
        if header.link == header.path:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        target_above, _, target = header.link.rpartition("/")
        # A duplicate, because the way to the one directory may close the other.
        source = os.dup(self._directories.get(target_above).fd)
        try:
            parent = self._directories.get(above)
            try:
                os.link(
                    target, name, src_dir_fd=source, dst_dir_fd=parent.fd, follow_symlinks=False
                )
            except FileExistsError:
                os.lstat(target, dir_fd=source)
                parent = self._cleared(above, name)
                os.link(
                    target, name, src_dir_fd=source, dst_dir_fd=parent.fd, follow_symlinks=False
                )
            except PermissionError as error:
                # Directories cannot have links, and say so like this.
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR)) from error
        finally:
            os.close(source)
        self._attributes.settle_link(parent, name, header)

    def _make_special(self, parent: Directory, above: str, name: str, header: TarHeader) -> None:
        if not (0 <= header.major < 1 << 12 and 0 <= header.minor < 1 << 20):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        kind = SPECIAL[header.type]
        if self._recorded and kind != stat.S_IFIFO:
            self._begin_file(parent, above, name, header)
            self._on_end()
            return
        device = os.makedev(header.major, header.minor) if kind != stat.S_IFIFO else 0
        try:
            os.mknod(name, kind | 0o600, device, dir_fd=parent.fd)
        except FileExistsError:
            parent = self._cleared(above, name)
            os.mknod(name, kind | 0o600, device, dir_fd=parent.fd)
        except PermissionError:
            # Root of a user namespace owns what it likes, and makes no devices.
            self._begin_file(parent, above, name, header)
            self._attributes.record(self._file, header)
            self._on_end()
            return
        self._attributes.settle_special(parent, name, header)

    def _closing(self, directory: Directory) -> None:
        """Give a directory its attributes: nothing more is made in it, as far as we can tell."""
        path = directory.path
        header = self._said.get(path)
        if header is not None:
            try:
                self._attributes.settle(directory.fd, header, fresh=directory.fresh)
            except OSError as error:
                raise _blamed(error, header) from error
        elif path in self._implied and directory.fresh:
            os.fchmod(directory.fd, _IMPLIED_MODE)

    # Removals.

    def _cleared(self, above: str, name: str) -> Directory:
        """Remove what an entry replaces; return its directory, which may have been closed."""
        parent = self._directories.get(above)
        there = os.lstat(name, dir_fd=parent.fd)
        if stat.S_ISDIR(there.st_mode) or stat.S_ISLNK(there.st_mode):
            self._directories.forget()
            parent = self._directories.get(above)
        remove(name, within=parent.fd)
        return parent

    def _is_overlay_whiteout(self, there: os.stat_result) -> bool:
        return not self._merged and stat.S_ISCHR(there.st_mode) and there.st_rdev == 0

    def _remove(self, path: str) -> None:
        """Carry a whiteout out. What the layer itself has made stays, in whatever order."""
        above, _, marker = path.rpartition("/")
        if marker == OPAQUE_MARKER:
            directory = self._directories.get(above)
            if self._merged:
                self._remove_unmade(directory.path)
            else:
                os.setxattr(directory.fd, self._opaque, b"y")
            return
        name = marker.removeprefix(WHITEOUT_PREFIX)
        if path.startswith(_META_PREFIX) or marker.startswith(_META_PREFIX):
            return  # AUFS's own
        if name in {"", ".", ".."}:
            raise unpack_error(f"invalid whiteout /{path}")
        parent = self._directories.get(above)
        if self._merged:
            true_path = f"{parent.path}/{name}" if parent.path else name
            if true_path in self._made:
                self._remove_unmade(true_path)
            else:
                with suppress(FileNotFoundError):
                    self._cleared(above, name)
            return
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent.fd)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent.fd).st_mode):
                there = self._directories.enter(parent, name, fresh=False)
                os.setxattr(there.fd, self._opaque, b"y")

    def _note(self, path: str) -> None:
        """Remember that this layer made `path`, and so all that leads to it."""
        made = self._made
        made.add(path)
        while (path := path.rpartition("/")[0]) and path not in made:
            self._remembered.add(path)
            made.add(path)

    def _remove_unmade(self, path: str) -> None:
        """Remove what is below the directory at a true path and is of lower layers."""
        self._directories.forget()
        ahead = [path]
        while ahead:
            path = ahead.pop()
            try:
                directory = self._directories.get(path)
            except NotADirectoryError:
                continue
            with os.scandir(directory.fd) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for name, is_directory in found:
                below = f"{path}/{name}" if path else name
                if below not in self._made:
                    remove(name, within=directory.fd)
                elif is_directory:
                    ahead.append(below)


def _is_plain(root: int) -> bool:
    """Tell whether what is made in the directory is the maker's and gets the mode he says."""
    there = os.fstat(root)
    if there.st_gid != os.getegid() or there.st_mode & stat.S_ISGID:
        return False
    try:
        return "system.posix_acl_default" not in os.listxattr(root)
    except OSError:
        return True


def _blamed(error: OSError, header: TarHeader) -> InvalidLayer | OSError:
    """Return what to raise for a system call that failed at an entry."""
    if error.errno not in _LAYERS_FAULT:
        return error
    verb = _VERBS.get(header.type, "mknod" if header.type in SPECIAL else "open")
    target = f"/{header.link} " if header.type == _HARD_LINK else ""
    why = os.strerror(error.errno).lower()
    return unpack_error(f"{verb} {target}/{header.path}: {why}")
