from __future__ import annotations

from executions.ports import FIRST_PORT, LAST_PORT, choose_ports


def test_every_engine_gets_two_ports_that_nobody_else_has() -> None:
    drawn = [port for ports in choose_ports(50) for port in (ports.callback, ports.api)]

    assert len(set(drawn)) == 100
    assert all(FIRST_PORT <= port <= LAST_PORT for port in drawn)


def test_each_execution_draws_its_own() -> None:
    assert choose_ports(20) != choose_ports(20)
