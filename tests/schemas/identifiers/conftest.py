"""Where the shared sample data lies: DUJIANG_SHARED, or `shared` beside the checkout."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    beside = Path(__file__).resolve().parents[3].parent / "shared"
    data = Path(os.environ.get("DUJIANG_SHARED", beside)) / "data"
    if not data.is_dir():
        pytest.skip(f"no shared sample data at {data}; set DUJIANG_SHARED to the shared folder")
    return data
