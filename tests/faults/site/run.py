"""What the harness has chosen for this run, from the environment."""

import json
import os
from pathlib import Path

#: The shared choices of all processes of a run, see engines.py.
RUN = json.loads(os.environ["FAULTS_RUN"])
#: "site", "worker", "beat" or "harness".
ROLE = os.environ.get("FAULTS_ROLE", "harness")
#: The host of this process, which has its own clock.
HOST = os.environ.get("FAULTS_HOST", "harness")
FOLDER = Path(RUN["folder"])
