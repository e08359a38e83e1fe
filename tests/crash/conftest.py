"""Assertions of the helpers are explained as those of tests are."""

import pytest

pytest.register_assert_rewrite("tests.crash.remains", "tests.crash.wholeness")
