"""The only place that starts processes, speaks HTTP or S3, or wraps a media library."""
