#!/usr/bin/env python3
"""Runs a manifest of `cogclip batch` on a Dask cluster.

    python examples/dask_batch.py MANIFEST --bin cogclip [--scheduler ADDRESS] [--partitions N] --report out.parquet|csv
                                  [--if-exists fail|skip|overwrite] [-- OPTION OF BATCH...]

Without --scheduler it starts a cluster on this machine, one worker a core. Needs `distributed` and `pandas` here, with `pyarrow`
for Parquet, and nothing on the workers but Dask and the binary. A worker that dies or a run that breaks off is tried again, 4 times
in all. Ends with 0, or with 1 if items failed.
"""

import argparse
import sys
from pathlib import Path

import pandas
from distributed import Client, as_completed

sys.path.insert(0, str(Path(__file__).parent))
import partitions


def clip(client, parts, command, if_exists):
    """The report rows of all partitions, as they come. One row an item, whatever happens to the workers."""
    futures = {}
    for number, rows in enumerate(parts):
        # Not pure: the same manifest run once more is run, not remembered.
        future = client.submit(partitions.run, number, rows, command, if_exists, retries=partitions.ATTEMPTS - 1, pure=False)
        futures[future] = (number, rows)
    reports = []
    for future in as_completed(futures):
        number, rows = futures.pop(future)
        if future.status == "finished":
            reports += future.result()
        else:
            # The retries are spent, or it has brought down `allowed-failures` workers: KilledWorker.
            reports += partitions.given_up(number, rows, future.exception() or f"partition {number}: {future.status}")
    return reports


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    partitions.add_arguments(parser)
    parser.add_argument("--scheduler", help="address of a running scheduler: tcp://HOST:8786")
    args = partitions.parse(parser)
    rows = partitions.read(args.manifest)
    # One thread a worker: cogclip itself works on all cores, or on `-- --jobs N`.
    with Client(args.scheduler) if args.scheduler else Client(threads_per_worker=1, dashboard_address=None) as client:
        # To the workers of now and to those that take their place.
        client.upload_file(partitions.__file__)
        parts = partitions.divide(rows, args.partitions or 4 * max(1, sum(client.nthreads().values())))
        reports = clip(client, parts, [args.bin, *args.options], args.if_exists)
    code = partitions.conclude(reports, rows)
    frame = pandas.DataFrame(sorted(reports, key=lambda report: report["item"]), columns=partitions.COLUMNS)
    frame = frame.astype({"item": "int64", "exit_code": "Int64", "partition": "int64"})
    if args.report.endswith(".csv"):
        frame.to_csv(args.report, index=False)
    else:
        frame.to_parquet(args.report, index=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
