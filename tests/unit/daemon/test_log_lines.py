import io
import json

import pytest

from lamina.daemon.config import DaemonConfig
from lamina.daemon.log_lines import make_log


def test_logfmt_quotes_what_could_be_misread() -> None:
    stream = io.StringIO()
    log = make_log(DaemonConfig(), stream)
    log.info("ready")
    log.info('two words\nlevel=error "x"')
    log.debug("not shown")
    plain, quoted = stream.getvalue().splitlines()
    assert plain.endswith("Z level=info msg=ready")
    assert quoted.endswith(r'Z level=info msg="two words\nlevel=error \"x\""')


def test_json_lines() -> None:
    stream = io.StringIO()
    log = make_log(DaemonConfig(log_format="json", log_level="error"), stream)
    log.warning("not shown")
    try:
        int("broken")
    except ValueError:
        log.exception("failed")
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert (fields["level"], fields["msg"]) == ("error", "failed")
    assert fields["error"].endswith("base 10: 'broken'")


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
def test_levels(level: str) -> None:
    stream = io.StringIO()
    log = make_log(DaemonConfig(log_level=level), stream)  # type: ignore[arg-type]
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("x")
    shown = ["debug", "info", "warn", "error"]
    assert len(stream.getvalue().splitlines()) == 4 - shown.index(level)
