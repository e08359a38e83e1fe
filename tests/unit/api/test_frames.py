import pytest

from lamina.api.frames import FrameReader, encode_frame
from lamina.errors import EngineError
from lamina.streams import Frame


def test_frames_have_a_head_of_eight_bytes() -> None:
    assert encode_frame(Frame(2, b"hello")) == b"\2\0\0\0\0\0\0\5hello"


@pytest.mark.parametrize("size", [1, 3, 8, 9, 1000])
def test_frames_are_read_however_they_are_cut(size: int) -> None:
    frames = [Frame(1, b"a" * 20), Frame(2, b"b"), Frame(1, b""), Frame(1, b"c" * 9)]
    wire = b"".join(map(encode_frame, frames))
    reader = FrameReader()
    read = [
        frame for start in range(0, len(wire), size) for frame in reader.feed(wire[start:][:size])
    ]
    for stream in (1, 2):
        assert b"".join(frame.data for frame in read if frame.stream == stream) == b"".join(
            frame.data for frame in frames if frame.stream == stream
        )
    assert all(len(frame.data) <= size for frame in read)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(EngineError, match="Unrecognized input header: 72"):
        FrameReader().feed(b"HTTP/1.1 200 OK")
