#!/usr/bin/env python3
"""Runs a manifest of `cogclip batch` on Spark.

    spark-submit --master MASTER examples/spark_batch.py MANIFEST --bin cogclip [--partitions N] --report out.parquet|csv
                                  [--if-exists fail|skip|overwrite] [-- OPTION OF BATCH...]
    python examples/spark_batch.py MANIFEST --master 'local-cluster[2,1,1024]' …

Needs `pyspark` and Java here, and nothing on the executors but Python and the binary. An executor that dies or a run that breaks
off is tried again, 4 times in all. The report is a folder, as Spark writes it. Ends with 0, or with 1 if items failed.
"""

import argparse
import sys
from pathlib import Path

from pyspark import TaskContext
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parent))
import partitions

SCHEMA = "item long, status string, src string, dst string, exit_code int, error string, partition int, report string"


def task(command, if_exists):
    """What an executor does with one partition."""

    def clip(part):
        number, rows = part
        try:
            return partitions.run(number, rows, command, if_exists)
        except partitions.Unfinished as error:
            # Spark ends the whole job with the last attempt of one task, and what the others did would not be told.
            if TaskContext.get().attemptNumber() + 1 < partitions.ATTEMPTS:
                raise
            return partitions.given_up(number, rows, error)

    return clip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    partitions.add_arguments(parser)
    parser.add_argument("--master", help="where spark-submit does not say: local-cluster[2,1,1024], spark://HOST:7077")
    args = partitions.parse(parser)
    rows = partitions.read(args.manifest)
    builder = SparkSession.builder.appName("cogclip batch").config("spark.task.maxFailures", partitions.ATTEMPTS)
    if args.master:
        builder = builder.master(args.master)
    spark = builder.getOrCreate()
    try:
        context = spark.sparkContext
        context.addPyFile(partitions.__file__)
        parts = partitions.divide(rows, args.partitions or 4 * context.defaultParallelism)
        work = context.parallelize(list(enumerate(parts)), len(parts)).flatMap(task([args.bin, *args.options], args.if_exists))
        # Collected once and for all: an RDD that is looked at twice, or whose blocks are lost, would be run twice.
        reports = work.collect()
        code = partitions.conclude(reports, rows)
        ordered = [tuple(report[column] for column in partitions.COLUMNS) for report in sorted(reports, key=lambda report: report["item"])]
        writer = spark.createDataFrame(ordered, SCHEMA).coalesce(1).write.mode("overwrite")
        if args.report.endswith(".csv"):
            writer.csv(args.report, header=True, escape='"')
        else:
            writer.parquet(args.report)
    finally:
        spark.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
