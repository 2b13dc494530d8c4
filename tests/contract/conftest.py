"""The suite is imported, not collected: without this a broken promise would not say what was seen instead."""

import pytest

pytest.register_assert_rewrite("tests.contract.suite")
