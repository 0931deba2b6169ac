"""page analyses -> batch summaries -> the document's summary, in which every statement names its pages."""
