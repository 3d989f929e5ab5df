import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from engines.local.priority import give_way
os.setsid()
give_way(int(sys.argv[1]))
autogroup = "/proc/self/autogroup"
print(os.getpriority(os.PRIO_PROCESS, 0))
print(open(autogroup).read().split()[-1] if os.path.exists(autogroup) else "none")
"""


@pytest.mark.parametrize("niceness", [3, 5])
def test_a_session_that_gives_way_weighs_what_its_niceness_says(niceness):
    before = os.getpriority(os.PRIO_PROCESS, 0)
    root = Path(__file__).parents[3]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(niceness)], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )

    wanted = str(min(19, before + niceness))
    priority, session = done.stdout.split()
    assert priority == wanted
    # Who is not root may be refused it when others asked a moment ago.
    assert session in ({wanted, "none"} if os.geteuid() == 0 else {wanted, "none", "0"})
