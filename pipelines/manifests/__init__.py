"""Manifests: pure functions of (tracks, policy), the same for a version and for an episode's entry points."""
