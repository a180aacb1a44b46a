"""A database on a network file system is refused, with the reason and the way out."""

import pytest

from meshd.store.data_place import refuse_network
from meshd.wire.errors import BadRequest


def test_a_network_file_system_is_refused(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {tmp_path} rw - nfs4 s:/x rw\n")
    with pytest.raises(BadRequest, match=r"network file system \(nfs4\)") as refused:
        refuse_network(tmp_path / "data", table)
    assert refused.value.facts["directory"] == str(tmp_path / "data")
    assert refused.value.next
    refuse_network(tmp_path.parent, table)


def test_where_there_is_no_mount_table_nothing_is_refused(tmp_path):
    refuse_network(tmp_path, tmp_path / "absent")
