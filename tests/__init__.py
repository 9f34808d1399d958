"""The tests: one file per behaviour, parametrised over the entity types."""

import os
import sys

# Every worker, and every process that a test starts, would compile each module anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
