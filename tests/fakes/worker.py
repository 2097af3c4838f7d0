"""A worker like `avant worker`, on the farm that the environment names, whose slots do make-believe."""

import sys

from workers.lanes import mix
from workers.serve import serve
from workers.settings import Settings

if __name__ == "__main__":
    grace, lanes = sys.argv[1:]
    serve(Settings(), mix(1, lanes.split(",")), grace=float(grace), module="tests.fakes.slot")
