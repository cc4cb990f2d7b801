import sys
from pathlib import Path

# The benchmarks are programs that import one another as neighbours, not a package.
sys.path.append(str(Path(__file__).parents[3] / "bench"))
