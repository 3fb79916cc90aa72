"""Engine: the pipeline, one stage per file. It knows no filter and no kernel."""
