"""Of `service.data_folder`."""

from pathlib import Path

import pytest

from service.data_folder import DataFolderInUse, DataFolderLock


def test_a_second_server_is_kept_out_and_told_why(tmp_path: Path) -> None:
    in_use = pytest.raises(DataFolderInUse, match="another server uses")
    with DataFolderLock(tmp_path), in_use, DataFolderLock(tmp_path):
        pass


def test_the_next_server_gets_in(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path):
        pass
    with DataFolderLock(tmp_path):
        pass
