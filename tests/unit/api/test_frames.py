from lamina.api.frames import encode_frame
from lamina.streams import Frame


def test_frames_have_a_head_of_eight_bytes() -> None:
    assert encode_frame(Frame(2, b"hello")) == b"\2\0\0\0\0\0\0\5hello"
    assert encode_frame(Frame(1, b"x" * 0x10203))[:8] == b"\1\0\0\0\0\1\2\3"
