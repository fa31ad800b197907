"""What was written here, brought to another place: a bucket, another disk."""
