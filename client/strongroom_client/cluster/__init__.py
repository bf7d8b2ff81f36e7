"""A whole custody on one machine, for `strongroom up`, the demo and the tests: real processes, a simulated AWS.

Nothing here is imported by those programs; they are started by name.
"""

from __future__ import annotations

from strongroom_client.cluster.cluster import Cluster
from strongroom_client.cluster.machines import Machines
from strongroom_client.cluster.plan import HOST, Plan, SignerPlan

__all__ = ["HOST", "Cluster", "Machines", "Plan", "SignerPlan"]
