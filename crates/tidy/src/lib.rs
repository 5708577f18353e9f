//! Tests that read the tree: arrows between crates, where unsafe may stand, names in documents.
