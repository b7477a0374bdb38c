"""Measurements on a real control plane, each beside a reference of the same run: `make bench`.

What is measured runs as it does in use: the operator is a process of its own with the rights it is shipped with and its
default spans, the Evolution API is the simulator, a process too. A duration alone says as much about the machine as
about the operator, so each one stands beside what the same writes cost the API server without an operator, or beside
the span that bounds it.
"""

import sys
from pathlib import Path

# What opens clusters lives beside the other tools, which are programs and no package.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))
