//! Training engine: data, objectives, schedules, checkpoints, metrics.
