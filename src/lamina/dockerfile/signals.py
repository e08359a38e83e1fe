"""The signals a container may be stopped with, by their names on Linux."""

import re
from typing import Final

from lamina.dockerfile.source import DockerfileError

_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
_REAL_TIME_FIRST, _REAL_TIME_LAST = 34, 64

SIGNALS: Final[dict[str, int]] = {
    **{name: number for number, name in enumerate(_NAMES.split(), 1)},
    "IOT": 6,
    "CLD": 17,
    "POLL": 29,
    "UNUSED": 31,
    "RTMIN": _REAL_TIME_FIRST,
    "RTMAX": _REAL_TIME_LAST,
    **{f"RTMIN+{n}": _REAL_TIME_FIRST + n for n in range(1, 16)},
    **{f"RTMAX-{n}": _REAL_TIME_LAST - n for n in range(1, 15)},
}


def parse_signal(text: str) -> int:
    """The number of ``9``, ``KILL`` or ``sigkill``; raises DockerfileError.

    A number is taken as it is, except zero, which is no signal.
    """
    if re.fullmatch("[+-]?[0-9]{1,18}", text):
        if int(text) != 0:
            return int(text)
    elif (name := text.upper().removeprefix("SIG")) in SIGNALS:
        return SIGNALS[name]
    raise DockerfileError(f"invalid signal: {text}")
