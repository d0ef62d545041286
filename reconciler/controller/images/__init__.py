"""Follows the registries of services with `spec.imagePolicy`, and has their manifests name what the policy chooses."""
