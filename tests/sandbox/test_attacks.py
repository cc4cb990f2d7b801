"""What code in a jail tries to reach stays out of its reach; the server and others live on."""

import pytest

REACHING = [
    "inherited", "network", "unix_sockets", "host_files", "writing_on_the_host", "environment",
    "other_processes", "kernel_files", "devices", "refused_calls", "later_calls", "namespaces",
    "becoming_somebody", "memory_of_others", "signals", "rights_of_resources", "kernel_tools",
    "terminals", "hidden_memory", "disk_fill",
]  # fmt: skip


@pytest.mark.parametrize("name", REACHING)
async def test_nothing_is_reached_by(prison, attack, name):
    if name == "disk_fill" and prison.told["jail"] == "landlock":
        pytest.skip("without a file system of its own the session is ended instead: test_limits")
    assert await attack(name) == []
