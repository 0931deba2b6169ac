"""document -> batches -> page images: counts a document's pages, and renders them batch by batch."""
