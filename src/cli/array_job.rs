//! Which part of a manifest a process is to do: as typed, or as the environment of an array job says.

use crate::error::{Error, Result};

/// The part of an array job's manifest that this process is to do, by what its environment says: the variables of AWS Batch,
/// of a Kubernetes Indexed Job, or of Slurm. `count` 0 leaves the number of parts to these, too.
pub(super) fn of_environment(
    count: usize,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(usize, usize)> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => {
            let wrong =
                |cause| Error::usage(format!("the environment's {name} is no number")).caused_by(cause);
            text.trim().parse::<usize>().map(Some).map_err(wrong)
        }
    };
    let (index, own) = if let Some(index) = number("AWS_BATCH_JOB_ARRAY_INDEX")? {
        (index, number("AWS_BATCH_JOB_ARRAY_SIZE")?)
    } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
        (index, None)
    } else if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
        // With the number of parts given, tasks are numbered as parts are, and an array may be of some of them only.
        let first = if count == 0 { number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0) } else { 0 };
        (task.saturating_sub(first), number("SLURM_ARRAY_TASK_COUNT")?)
    } else {
        return Err(Error::usage(
            "--shards: the environment has no index of an array job (AWS_BATCH_JOB_ARRAY_INDEX, JOB_COMPLETION_INDEX or \
             SLURM_ARRAY_TASK_ID); say which part with --shard I/N",
        ));
    };
    let count = match (count, own) {
        (0, Some(own)) => own,
        (0, None) => {
            return Err(Error::usage(
                "--shards: say how many parts there are, since the environment does not",
            ));
        }
        (count, _) => count,
    };
    if index >= count {
        return Err(Error::usage(format!(
            "the array job's index {index} is not among the {count} parts, from 0"
        )));
    }
    Ok((index, count))
}

/// `I/N`.
pub(super) fn shard(text: &str) -> Result<(usize, usize), String> {
    let wrong = || "a part and the number of parts are expected, such as 0/8".to_owned();
    let (index, count) = text.split_once('/').ok_or_else(wrong)?;
    match (index.trim().parse(), count.trim().parse()) {
        (Ok(index), Ok(count)) if index < count => Ok((index, count)),
        (Ok(_), Ok(_)) => Err("parts are counted from 0, so that the last of 8 is 7/8".to_owned()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_jobs_say_which_part() {
        let of = |count, pairs: &[(&str, &str)]| {
            let find =
                |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            of_environment(count, &find).ok()
        };
        assert_eq!(
            of(0, &[("AWS_BATCH_JOB_ARRAY_INDEX", "3"), ("AWS_BATCH_JOB_ARRAY_SIZE", "8")]),
            Some((3, 8))
        );
        assert_eq!(of(5, &[("JOB_COMPLETION_INDEX", "4")]), Some((4, 5)));
        assert_eq!(of(0, &[("JOB_COMPLETION_INDEX", "4")]), None);
        assert_eq!(
            of(
                0,
                &[
                    ("SLURM_ARRAY_TASK_ID", "11"),
                    ("SLURM_ARRAY_TASK_MIN", "10"),
                    ("SLURM_ARRAY_TASK_COUNT", "4")
                ]
            ),
            Some((1, 4))
        );
        assert_eq!(of(8, &[("SLURM_ARRAY_TASK_ID", "7"), ("SLURM_ARRAY_TASK_MIN", "3")]), Some((7, 8)));
        assert_eq!(of(4, &[("JOB_COMPLETION_INDEX", "4")]), None);
        assert_eq!(of(4, &[]), None);
        assert_eq!(shard("0/8"), Ok((0, 8)));
        assert!(shard("8/8").is_err() && shard("8").is_err());
    }
}
