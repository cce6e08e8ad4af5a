"""These tests need what the system tests need: root, and they fail in CI rather than being skipped."""

from tests.system.conftest import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
